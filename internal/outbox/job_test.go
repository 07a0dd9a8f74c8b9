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
	"github.com/sparekey/sparekey/internal/testkit/database"
)

// clock is the real clock, set forward by a test.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func eachEngine(t *testing.T, test func(t *testing.T, d *db.DB, c *clock)) {
	t.Helper()
	database.Each(t, func(t *testing.T, engine string) {
		c := &clock{}
		test(t, database.Open(t, engine, c.now), c)
	})
}

func enqueue(t *testing.T, d *db.DB, n int) {
	t.Helper()
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
		for i := range n {
			if err := Enqueue(tx, "env", Resolve, fmt.Sprint(i), nil); err != nil {
				return err
			}
		}
		return nil
	}))
}

func claimAs(t *testing.T, d *db.DB, holder string, n int) []Job {
	t.Helper()
	var jobs []Job
	require.NoError(t, d.Update(context.Background(), func(tx *db.Tx) (err error) {
		jobs, err = claim(tx, Resolve, holder, n, Lease, nil)
		return err
	}))
	return jobs
}

func TestTwoClaimersNeverGetTheSameJob(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, _ *clock) {
		enqueue(t, d, 200)
		var mu sync.Mutex
		seen := map[string]int{}
		var wait sync.WaitGroup
		for worker := range 6 {
			wait.Go(func() {
				for {
					jobs := claimAs(t, d, fmt.Sprint("worker ", worker), 7)
					if len(jobs) == 0 {
						return
					}
					mu.Lock()
					for _, j := range jobs {
						seen[j.Subject]++
					}
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		require.Len(t, seen, 200)
		for subject, times := range seen {
			require.Equal(t, 1, times, subject)
		}
	})
}

func TestAJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, 1)
		first := claimAs(t, d, "killed", 1)
		require.Len(t, first, 1)
		require.Empty(t, claimAs(t, d, "other", 1), "it is leased")

		c.ahead.Add(int64(6 * time.Second))
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return renew(tx, first, Lease) }))
		c.ahead.Add(int64(6 * time.Second))
		require.Empty(t, claimAs(t, d, "other", 1), "a living worker keeps it")

		c.ahead.Add(int64(6 * time.Second))
		second := claimAs(t, d, "other", 1)
		require.Len(t, second, 1)
		require.Equal(t, 2, second[0].Tries)

		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			done, err := Done(tx, first[0])
			require.False(t, done, "the lease was lost: the other's result counts")
			return err
		}))
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			done, err := Done(tx, second[0])
			require.True(t, done)
			return err
		}))
	})
}

func TestThePoolDoesEveryJobAndTriesFailedOnesAgain(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, 50)
		var mu sync.Mutex
		tries := map[string]int{}
		all := make(chan struct{})
		p := &Pool{DB: d, Kind: Resolve, Size: 4, Log: slog.New(slog.DiscardHandler), Handle: func(ctx context.Context, j Job) error {
			mu.Lock()
			tries[j.Subject]++
			n := tries[j.Subject]
			mu.Unlock()
			if j.Subject == "13" && n < 3 {
				c.ahead.Add(int64(4 * time.Second)) // let the pause pass, but no lease
				return errors.New("not today")
			}
			return d.Update(ctx, func(tx *db.Tx) error {
				_, err := Done(tx, j)
				if err != nil {
					return err
				}
				left, err := Waiting(tx, Resolve)
				if left == 0 {
					close(all)
				}
				return err
			})
		}}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { p.Run(ctx, context.Background()); close(stopped) }()
		select {
		case <-all:
		case <-time.After(20 * time.Second):
			t.Error("not all jobs were done")
		}
		cancel()
		<-stopped
		require.Len(t, tries, 50)
		for subject, n := range tries {
			want := 1
			if subject == "13" {
				want = 3
			}
			require.Equal(t, want, n, subject)
		}
	})
}

func TestPausesGrowToAnHour(t *testing.T) {
	t.Parallel()
	for n, most := range map[int]time.Duration{1: 2 * time.Second, 2: 4 * time.Second, 6: 64 * time.Second, 30: time.Hour} {
		got := Backoff(n)
		require.LessOrEqual(t, got, most, n)
		require.GreaterOrEqual(t, got, most*2/3-1, n)
	}
}

func TestAJobIsHandedOverOnlyAfterItsCommit(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"with it": 0, "after a pause": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(t *testing.T, d *db.DB, _ *clock) { handedOver(t, d, pause) })
		})
	}
}

