// Package dsn reads what comes back about a mail: delivery reports (RFC 3464,
// RFC 6533) and their many relatives in plain words, abuse reports (RFC 5965),
// disposition notices (RFC 8098) and automatic answers.
//
// It says what a mail claims, never whether the claim is true: who sent it is
// proved by the return path it was sent to, elsewhere. It touches nothing but
// its input and costs no more than its size. What the words of a report mean is
// the business of package diagnosis.
package dsn

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"
)

// The bounds of what is read. A report beyond them is read up to them.
const (
	maxBytes      = 5 << 20   // of a mail
	maxRecipients = 1000      // of a report
	maxDepth      = 10        // of parts within parts
	maxParts      = 200       // of a mail
	maxProse      = 256 << 10 // of one part for people
	maxWords      = 64 << 10  // of what they say together
	maxField      = 8 << 10   // of one header field
	maxFields     = 1000      // of one header
)

// Kind is what a returned mail is.
type Kind string

// The kinds. The texts are a promise to scripts.
const (
	Bounce    Kind = "bounce"     // at least one recipient will not get the mail
	Delay     Kind = "delay"      // it is still being tried
	Complaint Kind = "complaint"  // it was reported as unwanted
	Delivered Kind = "delivered"  // it was delivered, or handed on
	AutoReply Kind = "auto-reply" // a mailbox answered by itself: it lives
	None      Kind = "none"       // nothing of these can be said with reason
)

// The actions of a delivery report (RFC 3464 section 2.3.3).
const (
	Failed   = "failed"
	Delayed  = "delayed"
	Done     = "delivered"
	Relayed  = "relayed"
	Expanded = "expanded"
)

// Returned is what one mail says.
type Returned struct {
	Kind Kind
	// To is every address the mail was sent to, as its header and the servers on
	// the way wrote them, lower-case domains and all. The envelope is not in it.
	To []string
	// ReturnPath is the sender of its envelope as the last server wrote it, "<>"
	// for the empty one, "" if nobody wrote it.
	ReturnPath    string
	From          string    // as it stands in the header
	Date          time.Time // when it says that it was written; zero if it does not
	Subject       string
	AutoSubmitted string // RFC 3834: the first word, in lower case
	// FeedbackType is the kind of an abuse report: abuse, fraud, auth-failure,
	// not-spam, opt-out and others. RFC 5965 section 3.5, RFC 6591, RFC 6430.
	FeedbackType   string
	Reporter       string // the server that reports
	Recipients     []Recipient
	MoreRecipients bool   // than are kept
	Text           string // what it says to people, without the mail it returns
	Original       Original
}

// Recipient is what a report says about one of the recipients. Fields are empty
// where it does not say.
type Recipient struct {
	// Address is the final one. A forward may have changed it, and it may be none
	// of the Internet at all (X.400).
	Address string
	// Original is the address before that, as the sender gave it.
	Original string
	Action   string // failed, delayed, delivered, relayed, expanded; never empty
	Status   string // RFC 3463, without comment
	// Diagnostic is what a server answered; DiagnosticType is who writes so: smtp,
	// x-postfix, x-unix, x-x400, in lower case; x-sieve for the words of a mailbox's
	// own filter.
	Diagnostic     string
	DiagnosticType string
	RemoteMTA      string // the server that answered
	Text           string // the words for people that speak of this recipient
}

// Original is what the returned mail tells of itself.
type Original struct {
	MessageID  string // without the angle brackets
	ReturnPath string
	From       string
	To         []string
}

// ErrNoMail says that the text does not begin with the header of a mail.
var ErrNoMail = errors.New("this is no mail: it does not begin with a header")

// Read reads one mail. What is beyond its bounds is not looked at. It fails with
// the reader's error or ErrNoMail; a mail that says nothing of use is no error
// but of Kind None.
func Read(r io.Reader) (Returned, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxBytes))
	if err != nil {
		return Returned{}, fmt.Errorf("read a returned mail: %w", err)
	}
	top, body, ok := readHeader(beginning(raw))
	if !ok {
		return Returned{}, ErrNoMail
	}
	return letter{header: top, parts: walk(top, body)}.read(), nil
}

// letter is a mail taken apart.
type letter struct {
	header header
	parts  []part
}

// read tells the kind of a mail by its strongest sign and reads it as such.
func (m letter) read() Returned {
	r := Returned{
		To: m.sentTo(), From: m.header.text("From"), Subject: m.header.text("Subject"),
		ReturnPath: m.returnPath(), AutoSubmitted: firstWord(m.header.get("Auto-Submitted")),
		Kind: None,
	}
	if date, err := mail.ParseDate(m.header.get("Date")); err == nil {
		r.Date = date
	}
	words, quoted := m.words()
	r.Text = words
	r.Original = m.original(quoted)
	switch {
	case m.readReport(&r):
	case m.readFeedback(&r):
	case m.readDisposition(&r):
	case m.readEvent(&r):
	case m.readPlain(&r):
	default:
		m.readForwarded(&r)
	}
	return r
}

// readForwarded looks into a mail that carries another one: somebody, or some
// rule, passed a report on.
func (m letter) readForwarded(r *Returned) {
	if r.Kind != None {
		return
	}
	for _, p := range m.parts {
		if p.role != enclosed || p.depth >= maxDepth {
			continue
		}
		top, body, ok := readHeader(beginning(p.body))
		if !ok || !strings.EqualFold(top.contentType().kind, "multipart/report") {
			continue
		}
		inner := letter{header: top, parts: walkFrom(top, body, p.depth+1)}.read()
		if inner.Kind != None {
			inner.To, inner.ReturnPath = append(r.To, inner.To...), r.ReturnPath
			*r = inner
		}
		return
	}
}
