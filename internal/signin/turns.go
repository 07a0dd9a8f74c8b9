package signin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
)

// turns lets the tries of one subject be looked at one after the other. A try is
// counted before its password is looked at; side by side, many right ones would
// look like many guesses. Whoever waits learns nothing: it is the typed address
// that is waited for, whether or not anybody has it.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // of those that somebody has or waits for
}

type turn struct {
	taken chan struct{} // holds one
	users int
}

// How many may wait for one subject, and for how long. The guesses of a flood are
// refused without a look at the password, so the line moves quickly.
const (
	mostWaiting = 100
	longestWait = 15 * time.Second
)

func busy() error {
	return &fault.Error{
		Kind: fault.Unavailable, RetryAfter: 5 * time.Second,
		Sentence: "Many sign-ins with this address are under way. Please try again in a few seconds.",
	}
}

// take waits for a turn; leave gives it to the next. Unavailable if too many wait,
// or for too long.
func (t *turns) take(ctx context.Context, subject string) (leave func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	mine := t.of[subject]
	if mine == nil {
		mine = &turn{taken: make(chan struct{}, 1)}
		t.of[subject] = mine
	}
	if mine.users > mostWaiting {
		t.mu.Unlock()
		return nil, busy()
	}
	mine.users++
	t.mu.Unlock()
	tired := time.NewTimer(longestWait)
	defer tired.Stop()
	select {
	case mine.taken <- struct{}{}:
		return func() { <-mine.taken; t.done(subject, mine) }, nil
	case <-ctx.Done():
		t.done(subject, mine)
		return nil, fmt.Errorf("wait to sign in: %w", ctx.Err())
	case <-tired.C:
		t.done(subject, mine)
		return nil, busy()
	}
}

func (t *turns) done(subject string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.of, subject)
	}
}
