package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
)

// Problem says why a text is no link. It costs no look at the database.
type Problem string

// The problems of a link text.
const (
	Fine       Problem = ""
	Incomplete Problem = "incomplete" // shorter than a link
	Damaged    Problem = "damaged"    // a wrong character, or made for another place
)

// LinkLength is the number of characters of a link.
const LinkLength = 40

// Sizes of the parts of a link, in bytes; together 25 bytes are 40 characters.
const (
	idSize  = 8
	macSize = 16
)

// alphabet is Douglas Crockford's, in upper case: no I, L, O, U, so that nothing
// in it reads like something else.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// LinkID names a link in the database. It comes from the random source, is
// used for nothing else and is never logged or shown.
type LinkID [idSize]byte

// NewLinkID makes a random link id.
func NewLinkID() LinkID {
	var id LinkID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return id
}

// String is the form in the database.
func (id LinkID) String() string { return crockford.EncodeToString(id[:]) }

// ParseLinkID reads the form in the database.
func ParseLinkID(s string) (LinkID, error) {
	var id LinkID
	b, err := crockford.DecodeString(s)
	if err != nil || len(b) != idSize {
		return id, fmt.Errorf("link id in the database is malformed")
	}
	return LinkID(b), nil
}

// Link is a link text taken apart: which key signed it, which row it means, and
// the proof.
type Link struct {
	KeyID uint8
	ID    LinkID
	mac   [macSize]byte
}

// SignLink makes the text of a link: key id, link id and an HMAC over both and
// the environment, 40 characters of Crockford base32.
func SignLink(key PurposeKey, keyID uint8, id LinkID, environment string) string {
	mac := linkMAC(key, keyID, id, environment)
	raw := make([]byte, 0, 1+idSize+macSize)
	raw = append(raw, keyID)
	raw = append(raw, id[:]...)
	raw = append(raw, mac[:]...)
	return crockford.EncodeToString(raw)
}

// linkMAC covers fields of fixed length before the one that varies, so no two
// inputs are the same bytes; the purpose is in the key.
func linkMAC(key PurposeKey, keyID uint8, id LinkID, environment string) [macSize]byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte{keyID})
	h.Write(id[:])
	h.Write([]byte(environment))
	return [macSize]byte(h.Sum(nil)[:macSize])
}

// ParseLink reads a link as people and mail programs hand it over: any case,
// look-alike characters, white space and the leftovers of a broken line, and
// punctuation after it; a whole address is cut to its last part. It makes no
// other repair. A Link is worth nothing before Link.Genuine.
func ParseLink(text string) (Link, Problem) {
	plain := readAlike(text)
	if len(plain) < LinkLength {
		if strings.Trim(plain, alphabet) == "" {
			return Link{}, Incomplete
		}
		return Link{}, Damaged
	}
	raw, err := crockford.DecodeString(plain)
	if err != nil || len(plain) != LinkLength {
		return Link{}, Damaged
	}
	return Link{
		KeyID: raw[0],
		ID:    LinkID(raw[1 : 1+idSize]),
		mac:   [macSize]byte(raw[1+idSize:]),
	}, Fine
}

// Genuine tells whether the link was made with this key for this environment.
func (l Link) Genuine(key PurposeKey, environment string) bool {
	want := linkMAC(key, l.KeyID, l.ID, environment)
	return hmac.Equal(want[:], l.mac[:])
}

// maxLinkText bounds what is looked at: a link with an address around it.
const maxLinkText = 2048

func readAlike(text string) string {
	if len(text) > maxLinkText {
		return "!" // longer than any link with an address around it
	}
	text = strings.TrimRightFunc(text, leftover)
	if i := strings.LastIndexByte(text, '/'); i >= 0 {
		text = text[i+1:]
	}
	var b strings.Builder
	for _, r := range text {
		if brokenLine(r) {
			continue
		}
		switch r = unicode.ToUpper(r); r {
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// leftover: what stands after a link in a sentence, a quotation or a broken line.
func leftover(r rune) bool {
	return brokenLine(r) || strings.ContainsRune(`.,;:!?)]}>"'*_/»”’`, r)
}

// brokenLine: white space, the soft line break of quoted-printable, the mark of
// a quoted line, and characters that show nothing.
func brokenLine(r rune) bool {
	switch r {
	case '=', '>', '\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsSpace(r)
}

// CodeDigits is the length of a reset code.
const CodeDigits = 8

// Code derives the reset code that goes with a mailed link; it is not stored.
func Code(key PurposeKey, id LinkID, environment string) string {
	h := hmac.New(sha256.New, key[:])
	h.Write(id[:])
	h.Write([]byte(environment))
	// 64 bits over 10^8 codes: the bias is below 10^-11.
	return fmt.Sprintf("%08d", binary.BigEndian.Uint64(h.Sum(nil))%100_000_000)
}

// ReadCode gives the digits of a typed code, whatever people put between and around
// them ("Code: 1234 5678"), or "" if it is no code.
func ReadCode(typed string) string {
	if len(typed) > 64 {
		return ""
	}
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r >= '０' && r <= '９': // of East Asian keyboards
			return r - '０' + '0'
		default:
			return -1
		}
	}, typed)
	if len(digits) != CodeDigits {
		return ""
	}
	return digits
}