func handedOver(t *testing.T, d *db.DB, pause time.Duration) {
	t.Helper()
	done := make(chan string, 10)
	p := &Pool{DB: d, Kind: Resolve, Size: 1, Pause: pause, Log: slog.New(slog.DiscardHandler), Handle: func(ctx context.Context, j Job) error {
		if !j.Committed() {
			return nil
		}
		return d.Update(ctx, func(tx *db.Tx) error {
			ended, err := Done(tx, j)
			if ended {
				tx.OnEnd(func(committed bool) {
					if committed {
						done <- j.Subject
					}
				})
			}
			return err
		})
	}}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { p.Run(ctx, context.Background()); close(stopped) }()
	enqueue(t, d, 1)
	require.Equal(t, "0", <-done)

	// What was undone is not done, and its worker is free again.
	free := func() bool { return len(p.free) == 1 }
	require.Eventually(t, free, 20*time.Second, time.Millisecond)
	for range 3 {
		err := d.Update(t.Context(), func(tx *db.Tx) error {
			require.NoError(t, Enqueue(tx, "env", Resolve, "undone", nil))
			return errors.New("no")
		})
		require.Error(t, err)
		require.Panics(t, func() {
			_ = d.Update(t.Context(), func(tx *db.Tx) error {
				require.NoError(t, Enqueue(tx, "env", Resolve, "undone", nil))
				panic("a fault of the program")
			})
		})
	}
	enqueue(t, d, 5) // more than there are workers
	got := map[string]bool{}
	for range 5 {
		got[<-done] = true
	}
	require.Equal(t, map[string]bool{"0": true, "1": true, "2": true, "3": true, "4": true}, got)
	cancel()
	<-stopped
	enqueue(t, d, 1)
	require.Len(t, claimAs(t, d, "another node", 5), 1, "after the stop it waits for somebody else")
}

// TestAJobThatStartsAtOnceHasWhatItsPromiseGaveAlong, begins before the commit, and
// hears of a promise that comes to nothing.
func TestAJobThatStartsAtOnceHasWhatItsPromiseGaveAlong(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, _ *clock) {
		found := make(chan any)
		var undone atomic.Int32
		p := &Pool{
			DB: d, Kind: Resolve, Size: 1, Log: slog.New(slog.DiscardHandler),
			Load: func(tx *db.Tx, j Job) (any, error) {
				n, err := Waiting(tx, Resolve)
				return fmt.Sprint(n, " job in the database"), err
			},
			Handle: func(ctx context.Context, j Job) error {
				found <- j.Loaded
				if !j.Committed() {
					undone.Add(1)
					return errors.New("it was never promised")
				}
				return d.Update(ctx, func(tx *db.Tx) error { _, err := Done(tx, j); return err })
			},
		}
		p.begin(t.Context()) // and nobody looks: a job starts at once or not at all
		for range 3 {        // its worker is free again each time
			require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
				err := Enqueue(tx, "env", Resolve, "kept", "what is known")
				require.Equal(t, "what is known", <-found)
				return err
			}))
			p.running.Wait()
			require.Zero(t, waiting(t, d))
			require.Zero(t, undone.Load())
		}
		for n := range 3 {
			require.ErrorContains(t, d.Update(t.Context(), func(tx *db.Tx) error {
				require.NoError(t, Enqueue(tx, "env", Resolve, "undone", "what is known"))
				<-found
				return errors.New("not today")
			}), "not today")
			p.running.Wait()
			require.EqualValues(t, n+1, undone.Load())
		}
		// Without anything given along, it is read once there is something to read.
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return Enqueue(tx, "env", Resolve, "kept", nil) }))
		require.Equal(t, "1 job in the database", <-found)
		p.running.Wait()
		require.Error(t, d.Update(t.Context(), func(tx *db.Tx) error {
			require.NoError(t, Enqueue(tx, "env", Resolve, "undone", nil))
			return errors.New("not today")
		}))
		p.running.Wait() // it asked for nothing, and its worker is free again
		require.Len(t, p.free, 1)
	})
}

// TestAStopWaitsForNoTransaction that promised a job: another worker does it.
func TestAStopWaitsForNoTransaction(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		started := make(chan struct{})
		p := &Pool{DB: d, Kind: Resolve, Size: 1, Log: slog.New(slog.DiscardHandler), Handle: func(_ context.Context, j Job) error {
			close(started)
			if j.Committed() {
				t.Error("nobody waited for the commit")
			}
			return errors.New("interrupted")
		}}
		hard, stop := context.WithCancel(t.Context())
		p.begin(hard)
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			err := Enqueue(tx, "env", Resolve, "0", nil)
			<-started
			stop()
			p.running.Wait()
			return err
		}))
		c.ahead.Add(int64(Lease + time.Second))
		require.Len(t, claimAs(t, d, "another", 1), 1)
	})
}

