package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
)

func promise(t *testing.T, d *db.DB, n int) {
	t.Helper()
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
		for i := range n {
			if err := Promise(tx, "env", Resolve, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// drains runs as many drains as there would be nodes, until the test ends or the
// result is called.
func drains(t *testing.T, d *db.DB, nodes int, do func(tx *db.Tx, j Job) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range nodes {
		running.Go(func() {
			(&Drain{DB: d, Kind: Resolve, Size: 4, Log: slog.New(slog.DiscardHandler), Do: do}).Run(ctx)
		})
	}
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// onCommit counts a job as done when what did it has been committed.
func onCommit(tx *db.Tx, done chan<- string, j Job) {
	tx.OnEnd(func(committed bool) {
		if committed {
			done <- j.Subject
		}
	})
}

func TestADrainDoesEveryPromiseOnceWhoeverWorksBesideIt(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, _ *clock) {
		done := make(chan string, 1000)
		stop := drains(t, d, 3, func(tx *db.Tx, j Job) error { onCommit(tx, done, j); return nil })
		promise(t, d, 150)
		Begin(d, Resolve)
		seen := map[string]bool{}
		for range 150 {
			seen[<-done] = true
		}
		stop()
		require.Len(t, seen, 150)
		require.Empty(t, done, "nothing is done twice")
	})
}

func TestADrainUndoesWhatFailsAndTriesItLater(t *testing.T) {
	t.Parallel()
	for _, fails := range map[string]func(){"error": nil, "panic": func() { panic("a fault of the program") }} {
		eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
			done := make(chan string, 10)
			var tries atomic.Int64
			drains(t, d, 1, func(tx *db.Tx, j Job) error {
				onCommit(tx, done, j)
				if j.Subject != "1" || tries.Add(1) == 3 {
					return nil
				}
				if err := Promise(tx, "env", Send, "undone"); err != nil {
					return err
				}
				c.ahead.Add(int64(time.Minute)) // let the pause pass
				if fails != nil {
					fails()
				}
				return errors.New("not today")
			})
			promise(t, d, 3)
			Begin(d, Resolve)
			seen := map[string]bool{}
			for range 3 {
				seen[<-done] = true
			}
			require.Len(t, seen, 3)
			require.EqualValues(t, 3, tries.Load())
			require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
				for _, kind := range []Kind{Resolve, Send} {
					left, err := Waiting(tx, kind)
					require.NoError(t, err)
					require.Zero(t, left, kind)
				}
				return nil
			}))
		})
	}
}

// TestAPromiseWakesNobody: nothing that depends on it may run before its answer is
// out. Nobody has to call Begin, though: a drain looks by itself.
func TestAPromiseWakesNobody(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, _ *clock) {
		promise(t, d, 1)
		require.Empty(t, d.Notified(topic(Resolve)))
		done := make(chan string, 10)
		drains(t, d, 1, func(tx *db.Tx, j Job) error { onCommit(tx, done, j); return nil })
		require.Equal(t, "0", <-done)
		promise(t, d, 1)
		require.Equal(t, "0", <-done, "within a second")
	})
}

// TestADrainLosesNothingAndDoesNothingTwiceHoweverItBreaks: two nodes live and die
// at random, in the middle of what they do, until all is done.
func TestADrainLosesNothingAndDoesNothingTwiceHoweverItBreaks(t *testing.T) {
	t.Parallel()
	const promised = 60
	breaks := []func(tx *db.Tx, kill func()) error{
		func(*db.Tx, func()) error { return errors.New("not today") },
		func(*db.Tx, func()) error { panic("a fault of the program") },
		func(_ *db.Tx, kill func()) error { kill(); return nil },
		func(_ *db.Tx, kill func()) error { kill(); return errors.New("the end") },
		func(tx *db.Tx, _ func()) error { // the connection breaks; on SQLite the statement alone
			_, err := tx.Exec("SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		},
	}
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		promise(t, d, promised)
		live := func(ctx context.Context) {
			life, kill := context.WithCancel(ctx)
			defer kill()
			(&Drain{DB: d, Kind: Resolve, Size: 4, Log: slog.New(slog.DiscardHandler), Do: func(tx *db.Tx, j Job) error {
				broken := func() error { return breaks[rand.IntN(len(breaks))](tx, kill) }
				fate := rand.IntN(4) // half of the tries break, half of those before the work
				if fate == 0 {
					if err := broken(); err != nil {
						return err
					}
				}
				if err := Promise(tx, "env", Send, j.Subject); err != nil {
					return err
				}
				if fate == 1 {
					return broken()
				}
				return nil
			}}).Run(life)
		}
		ctx, end := context.WithCancel(t.Context())
		var nodes sync.WaitGroup
		for range 2 {
			nodes.Go(func() {
				for ctx.Err() == nil {
					live(ctx)
				}
			})
		}
		var left int
		var effects []string
		require.Eventually(t, func() bool {
			c.ahead.Add(int64(time.Hour)) // no pause is waited for
			Begin(d, Resolve)
			require.NoError(t, d.View(t.Context(), func(tx *db.Tx) (err error) {
				if left, err = Waiting(tx, Resolve); err != nil {
					return err
				}
				effects, err = db.All[string](tx, "SELECT subject FROM jobs WHERE kind = $1", Send)
				return err
			}))
			return left == 0
		}, time.Minute, 50*time.Millisecond)
		end()
		nodes.Wait()
		require.Len(t, effects, promised, "nothing is done twice, and nothing lost")
		slices.Sort(effects)
		require.Len(t, slices.Compact(effects), promised)
	})
}
