package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
)

const (
	// slowAfter is when a domain's conversations are long enough to hold others up.
	slowAfter = 2 * time.Second
	// shortWait is how long a turn waits for another one of its domain to end.
	shortWait = time.Second
	// mostDomains bounds what is remembered; what is forgotten starts afresh.
	mostDomains = 1000
	// A domain that puts off so many mails in a row is left alone for a while.
	domainAfter = 5
	domainLeast = 15 * time.Second
	domainMost  = 5 * time.Minute
	// spreadBusy is how far ahead a turn of a slow domain may be.
	spreadBusy = 5 * time.Minute
)

// domain is what we know of a domain that mails go to.
type domain struct {
	name    string
	breaker breaker
	waiting line
	flights flights
	took    time.Duration // a turn lately, the newest counting a quarter
	used    time.Time
}

func (d *domain) slow(now time.Time) bool {
	return d.took > slowAfter || d.flights.longer(slowAfter, now) > 0
}

// domains lets nobody hold up everybody: one domain has at most two thirds of
// the senders and a slow one at most a third, and slow ones together leave a
// third free.
type domains struct {
	senders int

	mu    sync.Mutex
	known map[string]*domain
	busy  map[*domain]bool // with a turn under way
	ended chan struct{}    // closed when a turn ends; nil if nobody waits for it
}

func newDomains(senders int) *domains {
	return &domains{senders: senders, known: map[string]*domain{}, busy: map[*domain]bool{}}
}

func (s *domains) turn(ctx context.Context, r *Relay, name string) (*Turn, Wait) {
	var patience <-chan time.Time
	for {
		t, w, ended := s.try(r, name)
		if ended == nil {
			return t, w
		}
		if patience == nil {
			timer := time.NewTimer(shortWait)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-ended:
		case <-patience:
			return nil, w
		case <-ctx.Done():
			return nil, w
		}
	}
}

// try gives a turn, a wait, or both a wait and what may shorten it.
func (s *domains) try(r *Relay, name string) (*Turn, Wait, <-chan struct{}) {
	now := r.options.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.of(name, now)
	slow := d.slow(now)
	if !s.room(d, slow, now) {
		step := max(d.took/time.Duration(s.limit(slow)), time.Millisecond)
		w := Wait{d.waiting.after(now.Add(shortWait), spreadBusy, step), DomainBusy}
		if slow {
			return nil, w, nil
		}
		if s.ended == nil {
			s.ended = make(chan struct{})
		}
		return nil, w, s.ended
	}
	p, until := d.breaker.enter(now)
	if p == noPass {
		return nil, Wait{d.waiting.after(until, spreadProbes, stepProbes), DomainWaits}, nil
	}
	s.busy[d] = true
	return &Turn{relay: r, domain: d, pass: p, flight: d.flights.begin(now)}, Wait{}, nil
}

// of gives the domain of a name. The oldest that nothing hangs on makes room.
func (s *domains) of(name string, now time.Time) *domain {
	d := s.known[name]
	if d == nil {
		if len(s.known) >= mostDomains {
			s.forget(now)
		}
		d = &domain{name: name, breaker: breaker{after: domainAfter, least: domainLeast, most: domainMost}}
		s.known[name] = d
	}
	d.used = now
	return d
}

// forget drops a tenth: those without news that were used longest ago, or, where
// all have news, any.
func (s *domains) forget(now time.Time) {
	idle := make([]*domain, 0, len(s.known))
	for _, d := range s.known {
		if !s.busy[d] {
			idle = append(idle, d)
		}
	}
	slices.SortFunc(idle, func(a, b *domain) int {
		quietA, quietB := a.breaker.health(now).State == Closed, b.breaker.health(now).State == Closed
		if quietA != quietB {
			if quietA {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	for _, d := range idle[:min(len(idle), mostDomains/10)] {
		delete(s.known, d.name)
	}
}

// limit is how many turns one domain may have.
func (s *domains) limit(slow bool) int {
	if slow {
		return max(1, s.senders/3)
	}
	return max(1, s.senders*2/3)
}

func (s *domains) room(d *domain, slow bool, now time.Time) bool {
	if len(d.flights.started) >= s.limit(slow) {
		return false
	}
	if !slow {
		return true
	}
	all := 0
	for other := range s.busy {
		if other.slow(now) {
			all += len(other.flights.started)
		}
	}
	return all < s.limit(false)
}

func (s *domains) end(t *Turn, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := t.domain
	took := now.Sub(d.flights.started[t.flight]) - t.waited
	d.took += (took - d.took) / 4
	d.flights.end(t.flight)
	if len(d.flights.started) == 0 {
		delete(s.busy, d)
	}
	if s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
	d.breaker.undecided(t.pass) // where learn has decided, this changes nothing
}

// learn takes what a domain said. Only answers about the recipient or the mail
// count: what came before them, and silence, are our server's matter.
func (s *domains) learn(t *Turn, a Attempt, now time.Time) {
	b := &t.domain.breaker
	if a.Outcome == Accepted {
		b.worked()
		return
	}
	if a.Code == 0 || !a.Refused() || a.Stage != StageRcpt && a.Stage != StageData {
		return
	}
	f := diagnosis.Reply(diagnosis.Heard{
		Stage: a.Stage, Code: a.Code, Enhanced: a.Enhanced, Text: a.Reply, Server: a.Server, Domain: t.domain.name, First: true,
	})
	switch {
	case ofOneMailbox[f.Class] || strings.HasPrefix(a.Enhanced, "4.2."): // RFC 3463 section 3.3: the mailbox's status
		b.undecided(t.pass)
	case f.Class == diagnosis.RateLimited:
		b.pause(now, f.ComeBack, a.Reply)
	case a.Outcome == Permanent:
		b.worked() // it answers, and means this one mail
	default:
		b.failed(now, t.pass, fmt.Sprintf("%s: %s", a.Stage, a.Reply))
	}
}

// ofOneMailbox are the reasons to put off a mail that say nothing of the next
// one. A greylisting server must even see each of them: the first try is what
// starts its clock.
var ofOneMailbox = map[diagnosis.Class]bool{
	diagnosis.Greylisted: true, diagnosis.MailboxFull: true,
}
