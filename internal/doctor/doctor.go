// Package doctor looks at an installation as a physician would: it asks many
// short questions, changes nothing, and says of each what it found and what to
// do.
//
// server.go: configuration, database, clock, keys. mail.go: the way a mail takes
// to its first server. sender.go: what the world's DNS says about us. Every check is
// bounded in time and runs beside the others, so that a dead server costs
// seconds and hides nothing.
package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/maildns"
)

// Check is one question and its answer.
type Check = maildns.Check

// Doctor holds what its checks need. DB and Ring may be nil: where they cannot be
// opened, the rest is looked at all the same.
type Doctor struct {
	Config config.Config
	DB     *db.DB
	Ring   *keyring.Ring
	Clock  func() time.Time
	// Roots are whose certificates count; nil means those of the machine.
	Roots *x509.CertPool
	// Limit bounds each check; 5 s if zero.
	Limit time.Duration
}

// The limits of one check, and of one that sends a mail.
const (
	usualLimit = 5 * time.Second
	sendLimit  = 30 * time.Second
)

// Question says what to look at besides the usual.
type Question struct {
	Environment environment.Environment // its sender; zero: the server's
	To          string                  // a test mail is sent there; "" sends none
	Resolver    *maildns.Resolver       // nil: the machine's own
	FromIP      []netip.Addr            // the public addresses that mail leaves from
	MailOnly    bool                    // leave out configuration, database, clock and keys
}

// task is a check under way: a title for when it does not come back.
type task struct {
	name, title string
	limit       time.Duration
	run         func(ctx context.Context) []Check
}

// Examine makes all checks, in the order they are shown. Only an operator does.
func (d *Doctor) Examine(ctx context.Context, actor access.Actor, q Question) ([]Check, error) {
	if !access.May(actor, id.OperatorEnvironment, access.OpenConsole) {
		return nil, fault.New(fault.Denied, "Only an operator does this.")
	}
	if q.Resolver == nil {
		q.Resolver = maildns.System()
	}
	var tasks []task
	if !q.MailOnly {
		tasks = d.server()
	}
	tasks = slices.Concat(tasks, d.mail(q), d.sender(ctx, q))
	return d.all(ctx, tasks), nil
}

// all runs the tasks beside each other and puts their answers in order.
func (d *Doctor) all(ctx context.Context, tasks []task) []Check {
	answers := make([]chan []Check, len(tasks))
	for i, t := range tasks {
		answers[i] = make(chan []Check, 1)
		go func() { answers[i] <- d.one(ctx, t) }()
	}
	var all []Check
	for _, a := range answers {
		all = append(all, <-a...)
	}
	return all
}

// one bounds a task, also one that does not heed its context.
func (d *Doctor) one(ctx context.Context, t task) []Check {
	limit := d.Limit
	if limit == 0 {
		limit = usualLimit
	}
	ctx, cancel := context.WithTimeout(ctx, max(limit, t.limit))
	defer cancel()
	done := make(chan []Check, 1)
	go func() { done <- t.run(ctx) }()
	select {
	case checks := <-done:
		return checks
	case <-ctx.Done():
	}
	select {
	case checks := <-done: // it heeded the end of its time and says what it knows
		return checks
	case <-time.After(limit / 10):
	}
	return []Check{Check{Name: t.name, Title: t.title}.
		Ended(maildns.Unchecked, "There was no answer within %s.", max(limit, t.limit)).
		Do("Try again; if it stays so, what is asked here hangs.")}
}

// web fetches what domains publish, and nothing else.
func (d *Doctor) web() *http.Client {
	return &http.Client{Timeout: usualLimit, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: d.tls(), DisableKeepAlives: true}}
}

// Failed tells whether any check found something wrong.
func Failed(checks []Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.State == maildns.Fail })
}

// words is an error in the words of its fault, or its own.
func words(err error) string {
	if f := fault.As(err); f != nil {
		return f.Sentence
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
