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
	// After restAfter failures in a row a server rests, for restLeast at first and
	// twice as long with each further one, up to restMost.
	restAfter = 3
	restLeast = 15 * time.Second
	restMost  = 2 * time.Minute
)

// host is a server with its connections.
type host struct {
	server  Server
	options Options
	slots   chan struct{} // one for each connection in use

	mu        sync.Mutex
	kept      []*conn // the last used one last
	closed    bool
	failures  int // in a row, before MAIL
	restUntil time.Time
}

func newHost(s Server, o Options) *host {
	if s.TLS == "" {
		s.TLS = StartTLS
	}
	return &host{server: s, options: o, slots: make(chan struct{}, o.MaxConns)}
}

// attempt tries to hand over one message.
func (h *host) attempt(ctx context.Context, l letter) Attempt {
	a := Attempt{At: h.options.Clock(), Server: h.server.address()}
	t := &talk{}
	r, f := h.hand(ctx, l, t)
	a.Duration = h.options.Clock().Sub(a.At)
	a.Conversation = t.String()
	if f == nil {
		a.Stage, a.Outcome = StageData, Accepted
	} else {
		r = f.reply
		a.Stage, a.Outcome, a.Err = f.stage, f.outcome(), f
	}
	a.Code, a.Enhanced, a.Reply = r.code, r.enhanced(), r.text()
	if ctx.Err() == nil || f == nil {
		h.note(a)
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

// hand uses a kept connection, or a new one. A kept one that turns out to be
// dead is replaced without a word.
func (h *host) hand(ctx context.Context, l letter, t *talk) (reply, *failure) {
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
func (h *host) use(ctx context.Context, c *conn, l letter) (reply, *failure) {
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

// note remembers whether the server can be used.
func (h *host) note(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.Stage == StageMail || a.Stage == StageRcpt || a.Stage == StageData {
		h.failures = 0
		return
	}
	h.failures++
	if h.failures >= restAfter {
		h.restUntil = a.At.Add(a.Duration).Add(min(restLeast<<min(h.failures-restAfter, 4), restMost))
	}
}

func (h *host) resting(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures >= restAfter && now.Before(h.restUntil)
}
