package mail

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// maxName is the longest name shown, in characters.
const maxName = 80

var (
	// RFC 5322 section 3.6.4, of the bracketed forms only that of IP addresses.
	messageID = lazyregexp.New("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,150}@([A-Za-z0-9.-]{1,253}|" + ipLiteral + ")$")
	code      = regexp.MustCompile(`^[0-9]{8}$`)

	errAddress = errors.New("malformed address")
)

// ipLiteral is a server without a name, [192.0.2.1] or [IPv6:2001:db8::1]
// (RFC 5321 section 4.1.3): what the sender has where the public address has none.
const ipLiteral = `\[(IPv6:)?[0-9A-Fa-f.:]{2,45}\]`

var senderLiteral = lazyregexp.New("^[A-Za-z0-9._+-]{1,64}@" + ipLiteral + "$")

// senderAddress is plainAddress for the sender, who may have an IP address for a domain.
func senderAddress(address string) (string, error) {
	if senderLiteral().MatchString(address) {
		return address, nil
	}
	return plainAddress(address)
}

var apart = strings.NewReplacer("=?", "= ?", "://", ": ")

// clean makes a name safe for a header and for a line of text: one line, no
// control or direction characters, no more than maxName characters. "=?" would
// begin an encoded word (RFC 2047), "://" a link.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029' || unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError, unicode.Is(unicode.Co, r), unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d':
			return -1 // the two joiners belong to names in Persian, Hindi and others
		default:
			return r
		}
	}, strings.ToValidUTF8(name, ""))
	name = norm.NFC.String(strings.Join(strings.Fields(name), " "))
	name = apart.Replace(name)
	if utf8.RuneCountInString(name) > maxName {
		name = strings.TrimSpace(string([]rune(name)[:maxName-1])) + "…"
	}
	return name
}

// dotInWord is what mail programs take for a host name and turn into a link.
var dotInWord = regexp.MustCompile(`[.。．｡]+(\pL{2}|xn--)`)

// inert is clean for names that people give themselves: nothing in it becomes
// a link. "evil.test" reads "evil. test"; a plain e-mail address stays.
func inert(name string) string {
	words := strings.Fields(clean(name))
	for i, word := range words {
		if !strings.ContainsAny(word, "/.。．｡") {
			continue
		}
		if _, err := plainAddress(word); err == nil && !strings.Contains(word, "/") {
			continue
		}
		words[i] = dotInWord.ReplaceAllString(strings.ReplaceAll(word, "//", "/ /"), ". $1")
	}
	return strings.Join(words, " ")
}

// plainAddress takes a bare address and gives it with its domain in ASCII
// (RFC 5890). Quoted local parts, names, comments and control characters are refused.
func plainAddress(address string) (string, error) {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" || parsed.Address != address || len(address) > 254 ||
		strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError }) ||
		strings.ContainsAny(address, "\"<>()[]\\,;:") {
		return "", errAddress
	}
	at := strings.LastIndexByte(address, '@')
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if err != nil || domain == "" {
		return "", errAddress
	}
	return address[:at+1] + domain, nil
}
