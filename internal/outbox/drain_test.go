package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
