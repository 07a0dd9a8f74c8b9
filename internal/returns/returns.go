// Package returns is the door for mail that comes back: an SMTP server for the
// return paths of our mails.
//
// It believes nothing but what comes to a return path that we made, and it
// never answers by mail, so no loop can run through it. What it takes costs at
// most its size: of a long mail the beginning is kept, and the rest is read and
// thrown away.
package returns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/canary"
	"github.com/sparekey/sparekey/internal/delivery"
)

const (
	// keep is how much of a mail is looked at, in bytes. A report stands at the
	// beginning; what follows is our own mail, come back.
	keep = 1 << 20
	// maxMessage is the largest mail that is taken at all.
	maxMessage = 32 << 20
	// maxLine is the longest line; servers that report are not strict about it.
	maxLine = 1 << 20
	// maxRecipients is what RFC 5321 section 4.5.3.1.8 demands.
	maxRecipients = 100
	// stepTime is the time for one command or one message, wholeTime that of a connection.
	stepTime  = 5 * time.Minute
	wholeTime = 10 * time.Minute
	// takeTime is the time for the database.
	takeTime = 30 * time.Second
)

// Options say what a listener does with what comes.
type Options struct {
	Delivery *delivery.Delivery
	Domain   string // right of the @ in return paths
	Sender   string // the address our mails come from
	Clock    func() time.Time
	Log      *slog.Logger
	// Observe is told what became of each mail, for metrics; it may be nil.
	Observe func(kind, verdict string)
	// Canary takes the mail that the server sends to itself; it may be nil.
	Canary *canary.Canary
	// Alarm is told when an hour had more forged return paths than
	// alarm.ForgedAnHour, once an hour; it may be nil.
	Alarm func()
}

// Listener takes returned mail. It is safe for concurrent use.
type Listener struct {
	options  Options
	server   *smtp.Server
	listener net.Listener
	hour     hour
	base     context.Context //nolint:containedctx // SMTP has none; it ends with the listener
	end      context.CancelFunc
	served   chan struct{} // closed when the server has ended
}

// Listen starts to take returned mail on HOST:PORT.
func Listen(address string, o Options) (*Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for returned mail: %w", err)
	}
	r := &Listener{options: o, listener: l, served: make(chan struct{})}
	r.base, r.end = context.WithCancel(context.Background())
	r.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return r.session(c), nil
	}))
	r.server.Domain = o.Domain
	r.server.MaxMessageBytes, r.server.MaxRecipients, r.server.MaxLineLength = maxMessage, maxRecipients, maxLine
	r.server.ReadTimeout, r.server.WriteTimeout = stepTime, time.Minute
	r.server.EnableSMTPUTF8 = true
	r.server.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are no news
	go func() {
		defer close(r.served)
		if err := r.server.Serve(bound(l)); err != nil && !errors.Is(err, net.ErrClosed) {
			o.Log.Error("take returned mail", "error", err)
		}
	}()
	return r, nil
}

// Addr is the address it listens on, HOST:PORT.
func (r *Listener) Addr() string { return r.listener.Addr().String() }

// Close lets mails under way finish until ctx ends, then hangs up.
func (r *Listener) Close(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = r.server.Close() // whoever is that slow sends it again
	}
	_ = r.listener.Close() // which the server does not know of if it has hardly begun
	r.end()
	<-r.served
	if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *Listener) observe(kind, verdict string) {
	if r.options.Observe != nil {
		r.options.Observe(kind, verdict)
	}
}

// forged counts a return path that we did not make, and tells once an hour.
func (r *Listener) forged(from, remote string) {
	r.observe("none", string(delivery.Forged))
	n := r.hour.count(r.options.Clock())
	if n != alarm.ForgedAnHour+1 {
		return
	}
	r.options.Log.Warn("somebody sends returned mail to addresses that we did not make", "in_an_hour", n, "sender", from, "network", remote)
	if r.options.Alarm != nil {
		r.options.Alarm()
	}
}

// session is one SMTP connection.
type session struct {
	listener *Listener
	remote   string
	from     string
	paths    []string // return paths that we made, each once
	own      []string // addresses of the canary
	quiet    bool     // something is for the sender's address or the postmaster: taken and dropped
	wrote    string   // the address, if somebody writes to the postmaster
}

func (r *Listener) session(c *smtp.Conn) *session {
	remote, _, _ := net.SplitHostPort(c.Conn().RemoteAddr().String())
	return &session{listener: r, remote: remote}
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

var (
	errNotHere = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "There is no such address here."}
	errRelay   = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "This server takes returned mail only and passes nothing on."}
	errNotNow  = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Not just now; please come back later."}
)

// Rcpt takes a return path that we made, whoever sends: reports come from the
// null sender, some automatic answers do not, and receivers that check whether
// our sender exists get no further than this.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, domain := split(to)
	o := s.listener.options
	switch {
	case strings.EqualFold(to, o.Sender):
		s.quiet = true
		return nil
	case s.postmaster(local, domain):
		s.quiet, s.wrote = true, strings.TrimSuffix(to, "@.") // see local
		return nil
	case o.Canary != nil && o.Canary.Has(to):
		s.own = append(s.own, to)
		return nil
	case domain == "":
		return errNotHere
	case !strings.EqualFold(domain, o.Domain):
		return errRelay
	}
	ctx, cancel := context.WithTimeout(s.listener.base, takeTime)
	defer cancel()
	ours, err := o.Delivery.OurReturnPath(ctx, local)
	switch {
	case err != nil:
		o.Log.Error("read return path", "error", err)
		return errNotNow
	case !ours:
		s.listener.forged(s.from, s.remote)
		return errNotHere
	}
	for _, p := range s.paths {
		if strings.EqualFold(p, local) {
			return nil
		}
	}
	s.paths = append(s.paths, local)
	return nil
}

// postmaster tells whether an address is one that RFC 5321 section 4.5.1 and RFC 2142
// want taken. Refusing would make noise, as it would for automatic answers to the
// sender's address.
func (s *session) postmaster(local, domain string) bool {
	o := s.listener.options
	_, sender := split(o.Sender)
	switch strings.ToLower(local) {
	case "postmaster", "abuse":
		return domain == "" || strings.EqualFold(domain, o.Domain) || strings.EqualFold(domain, sender)
	}
	return false
}

func split(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, ""
	}
	return address[:at], strings.TrimSuffix(address[at+1:], ".")
}

func (s *session) Data(in io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(in, keep))
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if err != nil {
		return err
	}
	o := s.listener.options
	if s.quiet {
		s.listener.observe("none", "to the sender")
	}
	if s.wrote != "" { // perhaps a person: nobody reads it here, but the operator can ask back
		o.Log.Info("somebody wrote to the postmaster; the mail is not kept", "to", brief(s.wrote), "sender", brief(s.from), "network", s.remote)
	}
	for _, to := range s.own {
		o.Canary.Take(to, raw)
	}
	ctx, cancel := context.WithTimeout(s.listener.base, takeTime)
	defer cancel()
	for _, path := range s.paths {
		took, err := o.Delivery.TakeReturned(ctx, path, raw)
		if err != nil {
			o.Log.Error("take returned mail", "error", err)
			return errNotNow // and the same again does nothing twice
		}
		s.listener.observe(string(took.Kind), string(took.Verdict))
	}
	return nil
}

// brief bounds an address for the log; no true one is longer (RFC 5321 section 4.5.3.1.3).
func brief(address string) string { return address[:min(len(address), 256)] }

func (s *session) Reset() {
	s.from, s.paths, s.own, s.quiet, s.wrote = "", nil, nil, false, ""
}

func (s *session) Logout() error { return nil }
