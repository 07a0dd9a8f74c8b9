package outbox

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
)

// breaks are ways in which work ends too early.
var breaks = []func(tx *db.Tx, kill func()) error{
	func(*db.Tx, func()) error { return errors.New("not today") },
	func(*db.Tx, func()) error { panic("a fault of the program") },
	func(_ *db.Tx, kill func()) error { kill(); return nil },
	func(_ *db.Tx, kill func()) error { kill(); return errors.New("the end") },
	func(tx *db.Tx, _ func()) error { // the connection breaks; on SQLite the statement alone
		_, err := tx.Exec("SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	},
}

// halfBroken does the work of a job and ends it, but for half of the time: then it
// breaks before, or after in the same transaction.
func halfBroken(tx *db.Tx, j Job, kill func()) error {
	broken := func() error { return breaks[rand.IntN(len(breaks))](tx, kill) }
	fate := rand.IntN(4)
	if fate == 0 {
		if err := broken(); err != nil {
			return err
		}
	}
	if err := Enqueue(tx, "env", Send, j.Subject, nil); err != nil {
		return err
	}
	ended, err := Done(tx, j)
	switch {
	case err != nil:
		return err
	case !ended:
		return errors.New("somebody else has it")
	case fate == 1:
		return broken()
	}
	return nil
}

// TestNothingIsLostAndNothingDoneTwiceHoweverItBreaks: two nodes live and die at
// random in the middle of what they do, and lose their leases, until all is done.
func TestNothingIsLostAndNothingDoneTwiceHoweverItBreaks(t *testing.T) {
	t.Parallel()
	const promised = 60
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, promised)
		ctx, end := context.WithCancel(t.Context())
		hour := make(chan struct{})
		live := func() {
			life, kill := context.WithCancel(ctx)
			defer kill()
			(&Pool{DB: d, Kind: Resolve, Size: 4, Log: slog.New(slog.DiscardHandler), Handle: func(ctx context.Context, j Job) error {
				for range rand.IntN(4) - 1 { // some take so long that others have the job by then
					select {
					case <-hour:
					case <-ctx.Done():
					}
				}
				return d.Update(ctx, func(tx *db.Tx) error { return halfBroken(tx, j, kill) })
			}}).Run(life, life)
		}
		var nodes sync.WaitGroup
		for range 2 {
			nodes.Go(func() {
				for ctx.Err() == nil {
					live()
				}
			})
		}
		var done []string
		require.Eventually(t, func() bool {
			for passed := false; !passed; {
				select {
				case hour <- struct{}{}:
				default:
					passed = true
				}
			}
			c.ahead.Add(int64(time.Hour)) // no pause is waited for, and no lease
			left := promised
			require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) (err error) {
				tx.Notify(topic(Resolve))
				if left, err = Waiting(tx, Resolve); err != nil {
					return err
				}
				done, err = db.All[string](tx, "SELECT subject FROM jobs WHERE kind = $1", Send)
				return err
			}))
			return left == 0
		}, time.Minute, 50*time.Millisecond)
		end()
		nodes.Wait()
		require.Len(t, done, promised)
		slices.Sort(done)
		require.Len(t, slices.Compact(done), promised)
	})
}
