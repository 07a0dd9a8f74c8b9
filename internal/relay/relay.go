// Package relay talks SMTP to the outside: it hands one message for one
// recipient to the first server that takes it, and reports each attempt.
//
// It keeps connections open between messages. It never falls back to clear
// text, never sends a password over it, and never lets an address add a command.
// What servers say is limited in time and size, cleaned, and kept as the
// attempt's conversation with secrets left out. It knows nothing of the outbox:
// when to try again is the caller's business.
//
// A server that fails again and again is left alone for a while, and so is a
// domain that puts our mails off; a slow domain does not hold up the others.
// What it knows of them is in memory and helps speed alone: forgotten, it is
// learned again.
//
// The client is our own, on RFC 5321 and go-sasl: the libraries' clients greet
// as "localhost" before STARTTLS (which large relays refuse), read replies
// without a limit, and do not give the answer of a server that accepts.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/mailserver"
)

// Server is one SMTP server for outgoing mail.
type Server = mailserver.Server

// Mode says how a connection is secured.
type Mode = mailserver.Mode

// The modes.
const (
	StartTLS = mailserver.StartTLS
	Implicit = mailserver.Implicit
	None     = mailserver.None
)

// Outcome says what an attempt means for the message.
type Outcome string

// The outcomes.
const (
	Accepted  Outcome = "accepted"  // the server has taken responsibility
	Temporary Outcome = "temporary" // may succeed later
	Permanent Outcome = "permanent" // this server will never take it
	// Unknown: the connection broke or fell silent after the whole message was
	// sent and before the answer. The server may have it.
	Unknown Outcome = "unknown"
)

// The stages of a conversation, as they appear in Attempt.Stage.
const (
	StageConnect = "connect" // reaching the server and its greeting
	StageHello   = "hello"
	StageTLS     = "tls"
	StageAuth    = "auth"
	StageMail    = "mail"
	StageRcpt    = "rcpt"
	StageData    = "data"
)

// Envelope is where a message comes from and goes to. An empty From is the null
// reverse-path of RFC 5321 section 4.5.5.
type Envelope struct {
	From, To string
}

// Message is what goes into an envelope, for a Turn.
type Message struct {
	// Text makes it. It is asked for once, when the first server is reached: where that
	// one takes an envelope in one go, while it thinks about it. If it fails nothing is sent.
	Text func() ([]byte, error)
	// MayGo, if it is set, is asked when a server has agreed to take the message, and
	// before anything of it is sent. If it says no, nothing is.
	MayGo func() bool
}

// Attempt is one server's part in a Send.
type Attempt struct {
	At       time.Time
	Server   string // HOST:PORT; "" if the message was refused before any was asked
	Stage    string // the last one reached
	Code     int    // of the deciding reply; 0 if there was none
	Enhanced string // RFC 3463 code of that reply, for example "5.1.1", or ""
	// Reply is the deciding reply with its code, on one line, without control
	// characters and secrets, at most 2 kB.
	Reply string
	// Conversation has a line for each command ("C: ") and reply ("S: "), without
	// secrets and the message, at most 8 kB.
	Conversation string
	Duration     time.Duration
	Outcome      Outcome
	Err          error // why it was not accepted; nil if it was
}

// Options are the settings of a Relay. Zero durations and numbers mean the defaults.
type Options struct {
	Servers        []Server         // in the order they are tried
	Hello          string           // our name in EHLO; "localhost" if empty
	MaxConns       int              // open connections to each server, kept ones included, and mails at a time; 12
	ConnectTimeout time.Duration    // to connect, and again for the TLS handshake; 10 s
	CommandTimeout time.Duration    // for the reply to a command; 30 s
	DataTimeout    time.Duration    // to send the message, and again for the answer; 5 min
	TLSConfig      *tls.Config      // extra settings for tests; the server's name is added
	Clock          func() time.Time // for times and rests in the record; required
}

// Relay hands messages to SMTP servers. It is safe for concurrent use.
type Relay struct {
	options  Options
	hosts    []*host
	domains  *domains
	downline line // those who wait for a server

	mu     sync.Mutex
	closed bool
}

// complete gives the options with the defaults filled in.
func (o Options) complete() Options {
	if o.Hello == "" || !plainHello(o.Hello) {
		o.Hello = "localhost"
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 12
	}
	for _, d := range []struct {
		at     *time.Duration
		normal time.Duration
	}{
		{&o.ConnectTimeout, 10 * time.Second},
		{&o.CommandTimeout, 30 * time.Second},
		{&o.DataTimeout, 5 * time.Minute},
	} {
		if *d.at <= 0 {
			*d.at = d.normal
		}
	}
	return o
}