// TestAClaimedJobIsLoadedBeforeItIsHandled, is tried again where that fails, and is
// over where what it is about is gone.
func TestAClaimedJobIsLoadedBeforeItIsHandled(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, 3)
		found := make(chan any, 3)
		p := &Pool{
			DB: d, Kind: Resolve, Size: 3, Log: slog.New(slog.DiscardHandler),
			Load: func(_ *db.Tx, j Job) (any, error) {
				switch {
				case j.Subject == "0":
					return nil, db.ErrNone
				case j.Subject == "1" && j.Tries == 1:
					c.ahead.Add(int64(4 * time.Second)) // let the pause pass, but no lease
					return nil, errors.New("not today")
				}
				return "what " + j.Subject + " needs", nil
			},
			Handle: func(ctx context.Context, j Job) error {
				found <- j.Loaded
				return d.Update(ctx, func(tx *db.Tx) error { _, err := Done(tx, j); return err })
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { p.Run(ctx, context.Background()); close(stopped) }()
		require.ElementsMatch(t, []any{"what 1 needs", "what 2 needs"}, []any{<-found, <-found})
		require.Eventually(t, func() bool { return waiting(t, d) == 0 }, 10*time.Second, time.Millisecond)
		cancel()
		<-stopped
		require.Empty(t, found)
	})
}

// TestAJobUnderWayIsNotStartedTwice though its lease ran out, because for a while
// the database took no renewal.
func TestAJobUnderWayIsNotStartedTwice(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, 1)
		started, release := make(chan int, 10), make(chan struct{})
		p := &Pool{DB: d, Kind: Resolve, Size: 2, Log: slog.New(slog.DiscardHandler), Handle: func(ctx context.Context, j Job) error {
			started <- j.Tries
			<-release
			return d.Update(ctx, func(tx *db.Tx) error {
				done, err := Done(tx, j)
				require.True(t, done, "it is still this worker's")
				return err
			})
		}}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { p.Run(ctx, context.Background()); close(stopped) }()
		require.Equal(t, 1, <-started)
		c.ahead.Add(int64(Lease + time.Second))
		require.Eventually(t, func() bool { // renewed, or claimed once more
			var until time.Time
			require.NoError(t, d.View(t.Context(), func(tx *db.Tx) (err error) {
				until, err = db.One[time.Time](tx, "SELECT leased_until FROM jobs")
				return err
			}))
			return until.After(d.Now())
		}, 20*time.Second, time.Millisecond)
		close(release)
		require.Eventually(t, func() bool { return waiting(t, d) == 0 }, 10*time.Second, time.Millisecond)
		cancel()
		<-stopped
		require.Empty(t, started)
	})
}

func waiting(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	require.NoError(t, d.View(t.Context(), func(tx *db.Tx) (err error) { n, err = Waiting(tx, Resolve); return err }))
	return n
}

func TestAPanicIsTheJobsAloneAndItIsTriedAgain(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		tries := make(chan int, 10)
		p := &Pool{DB: d, Kind: Resolve, Size: 2, Log: slog.New(slog.DiscardHandler), Handle: func(ctx context.Context, j Job) error {
			tries <- j.Tries
			if j.Tries == 1 {
				defer c.ahead.Add(int64(time.Minute)) // let the pause pass
				panic("a fault of the program")
			}
			return d.Update(ctx, func(tx *db.Tx) error { _, err := Done(tx, j); return err })
		}}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { p.Run(ctx, context.Background()); close(stopped) }()
		enqueue(t, d, 1)
		require.Equal(t, 1, <-tries)
		require.Equal(t, 2, <-tries)
		cancel()
		<-stopped
	})
}

// TestOnlyJobsUnderWayKeepTheirLease: one whose end could not be written down
// is found again once its lease has run out.
func TestOnlyJobsUnderWayKeepTheirLease(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB, c *clock) {
		enqueue(t, d, 2)
		jobs := claimAs(t, d, "worker", 2)
		c.ahead.Add(int64(Lease / 2))
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return renew(tx, jobs[:1], Lease) }))
		c.ahead.Add(int64(Lease/2 + time.Second))
		again := claimAs(t, d, "other", 2)
		require.Len(t, again, 1)
		require.Equal(t, jobs[1].ID, again[0].ID)
	})
}
