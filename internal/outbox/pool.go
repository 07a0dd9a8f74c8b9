package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Lease is how long a killed worker's job waits for another; renewEvery keeps
// it alive while the worker lives, also during a slow mail server.
const (
	Lease      = 10 * time.Second
	renewEvery = 3 * time.Second
	lookEvery  = time.Second // for work of other nodes, and work that falls due
)

// Pool runs the jobs of one kind.
type Pool struct {
	DB   *db.DB
	Kind Kind
	Size int // jobs at a time
	Log  *slog.Logger
	// Pause is how long a job waits after the commit that promises it. Without one it
	// starts with the promise: Handle begins while the transaction is under way, and
	// asks Job.Committed before it does anything that others see. That is quicker, but
	// whoever waits for the answer to that commit may feel what the job costs. So
	// what follows from an asking waits: it costs more for a known address.
	Pause time.Duration
	// Load reads what the job needs, if it is set; Handle finds it in Job.Loaded.
	// It is not asked for a job that starts at once where whoever promises that gives
	// it along.
	// If what it is about is gone (db.ErrNone or fault.NotFound), so is the job.
	Load func(tx *db.Tx, j Job) (any, error)
	// Handle does the job and calls Done or Postpone in its own transaction.
	// A job of which it returns an error is tried again later.
	Handle func(ctx context.Context, j Job) error

	holder   string
	free     chan struct{} // a token for each worker that has nothing to do
	hard     context.Context
	mu       sync.Mutex
	stopped  bool
	underWay map[id.Job]Job // their leases are renewed, and no others
	running  sync.WaitGroup
}

// Run works until ctx ends, then waits for the jobs under way. When hard ends
// too it interrupts them; their leases run out and another worker does them.
func (p *Pool) Run(ctx, hard context.Context) {
	p.begin(hard)
	stopRenewing := p.renewing()
	defer stopRenewing() // after the last job: also a slow one keeps its lease
	p.look(ctx)
	p.DB.Attach(topic(p.Kind), nil)
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.running.Wait()
}

// begin makes the workers known to those who promise jobs.
func (p *Pool) begin(hard context.Context) {
	p.holder, p.hard = secret.NewToken()[:16], hard
	p.free = make(chan struct{}, p.Size)
	for range p.Size {
		p.free <- struct{}{}
	}
	p.underWay = map[id.Job]Job{}
	p.DB.Attach(topic(p.Kind), p)
}

// look claims what is due as long as workers are free.
func (p *Pool) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.free:
		}
		slots := 1 + takeAll(p.free)
		jobs := p.claim(ctx, slots)
		for range slots - len(jobs) {
			p.free <- struct{}{}
		}
		for _, j := range jobs {
			p.start(j)
		}
		if len(jobs) == slots {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-p.DB.Notified(topic(p.Kind)):
		case <-tick.C:
		}
	}
}

// reserve takes a worker that has nothing to do, if there is one.
func (p *Pool) reserve() bool {
	select {
	case <-p.free:
		return true
	default:
		return false
	}
}

// startWith lets a reserved worker do a job that a transaction promises.
func (p *Pool) startWith(tx *db.Tx, j Job) {
	if p.Pause > 0 {
		p.startAfter(tx, j)
		return
	}
	p.startWithin(tx, j)
}

func (p *Pool) startAfter(tx *db.Tx, j Job) {
	tx.OnEnd(func(committed bool) {
		if !committed {
			p.free <- struct{}{}
			return
		}
		go func() {
			pause(p.Pause)
			p.start(j)
		}()
	})
}

func (p *Pool) startWithin(tx *db.Tx, j Job) {
	j.promise = &promise{settled: make(chan struct{}), stop: p.hard.Done()}
	tx.OnEnd(func(committed bool) {
		j.promise.kept = committed
		close(j.promise.settled)
	})
	p.start(j)
}

// start lets a reserved worker do a job. After a stop the job waits for its
// lease to run out.
func (p *Pool) start(j Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.underWay[j.ID] = j
	p.running.Go(func() {
		p.work(p.hard, j)
		p.mu.Lock()
		delete(p.underWay, j.ID)
		p.mu.Unlock()
		p.free <- struct{}{}
	})
}

func (p *Pool) jobsUnderWay() []Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.underWay))
}

func takeAll(free chan struct{}) int {
	for n := 0; ; n++ {
		select {
		case <-free:
		default:
			return n
		}
	}
}

// claim leaves out what is under way here: a lease that could not be renewed for a
// while is no reason to do it twice.
func (p *Pool) claim(ctx context.Context, n int) []Job {
	var jobs []Job
	err := p.DB.Update(ctx, func(tx *db.Tx) (err error) {
		jobs, err = claim(tx, p.Kind, p.holder, n, Lease, p.jobsUnderWay())
		return err
	})
	if err != nil && ctx.Err() == nil {
		p.Log.Error("claim jobs", "kind", p.Kind, "error", err)
	}
	if err != nil {
		return nil
	}
	return jobs
}

// handle turns a panic into an error: one bad row must not stop the server, and
// again after each restart.
func (p *Pool) handle(ctx context.Context, j Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	if j.Loaded == nil && p.Load != nil {
		if !j.Committed() {
			return nil
		}
		err := p.DB.View(ctx, func(tx *db.Tx) (err error) { j.Loaded, err = p.Load(tx, j); return err })
		if errors.Is(err, db.ErrNone) || fault.Is(err, fault.NotFound) {
			return p.DB.Update(ctx, func(tx *db.Tx) error { _, err := Done(tx, j); return err })
		}
		if err != nil {
			return err
		}
	}
	return p.Handle(ctx, j)
}

func (p *Pool) work(ctx context.Context, j Job) {
	err := p.handle(ctx, j)
	if err == nil || ctx.Err() != nil || !j.Committed() { // interrupted: its lease will run out
		return
	}
	p.Log.Error("job", "kind", p.Kind, "job", j.ID, "try", j.Tries, "error", err)
	err = p.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := Postpone(tx, j, tx.Now().Add(Backoff(j.Tries)))
		return err
	})
	if err != nil {
		p.Log.Error("postpone job", "kind", p.Kind, "job", j.ID, "error", err) // its lease will run out
	}
}

func (p *Pool) renewing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				err := p.DB.Update(ctx, func(tx *db.Tx) error { return renew(tx, p.jobsUnderWay(), Lease) })
				if err != nil && ctx.Err() == nil {
					p.Log.Error("renew leases", "kind", p.Kind, "error", err)
				}
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// Backoff is the pause after the n-th try: 2 s, doubling to an hour, with a
// third of it left to chance so that tries do not march in step.
func Backoff(n int) time.Duration {
	pause := time.Hour
	if n < 12 {
		pause = min(pause, 2*time.Second<<max(n-1, 0))
	}
	return pause*2/3 + time.Duration(rand.Int64N(int64(pause/3)))
}
