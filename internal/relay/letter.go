package relay

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/sparekey/sparekey/internal/mailserver"
)

// letter is an envelope ready for the wire, and the message, once it has been made.
type letter struct {
	from, to string
	refused  error  // what is wrong with an address
	stage    string // which one
	utf8     bool   // an address needs SMTPUTF8 (RFC 6531)
	message  Message
	made     bool
	failed   error         // what was wrong with the text
	waited   time.Duration // for MayGo
	size     int           // of the text, in octets
	data     []byte        // the text dot-stuffed, with the end of data
}

// prepare refuses addresses no server must see. It and make are the last gates against
// a second command or a second message hidden in an address or a text.
func prepare(e Envelope, m Message) *letter {
	l := &letter{message: m}
	var err error
	if e.From != "" {
		if l.from, err = reversePath(e.From); err != nil {
			l.refused, l.stage = fmt.Errorf("sender: %w", err), StageMail
			return l
		}
	}
	if l.to, err = path(e.To); err != nil {
		l.refused, l.stage = fmt.Errorf("recipient: %w", err), StageRcpt
	}
	l.utf8 = !isASCII(l.from) || !isASCII(l.to)
	return l
}

// make makes the text, once.
func (l *letter) make() {
	if l.made {
		return
	}
	l.made = true
	raw, err := l.text()
	if err == nil {
		err = plainMessage(raw)
	}
	if err != nil {
		l.failed = fmt.Errorf("message: %w", err)
		return
	}
	l.size, l.data = len(raw), stuff(raw)
}

// text turns a panic into an error: the conversation around it must come to its end.
func (l *letter) text() (raw []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return l.message.Text()
}

// reversePath is path for the sender, who may have an IP address for a domain
// (RFC 5321 section 4.1.3): a server without a name sends so.
func reversePath(address string) (string, error) {
	if senderLiteral.MatchString(address) {
		return address, nil
	}
	return path(address)
}

var senderLiteral = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}@\[(IPv6:)?[0-9A-Fa-f.:]{2,45}\]$`)

// path gives an address as it stands between the angle brackets of MAIL and
// RCPT, its domain in ASCII (RFC 5890).
func path(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	switch {
	case address == "":
		return "", errors.New("no address")
	case len(address) > 254: // RFC 5321 section 4.5.3.1.3
		return "", errors.New("the address is too long")
	case at < 1 || at == len(address)-1:
		return "", errors.New("the address lacks a name or a domain")
	case !utf8.ValidString(address):
		return "", errors.New("the address is not UTF-8")
	case strings.ContainsFunc(address, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == '<' || r == '>' || r == '\u2028' || r == '\u2029'
	}):
		return "", errors.New("the address holds a character that none may have")
	}
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if err != nil || !mailserver.IsHostName(domain) {
		return "", errors.New("the domain of the address is malformed")
	}
	return address[:at+1] + domain, nil
}

var crlf = []byte("\r\n")

// plainMessage refuses what different servers read differently, the openings of
// SMTP smuggling: bare CR, bare LF and NUL; and lines over 998 octets (RFC 5321
// section 4.5.3.1.6).
func plainMessage(raw []byte) error {
	if len(raw) == 0 {
		return errors.New("it is empty")
	}
	for len(raw) > 0 {
		line, rest, found := bytes.Cut(raw, crlf)
		switch {
		case bytes.ContainsAny(line, "\r\n"):
			return errors.New("it has a bare CR or LF")
		case bytes.IndexByte(line, 0) >= 0:
			return errors.New("it has a NUL")
		case len(line) > 998:
			return errors.New("it has a line over 998 octets")
		case !found:
			return nil
		}
		raw = rest
	}
	return nil
}

// stuff doubles the dots that begin a line and adds the end of data (RFC 5321
// section 4.5.2).
func stuff(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+64)
	if raw[0] == '.' {
		out = append(out, '.')
	}
	for {
		i := bytes.Index(raw, []byte("\r\n."))
		if i < 0 {
			break
		}
		out = append(append(out, raw[:i+3]...), '.')
		raw = raw[i+3:]
	}
	out = append(out, raw...)
	if !bytes.HasSuffix(out, crlf) {
		out = append(out, crlf...)
	}
	return append(out, ".\r\n"...)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

func plainHello(name string) bool {
	return len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
