package inbox

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // so that bodies arrive in UTF-8
	"github.com/emersion/go-message/mail"
)

// Mail is one message that arrived.
type Mail struct {
	ID        int // 1 for the first, in order of arrival
	At        time.Time
	From      string   // of the envelope
	To        []string // of the envelope
	Subject   string   // decoded
	MessageID string   // without angle brackets
	Text      string   // the text part, decoded, with LF line ends; "" if there is none
	HTML      string   // likewise
	Raw       []byte   // as it came over the wire; not to be changed
}

// read takes a message apart as far as it can; what is no message keeps its Raw.
func read(raw []byte) Mail {
	m := Mail{Raw: raw}
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if r == nil || err != nil && !message.IsUnknownCharset(err) {
		return m
	}
	defer func() { _ = r.Close() }()
	m.Subject, _ = r.Header.Subject()
	m.MessageID, _ = r.Header.MessageID()
	for {
		part, err := r.NextPart()
		if part == nil || err != nil && !message.IsUnknownCharset(err) {
			return m
		}
		inline, ok := part.Header.(*mail.InlineHeader)
		if !ok {
			continue
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return m
		}
		text := strings.ReplaceAll(string(body), "\r\n", "\n")
		switch kind, _, _ := inline.ContentType(); {
		case kind == "text/html" && m.HTML == "":
			m.HTML = text
		case (kind == "text/plain" || kind == "") && m.Text == "":
			m.Text = text
		}
	}
}

// LinkTo gives the first http or https link that stands alone on its line of
// the text part and contains pathPart, for example "/reset-password/"; "" if
// there is none.
func (m Mail) LinkTo(pathPart string) string {
	for line := range strings.SplitSeq(m.Text, "\n") {
		if aloneLink.MatchString(line) && strings.Contains(line, pathPart) {
			return line
		}
	}
	return ""
}

// Code gives the first 8-digit code that stands alone on its line of the text
// part; "" if there is none.
func (m Mail) Code() string { return aloneCode.FindString(m.Text) }

var (
	aloneLink = regexp.MustCompile(`^https?://\S+$`)
	aloneCode = regexp.MustCompile(`(?m)^[0-9]{8}$`)
)
