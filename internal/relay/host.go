package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// idleFor is how long an unused connection is kept; common servers wait longer.
	idleFor = 30 * time.Second
	// A server that failed so often in a row is left alone for a while.
	serverAfter = 3
	serverLeast = 5 * time.Second
	serverMost  = 5 * time.Minute
	// hangsAfter is how long a conversation lasts with a server that hangs.
	hangsAfter = 15 * time.Second
)

// host is a server with its connections.
type host struct {
	server  Server
	options Options
	slots   chan struct{} // one for each connection in use
	breaker breaker

	mu      sync.Mutex
	kept    []*conn // the last used one last
	closed  bool
	flights flights
}

func newHost(s Server, o Options) *host {
	if s.TLS == "" {
		s.TLS = StartTLS
	}
	return &host{
		server: s, options: o, slots: make(chan struct{}, o.MaxConns),
		breaker: breaker{after: serverAfter, least: serverLeast, most: serverMost},
	}
}

// attempt tries to hand over one message, with a pass of the breaker.
func (h *host) attempt(ctx context.Context, l *letter, p pass) Attempt {
	a := Attempt{At: h.options.Clock(), Server: h.server.Address()}
	defer h.flying(a.At)()
	t := &talk{}
	waited := l.waited
	r, f := h.hand(ctx, l, t)
	a.Duration = h.options.Clock().Sub(a.At) - (l.waited - waited)
	a.Conversation = t.String()
	if f == nil {
		a.Stage, a.Outcome = StageData, Accepted
	} else {
		r = f.reply
		a.Stage, a.Outcome, a.Err = f.stage, f.outcome(), f
	}
	a.Code, a.Enhanced, a.Reply = r.code, r.enhanced(), r.text()
	switch {
	case f == nil:
		h.breaker.worked()
	case ctx.Err() != nil || f.ours: // it had no time to show
		h.breaker.undecided(p)
	case f.ofServer():
		h.breaker.failed(h.options.Clock(), p, clip(clean(f.Error()), maxReply))
	default:
		h.breaker.worked()
	}
	return a
}

func (f *failure) outcome() Outcome {
	switch {
	case f.unknown:
		return Unknown
	case f.stage != StageMail && f.stage != StageRcpt && f.stage != StageData:
		return Temporary
	case f.refused && f.reply.class() != 4:
		return Permanent
	default:
		return Temporary
	}
}

// ofServer tells whether it would meet the next message too: the server cannot
// be reached or used, breaks off, talks nonsense, or takes nothing from anybody
// for now. A refusal of a sender, a recipient or a text is about that one alone.
func (f *failure) ofServer() bool {
	if f.stage != StageMail && f.stage != StageRcpt && f.stage != StageData {
		return true
	}
	return !f.refused || f.reply.code == 421 || f.stage == StageMail && f.reply.class() == 4
}

// hand uses a kept connection, or a new one. A kept one that turns out to be
// dead is replaced without a word.
func (h *host) hand(ctx context.Context, l *letter, t *talk) (reply, *failure) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return reply{}, &failure{stage: StageConnect, err: fmt.Errorf("wait for a connection: %w", context.Cause(ctx))}
	}
	if c := h.take(); c != nil {
		c.talk = t
		r, f := h.use(ctx, c, l)
		if f == nil || !f.stale() || ctx.Err() != nil {
			return r, f
		}
		*t = talk{}
	}
	c, f := dial(ctx, h.server, h.options, t)
	if f != nil {
		return reply{}, f
	}
	return h.use(ctx, c, l)
}

// stale tells whether the server had closed a kept connection, or was about to:
// nothing of the message was taken.
func (f *failure) stale() bool {
	return f.stage == StageMail && !errors.Is(f.err, errNoUTF8) && (f.reply.code == 0 || f.reply.code == 421)
}

// use delivers on c and keeps or closes it.
func (h *host) use(ctx context.Context, c *conn, l *letter) (reply, *failure) {
	end := c.follow(ctx)
	r, f := c.deliver(l)
	end()
	if f != nil {
		c.broken = c.broken || !f.refused || f.reply.code == 421
		f.err = c.explain(ctx, f.err)
	}
	h.keep(c)
	return r, f
}

// take gives the connection that was used last, or nil.
func (h *host) take() *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) == 0 {
		return nil
	}
	c := h.kept[len(h.kept)-1]
	h.kept = h.kept[:len(h.kept)-1]
	c.idle.Stop() // where its time is up just now, drop no longer finds it
	return c
}

// keep makes c ready for the next message, or closes it. A server that said more
// than it was asked for is out of step, and its next answer might be taken for
// another one.
func (h *host) keep(c *conn) {
	c.broken = c.broken || c.in.Buffered() > 0
	c.talk = nil
	if c.broken || !h.add(c) {
		c.close()
	}
}

func (h *host) add(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	c.idle = time.AfterFunc(idleFor, func() { h.drop(c) })
	h.kept = append(h.kept, c)
	return true
}

// drop closes a connection that nobody used for long.
func (h *host) drop(c *conn) {
	h.mu.Lock()
	i := slices.Index(h.kept, c)
	if i >= 0 {
		h.kept = slices.Delete(h.kept, i, i+1)
	}
	h.mu.Unlock()
	if i >= 0 {
		c.close()
	}
}

func (h *host) close() {
	h.mu.Lock()
	kept := h.kept
	h.kept, h.closed = nil, true
	h.mu.Unlock()
	for _, c := range kept {
		c.idle.Stop()
		c.close()
	}
}

// flying counts a conversation until the function it gives is called.
func (h *host) flying(now time.Time) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := h.flights.begin(now)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.flights.end(number)
	}
}

// hangs tells whether a third of the connections wait in vain: then other
// servers go first, long before the first of them is given up.
func (h *host) hangs(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.flights.longer(hangsAfter, now) > h.options.MaxConns/3
}
