package relay

import (
	"sync"
	"time"
)

// State is that of a circuit.
type State string

// The states of a circuit, in the words of the pattern.
const (
	Closed   State = "closed"    // it works, as far as we know
	Open     State = "open"      // it failed too often and is left alone
	HalfOpen State = "half-open" // one probe is under way, or the next mail is it
)

// breaker is a circuit breaker: after some failures in a row it opens, lets one
// probe through when its pause is over, and closes with the first success. Each
// probe that fails doubles the pause.
//
// The pause is told, so that who is turned away can come back in time; that and
// a clock of our own is what the libraries' breakers lack (docs/decisions/0015).
type breaker struct {
	after       int           // failures in a row that open it
	least, most time.Duration // the pause

	mu       sync.Mutex
	failures int       // in a row
	since    time.Time // of the first of them
	pauses   int       // in a row; 0 while closed
	until    time.Time // end of the pause
	probing  bool
	last     string // what went wrong
}

// pass says how one comes through a breaker.
type pass int

const (
	noPass pass = iota
	freePass
	probePass // whoever has it must call worked, failed or undecided
)

// probeTime is when to ask again while somebody else probes.
const probeTime = 5 * time.Second

// enter gives a pass, or the time to come back.
func (b *breaker) enter(now time.Time) (pass, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.pauses == 0:
		return freePass, time.Time{}
	case now.Before(b.until):
		return noPass, b.until
	case b.probing:
		return noPass, now.Add(probeTime)
	default:
		b.probing = true
		return probePass, time.Time{}
	}
}

// when tells since which moment, or from when on, enter gives a pass.
func (b *breaker) when(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.pauses == 0:
		return now
	case b.probing && !now.Before(b.until):
		return now.Add(probeTime)
	default:
		return b.until
	}
}

// worked closes the circuit.
func (b *breaker) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.pauses, b.probing, b.last = 0, 0, false, ""
	b.since, b.until = time.Time{}, time.Time{}
}

// failed counts a failure. Those of attempts that began before it opened change
// nothing: one outage is one outage, however many it met.
func (b *breaker) failed(now time.Time, p pass, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now, why)
	if p == probePass || b.pauses == 0 && b.failures >= b.after {
		b.open(now, 0)
	}
}

// pause opens the circuit at once, for at least so long.
func (b *breaker) pause(now time.Time, least time.Duration, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now, why)
	if b.pauses == 0 || b.probing || now.Add(least).After(b.until) {
		b.open(now, least)
	}
}

func (b *breaker) count(now time.Time, why string) {
	if b.failures == 0 {
		b.since = now
	}
	b.failures++
	b.last = why
}

func (b *breaker) open(now time.Time, least time.Duration) {
	pause := min(b.least<<min(b.pauses, 16), b.most)
	b.until = now.Add(min(max(pause, least), longestPause))
	b.pauses++
	b.probing = false
}

// longestPause bounds what a server may ask for.
const longestPause = time.Hour

// undecided gives a probe back.
func (b *breaker) undecided(p pass) {
	if p != probePass {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// Health is how a circuit stands.
type Health struct {
	State     State
	Since     time.Time // of the first failure; zero if the last try worked
	Until     time.Time // when it is tried again; zero if closed
	Failures  int       // in a row
	LastError string    // of the last one, cleaned like Attempt.Reply
}

func (b *breaker) health(now time.Time) Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := Health{State: Closed, Since: b.since, Until: b.until, Failures: b.failures, LastError: b.last}
	switch {
	case b.pauses == 0:
	case now.Before(b.until):
		h.State = Open
	default:
		h.State = HalfOpen
	}
	return h
}
