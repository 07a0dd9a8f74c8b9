package password

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
)

// retryAfter is what a client is told to wait when the pool is full.
const retryAfter = 2 * time.Second

// pool lets a bounded number of hashes run at once and a bounded number wait.
// The work runs in the caller's goroutine, so a place is taken until the hash
// ends, also when the client has left: those who hang up free no memory early.
// Waiting callers are served in the order in which they came.
type pool struct {
	places  chan struct{} // one element for each hash that runs
	queue   chan struct{} // one element for each caller that waits
	maxWait time.Duration
	begun   atomic.Int64
}

func newPool(workers, maxQueue int, maxWait time.Duration) *pool {
	return &pool{
		places:  make(chan struct{}, workers),
		queue:   make(chan struct{}, maxQueue),
		maxWait: maxWait,
	}
}

// run does the work in a place of the pool. It returns fault.Unavailable when
// the queue is full or the wait too long, and the context's error when the
// caller left while waiting. Once begun, work is finished.
func (p *pool) run(ctx context.Context, work func()) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer func() { <-p.places }()
	p.begun.Add(1)
	work()
	return nil
}

func (p *pool) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	select {
	case p.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return busy()
	}
	timer := time.NewTimer(p.maxWait)
	defer timer.Stop()
	select {
	case p.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to hash password: %w", ctx.Err())
	case <-timer.C:
		return busy()
	}
}

func busy() error {
	return &fault.Error{
		Kind:       fault.Unavailable,
		Sentence:   "Very many people are signing in right now. Please try again in a few seconds.",
		RetryAfter: retryAfter,
	}
}
