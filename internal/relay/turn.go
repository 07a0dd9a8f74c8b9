package relay

import (
	"context"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/address"
)

// Wait says that a mail's turn has not come. It is no attempt: nothing was tried.
type Wait struct {
	Until time.Time
	Why   Why
}

// Why tells what a mail waits for.
type Why string

// What a mail waits for.
const (
	ServersDown Why = "servers-down" // no server of ours can be used
	DomainWaits Why = "domain-waits" // the recipient's domain asked for patience
	DomainBusy  Why = "domain-busy"  // others to that domain are under way
)

// Turn is the right to hand over one mail now. It must be ended.
type Turn struct {
	relay  *Relay
	domain *domain
	pass   pass
	flight int
	waited time.Duration // for nothing the domain did
	once   sync.Once
}

// Turn asks whether a mail to this address can be handed over now; if not, it
// gives a Wait. It waits a moment itself where another turn of the same domain is
// about to end. Asking costs nothing: what making a mail ready costs is better
// spent with a turn in hand.
func (r *Relay) Turn(ctx context.Context, to string) (*Turn, Wait) {
	now := r.options.Clock()
	if until := r.soonest(now); until.After(now) {
		return nil, Wait{r.downline.after(until, spreadProbes, stepProbes), ServersDown}
	}
	return r.domains.turn(ctx, r, address.Domain(to))
}

// Send is Relay.Send in this turn, which it ends. No attempt: wait. Its error is that
// of the message's text, whatever the servers said.
func (t *Turn) Send(ctx context.Context, e Envelope, m Message) ([]Attempt, Wait, error) {
	defer t.End()
	l := prepare(e, m)
	attempts, until := t.relay.hand(ctx, l)
	t.waited = l.waited
	switch {
	case l.failed != nil:
		return nil, Wait{}, l.failed
	case len(attempts) == 0:
		return nil, Wait{t.relay.downline.after(until, spreadProbes, stepProbes), ServersDown}, nil
	}
	if ctx.Err() == nil {
		t.relay.domains.learn(t, attempts[len(attempts)-1], t.relay.options.Clock())
	}
	return attempts, Wait{}, nil
}

// End gives the turn back; a second time does nothing.
func (t *Turn) End() {
	t.once.Do(func() { t.relay.domains.end(t, t.relay.options.Clock()) })
}

// What waits for one moment is spread a little behind it, so that not all come
// at once and the order stays.
const (
	spreadProbes = 10 * time.Second
	stepProbes   = 2 * time.Millisecond
)

// line spreads those who wait for one moment.
type line struct {
	mu   sync.Mutex
	last time.Time
}

// after gives a time from base on, each a step behind the one before, within spread.
func (l *line) after(base time.Time, spread, step time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.last.Add(step)
	if next.Before(base) || next.After(base.Add(spread)) {
		next = base
	}
	l.last = next
	return next
}
