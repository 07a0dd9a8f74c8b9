package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// maxLine is the longest line sent as it is; RFC 5322 section 2.1.1 allows 998 octets.
const maxLine = 900

// build makes the message. The text part travels as it is written, without
// quoted-printable, so that the link stays whole even in the source.
func build(v *view, text, html string) ([]byte, error) {
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > maxLine {
			return nil, errors.New("a line of the text is too long")
		}
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary(boundary(v.Kind, v.MessageID)))
	m.FromMailAddress(&mail.Address{Name: v.From.Name, Address: v.From.Address})
	m.ToMailAddress(&mail.Address{Name: v.To.Name, Address: v.To.Address})
	if v.ReplyTo != "" {
		m.ReplyToMailAddress(&mail.Address{Address: v.ReplyTo})
	}
	m.Subject(v.Subject)
	m.SetMessageIDWithValue(v.MessageID)
	m.SetDateWithValue(v.Date.UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 section 5
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	if !isASCII(text) {
		// RFC 2045 section 6.4: the whole is labelled as its parts are.
		m.SetGenHeader(gomail.HeaderContentTransferEnc, string(gomail.NoEncoding))
	}
	m.SetBodyString(gomail.TypeTextPlain, crlf(text), gomail.WithPartEncoding(gomail.NoEncoding))
	if html != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, crlf(html), gomail.WithPartEncoding(gomail.EncodingQP))
	}

	var raw bytes.Buffer
	raw.Grow(len(text) + 2*len(html) + 2<<10)
	if _, err := m.WriteTo(&raw); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	if !isASCII(text) {
		return raw.Bytes(), nil
	}
	// The library has no unencoded 7bit: what it labels so it writes quoted-printable.
	return bytes.Replace(raw.Bytes(), []byte("Content-Transfer-Encoding: 8bit"), []byte("Content-Transfer-Encoding: 7bit"), 1), nil
}

// boundary depends on the message alone. No line of ours can be one: names are
// kept within their lines, and who chooses a name does not know the Message-ID.
func boundary(k Kind, messageID string) string {
	sum := sha256.Sum256([]byte(string(k) + "\n" + messageID))
	return hex.EncodeToString(sum[:16])
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