// New makes a Relay. It connects when the first message is sent.
func New(o Options) *Relay {
	o = o.complete()
	r := &Relay{options: o, domains: newDomains(o.MaxConns)}
	for _, s := range o.Servers {
		r.hosts = append(r.hosts, newHost(s, o))
	}
	return r
}

// Close ends kept connections; those in use end with their message. A Send
// afterwards is refused.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, h := range r.hosts {
		h.close()
	}
	return nil
}

var (
	errClosed    = errors.New("the relay is closed")
	errNoServers = errors.New("no mail server is configured")
)

var errWaits = errors.New("no mail server can be used at the moment, or the recipient's domain asked for patience")

// Send hands raw to the first server that takes it. It gives one Attempt for
// each server tried, at least one; the last decides.
//
// It ends with the first server that accepts, that refuses the recipient or the
// message for good, or whose answer is unknown. Everything else moves on to the
// next server; one that failed too often of late is left out. What is wrong
// before MAIL is the server's or the operator's fault and therefore Temporary,
// whatever the reply's code. An unsendable envelope or message is Permanent and
// reaches no server. When ctx ends, so does the conversation.
//
// Whoever has many mails takes a Turn for each: then waiting is no attempt.
func (r *Relay) Send(ctx context.Context, e Envelope, raw []byte) []Attempt {
	if err := plainMessage(raw); err != nil {
		return []Attempt{{At: r.options.Clock(), Stage: StageData, Outcome: Permanent, Err: fmt.Errorf("message: %w", err)}}
	}
	t, w := r.Turn(ctx, e.To)
	var attempts []Attempt
	if t != nil {
		attempts, w, _ = t.Send(ctx, e, Message{Text: func() ([]byte, error) { return raw, nil }}) // this text does not fail
	}
	if len(attempts) == 0 {
		return []Attempt{{At: r.options.Clock(), Stage: StageConnect, Outcome: Temporary, Err: fmt.Errorf("%w; again at %s", errWaits, w.Until.UTC().Format(time.TimeOnly))}}
	}
	return attempts
}

// hand is Send within a turn. Without an attempt it gives the time to come back, or
// the letter could not be made.
func (r *Relay) hand(ctx context.Context, l *letter) ([]Attempt, time.Time) {
	started := r.options.Clock()
	if l.refused != nil {
		return []Attempt{{At: started, Stage: l.stage, Outcome: Permanent, Err: l.refused}}, time.Time{}
	}
	if err := r.usable(); err != nil {
		return []Attempt{{At: started, Stage: StageConnect, Outcome: Temporary, Err: err}}, time.Time{}
	}
	attempts := make([]Attempt, 0, 1)
	var again time.Time
	for _, h := range r.order(started) {
		p, until := h.breaker.enter(r.options.Clock())
		if p == noPass {
			if again.IsZero() || until.Before(again) {
				again = until
			}
			continue
		}
		a := h.attempt(ctx, l, p)
		if l.failed != nil {
			return nil, time.Time{}
		}
		attempts = append(attempts, a)
		if a.final() || ctx.Err() != nil {
			break
		}
	}
	return attempts, again
}

// soonest is when a server can be used; now or earlier: one can, or there is none.
func (r *Relay) soonest(now time.Time) time.Time {
	var soonest time.Time
	for i, h := range r.hosts {
		if at := h.breaker.when(now); i == 0 || at.Before(soonest) {
			soonest = at
		}
	}
	return soonest
}

func (r *Relay) usable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return errClosed
	case len(r.hosts) == 0:
		return errNoServers
	default:
		return nil
	}
}

// order gives the servers as configured, those that hang last.
func (r *Relay) order(now time.Time) []*host {
	if len(r.hosts) == 1 {
		return r.hosts
	}
	fine, hanging := make([]*host, 0, len(r.hosts)), []*host(nil)
	for _, h := range r.hosts {
		if h.hangs(now) {
			hanging = append(hanging, h)
		} else {
			fine = append(fine, h)
		}
	}
	return append(fine, hanging...)
}

// Refused tells whether the server said a clear no. Where it neither did nor
// accepted, its reply decides nothing, whatever the code: it was out of step.
func (a Attempt) Refused() bool {
	f, ok := errors.AsType[*failure](a.Err)
	return ok && f.refused
}

// final tells whether no other server should be tried.
func (a Attempt) final() bool {
	switch a.Outcome {
	case Accepted, Unknown:
		return true
	case Permanent:
		return a.Stage == StageRcpt || a.Stage == StageData
	default:
		return false
	}
}
