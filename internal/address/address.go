// Package address reads e-mail addresses and says when two are the same.
//
// One reader serves forms, imports, comparison and sending, so that none of
// them can understand an address differently from the others.
package address

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/fault"
)

// Address is an e-mail address in the two forms we need.
type Address struct {
	Mail string // as written, the domain in ASCII: where mail goes
	Key  string // what makes two addresses the same
}

// Limits of RFC 5321 section 4.5.3.1, in octets.
const (
	maxAddress = 254
	maxLocal   = 64
)

// comparison folds the local part: compatibility forms and case (RFC 8265).
var comparison = precis.NewFreeform(precis.FoldCase(), precis.Norm(norm.NFKC))

// domains reads international names strictly, for registration (RFC 5891).
var domains = idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.BidiRule(), idna.Transitional(false))

// narrow are the two signs of an address as East Asian keyboards write them.
var narrow = strings.NewReplacer("＠", "@", "．", ".", "。", ".", "｡", ".")

// unseen tells white space and characters that show nothing, like the zero-width
// space and the marks of direction that come along when text is copied.
func unseen(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// Parse reads a bare address: local@domain, nothing around it. What shows nothing at
// the ends, which phones and copying add, and a dot, comma or semicolon at the end,
// of a sentence, a list or a whole domain name, are taken off; anything else unusual
// (quoted parts, comments, lists, routes, control characters) is refused with a fault
// about the field "email".
func Parse(text string) (Address, error) {
	text = narrow.Replace(strings.TrimFunc(text, unseen))
	if end := len(text) - 1; end >= 0 && strings.IndexByte(".,;", text[end]) >= 0 {
		text = text[:end]
	}
	if len(text) > maxAddress {
		return Address{}, refuse("This address is too long: an e-mail address has at most %d characters.", maxAddress)
	}
	at := strings.LastIndexByte(text, '@')
	if at <= 0 || at == len(text)-1 || !utf8.ValidString(text) {
		return Address{}, refuse("This is not a complete e-mail address. It looks like name@example.com.")
	}
	local, domain := text[:at], text[at+1:]
	if strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) { // a quoted string of RFC 5321
		return Address{}, refuse("Addresses with quotation marks are not supported.")
	}
	if strings.ContainsAny(text, `<>"`) || strings.HasPrefix(strings.ToLower(text), "mailto:") {
		return Address{}, refuse("Type the address alone, without a name, brackets or anything else around it: name@example.com.")
	}
	if visible := strings.Join(strings.FieldsFunc(local, unseen), ""); visible != local && dotAtom(visible) {
		return Address{}, refuse("There is a space, or a character that shows nothing, before the @. Type the address instead of pasting it.")
	}
	if !dotAtom(local) || len(local) > maxLocal {
		return Address{}, refuse("The part before the @ has a character that an e-mail address cannot have.")
	}
	ascii, err := domains.ToASCII(domain)
	if err != nil || strings.HasSuffix(ascii, ".") {
		return Address{}, refuse("The part after the @ is not the name of a mail domain.")
	}
	ascii = strings.ToLower(ascii)
	key, err := canonicalLocal(local)
	if err != nil {
		return Address{}, refuse("The part before the @ has a character that an e-mail address cannot have.")
	}
	return Address{Mail: local + "@" + ascii, Key: key + "@" + ascii}, nil
}

// Domain is what follows the last @ of an address, in small letters: the text
// itself if there is no @. It is for addresses that others wrote, too, which
// Parse may refuse.
func Domain(mail string) string {
	return strings.ToLower(mail[strings.LastIndexByte(mail, '@')+1:])
}

// canonicalLocal repeats the folding until it changes nothing: a key of a key
// is the key, whatever the characters.
func canonicalLocal(local string) (string, error) {
	for range 4 {
		next, err := comparison.String(local)
		if err != nil {
			return "", err
		}
		if next == local {
			if !dotAtom(next) {
				return "", fmt.Errorf("folds to something else")
			}
			return next, nil
		}
		local = next
	}
	return "", fmt.Errorf("does not settle")
}

// dotAtom: RFC 5322 section 3.2.3 with the letters of RFC 6532, without the
// characters that other mail software reads as routes (% and !).
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case r == '.' || strings.ContainsRune("#$&'*+-/=?^_`{|}~", r):
		case r < 0x80:
			if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') {
				return false
			}
		case !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r):
			return false
		}
	}
	// =?charset?q?…?= would be decoded by some mail software (RFC 2047).
	return !strings.Contains(s, "=?")
}

func refuse(format string, args ...any) error {
	return fault.InvalidField("email", fmt.Sprintf(format, args...))
}

// KeyOf gives the key of an address that was taken long ago, perhaps by an import:
// one that is no address now is equal to itself.
func KeyOf(mail string) string {
	a, err := Parse(mail)
	if err != nil {
		return strings.ToLower(mail)
	}
	return a.Key
}
