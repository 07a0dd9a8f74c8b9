// Package mailevent reads what mail providers post about our mails: it proves
// that a request is the provider's own, and gives its events in one form.
//
// It touches no database. What it cannot prove it does not read; what it does
// not know gives no event. What an answer's words mean is the business of
// package diagnosis; only what a provider says by a type of its own is read here.
package mailevent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
)

// The providers, as addresses and the configuration name them.
const (
	SES      = "ses"
	Postmark = "postmark"
	SendGrid = "sendgrid"
	Mailgun  = "mailgun"
)

// Event is what a provider says about one recipient of one mail.
type Event struct {
	ID        string   // the same event has the same; "" if the provider gives none
	Kind      dsn.Kind // never dsn.None
	At        time.Time
	Recipient string
	// MessageIDs are the Message-IDs it names, without angle brackets; ReturnPath
	// is the envelope's sender; Reference is what we gave the provider along.
	MessageIDs []string
	ReturnPath string
	Reference  string

	Reporter string // the server that answered
	Code     int
	Enhanced string
	Reply    string
	// Class is what the provider says by its own types, and Hard whether it means
	// for good; "" if it does not.
	Class diagnosis.Class
	Hard  bool
	// Sure: the class is no guess that the reply's words could better.
	Sure bool
}

// Post is a request of a provider.
type Post struct {
	Header http.Header
	Body   []byte
}

var (
	// ErrUnproven says that nothing proves a request to be the provider's own.
	ErrUnproven = errors.New("nothing proves that the mail provider sent this")
	// ErrMalformed says that a proven request cannot be read.
	ErrMalformed = errors.New("this is no event of the mail provider")
)

// Fetch reads a small document by https. It follows no redirection.
type Fetch func(ctx context.Context, url string) ([]byte, error)

// Once tells whether a proof may be believed: it is new, or it comes with the same
// words again, as after an answer that got lost. It is remembered until a time, by
// all nodes.
type Once func(ctx context.Context, proof, words string, until time.Time) (bool, error)

// Source is one provider that may post events.
type Source interface {
	// Read proves a request and gives its events, none if it tells nothing of use.
	// Its errors are the ones above, or those of Fetch and Once.
	Read(ctx context.Context, p Post, now time.Time) ([]Event, error)
}

// New gives the source of a provider. The proof is as in config.MailEvent.
func New(provider, proof string, fetch Fetch, once Once) (Source, error) {
	switch provider {
	case SES:
		return newSES(proof, fetch), nil
	case Postmark:
		return postmark{token: proof}, nil
	case SendGrid:
		return newSendGrid(proof)
	case Mailgun:
		return mailgun{key: []byte(proof), once: once}, nil
	default:
		return nil, fmt.Errorf("no such mail provider: %q", provider)
	}
}

// maxEvents bounds what one request may tell.
const maxEvents = 10_000

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// bare takes the angle brackets off a Message-ID; nothing if there is none.
func bare(ids ...string) []string {
	var all []string
	for _, id := range ids {
		if id = strings.Trim(strings.TrimSpace(id), "<>"); id != "" && len(id) < 1000 {
			all = append(all, id)
		}
	}
	return all
}

// fresh tells whether a time is not older than some, nor in the future by more
// than clocks differ.
func fresh(t, now time.Time, old time.Duration) bool {
	age := now.Sub(t)
	return age <= old && age >= -5*time.Minute
}
