package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/fault"
)

// MaxLength is the greatest length of a password in code points, counted after
// normalising (NIST SP 800-63B-4 asks for at least 64).
const MaxLength = 256

// maxBytes bounds the input before any work is done on it.
// A code point takes at most four bytes, and composing joins at most four of them.
const maxBytes = 4 * 4 * MaxLength

// Normalise brings a password into the form that is hashed: every Unicode space
// becomes U+0020 and the rest is composed to NFC, the mapping of the PRECIS
// profile OpaqueString (RFC 8265 section 4.2). Case, width and outer spaces stay.
//
// It refuses, as a fault of the field "password": nothing at all, invalid UTF-8,
// control characters (NUL among them), line separators, noncharacters, and more
// than MaxLength code points.
//
// The profile's class of characters is not applied: it refuses joined emoji,
// emoji with a variation selector and the middle dot, which people do use.
func Normalise(plain string) (string, error) {
	if plain == "" {
		return "", fault.InvalidField("password", "Please type a password.")
	}
	if len(plain) > maxBytes {
		return "", tooLong()
	}
	if !utf8.ValidString(plain) {
		return "", unusable()
	}
	if strings.IndexFunc(plain, refused) >= 0 {
		return "", unusable()
	}
	normal := norm.NFC.String(strings.Map(plainSpace, plain))
	if utf8.RuneCountInString(normal) > MaxLength {
		return "", tooLong()
	}
	return normal, nil
}

// refused tells whether a character can have no place in a password. NUL and its
// kin end strings in other programs, so that different passwords would be one.
func refused(r rune) bool {
	nonCharacter := r&0xFFFE == 0xFFFE || (r >= 0xFDD0 && r <= 0xFDEF)
	return nonCharacter || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)
}

func plainSpace(r rune) rune {
	if unicode.Is(unicode.Zs, r) {
		return ' '
	}
	return r
}

func tooLong() error {
	return fault.InvalidField("password", fmt.Sprintf("This password is too long: use at most %d characters.", MaxLength))
}

func unusable() error {
	return fault.InvalidField("password", "This password contains a character that cannot be used, such as a line break or a tab. Please leave it out.")
}
