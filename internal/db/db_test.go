package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// eachEngine runs a test on a fresh, migrated database of both engines.
func eachEngine(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dsn := filepath.Join(t.TempDir(), "a file?name#with %20 oddities.db")
			if engine == "postgres" {
				dsn = postgres.DSN(t)
			}
			d := open(t, engine, dsn)
			_, err := d.Migrate(t.Context())
			require.NoError(t, err)
			test(t, d)
		})
	}
}

func open(t *testing.T, engine, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{Engine: engine, DSN: dsn, Clock: time.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func count(t *testing.T, d *db.DB, subject string) int {
	t.Helper()
	n := 0
	require.NoError(t, d.View(t.Context(), func(tx *db.Tx) (err error) {
		n, err = db.One[int](tx, "SELECT COALESCE(sum(tries), 0) FROM throttle WHERE subject = $1", subject)
		return err
	}))
	return n
}

func bump(tx *db.Tx, subject string) error {
	_, err := tx.Exec(`INSERT INTO throttle (environment_id, subject, tries, ends_at) VALUES ('e', $1, 1, $2)
		ON CONFLICT (environment_id, subject) DO UPDATE SET tries = throttle.tries + 1`, subject, tx.Now())
	return err
}

func TestManyWritersAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		var wait sync.WaitGroup
		for range 40 {
			wait.Go(func() {
				for range 5 {
					if err := d.Update(context.Background(), func(tx *db.Tx) error { return bump(tx, "one") }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		require.Equal(t, 200, count(t, d, "one"))
	})
}

func TestAFailedClosureIsUndoneAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		refusal := fault.New(fault.Conflict, "no")
		var wait sync.WaitGroup
		var refused, panicked atomic.Int32
		write := func(i int) {
			defer func() {
				if recover() != nil {
					panicked.Add(1)
				}
			}()
			err := d.Update(context.Background(), func(tx *db.Tx) error {
				if err := bump(tx, fmt.Sprintf("kind %d", i%3)); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return refusal
				case 2:
					panic("a fault of the program")
				}
				return nil
			})
			if errors.Is(err, refusal) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		}
		for i := range 57 {
			wait.Go(func() { write(i) })
		}
		wait.Wait()
		for i := range 3 {
			write(i) // without neighbours
		}
		require.Equal(t, []int{20, 0, 0}, []int{count(t, d, "kind 0"), count(t, d, "kind 1"), count(t, d, "kind 2")})
		require.EqualValues(t, 20, refused.Load())
		require.EqualValues(t, 20, panicked.Load(), "a panic reaches its own caller")
	})
}

// TestABoundLimitLimits on SQLite too, which is given it in other words.
func TestABoundLimitLimits(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		for i := range 5 {
			require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, fmt.Sprint(i)) }))
		}
		limited := func(tx *db.Tx) error {
			for n := range 6 {
				found, err := db.All[string](tx, "SELECT subject FROM throttle ORDER BY subject LIMIT $1", n)
				require.NoError(t, err)
				require.Len(t, found, n)
			}
			return nil
		}
		require.NoError(t, d.View(t.Context(), limited))
		require.NoError(t, d.Update(t.Context(), limited))
	})
}

func TestAViolationIsRecognised(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		insert := func(tx *db.Tx) error {
			_, err := tx.Exec("INSERT INTO throttle (environment_id, subject, tries, ends_at) VALUES ('e', 's', 1, 1)")
			return err
		}
		require.NoError(t, d.Update(t.Context(), insert))
		require.True(t, db.IsUnique(d.Update(t.Context(), insert)))
	})
}

func TestADeadlineCountsWhileWaiting(t *testing.T) {
	t.Parallel()
	d := sqlite(t)
	inside, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- d.Update(context.Background(), func(tx *db.Tx) error { close(inside); <-release; return bump(tx, "first") })
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		second <- d.Update(ctx, func(tx *db.Tx) error { return bump(tx, "second") })
	}()
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)
	close(release)
	require.NoError(t, <-first)
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, "third") }))
	require.Equal(t, []int{1, 0, 1}, []int{count(t, d, "first"), count(t, d, "second"), count(t, d, "third")})
}

func TestAReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		const endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n % 1000 + 1 FROM c) SELECT count(*) FROM c"
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := d.View(ctx, func(tx *db.Tx) error {
			_, err := db.One[int](tx.Stoppable(), endless)
			require.Error(t, err)
			_, err = db.One[int](tx, "SELECT 1")
			require.Error(t, err, "the next statement")
			return err
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
			_, err := db.One[int](tx, "SELECT 1")
			return err
		}), "the connection serves on")
	})
}

func sqlite(t *testing.T) *db.DB {
	t.Helper()
	d := open(t, "sqlite", filepath.Join(t.TempDir(), "x.db"))
	_, err := d.Migrate(t.Context())
	require.NoError(t, err)
	return d
}

// TestAFullDiskFailsOnlyTheGuilty limits the pages of the file instead of
// filling a disk: SQLite answers both with SQLITE_FULL and rolls back.
func TestAFullDiskFailsOnlyTheGuilty(t *testing.T) {
	t.Parallel()
	d := sqlite(t)
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
		pages, err := db.One[int](tx, "PRAGMA page_count")
		if err != nil {
			return err
		}
		_, err = db.One[int](tx, fmt.Sprintf("PRAGMA max_page_count = %d", pages+4))
		return err
	}))
	var wait sync.WaitGroup
	var full atomic.Int32
	for i := range 20 {
		wait.Go(func() {
			subject := "small"
			if i == 7 {
				subject = strings.Repeat("far too large ", 20_000)
			}
			err := d.Update(context.Background(), func(tx *db.Tx) error { return bump(tx, subject) })
			switch {
			case fault.Is(err, fault.Unavailable):
				full.Add(1)
			case err != nil:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, 1, full.Load())
	require.Equal(t, 19, count(t, d, "small"))
}

func TestALockedDatabaseIsSaidPlainlyAndWorksAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	ours, other := open(t, "sqlite", path), open(t, "sqlite", path)
	_, err := ours.Migrate(t.Context())
	require.NoError(t, err)
	inside, release := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- other.Update(context.Background(), func(*db.Tx) error { close(inside); <-release; return nil })
	}()
	<-inside
	err = ours.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, "one") })
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	close(release)
	require.NoError(t, <-held)
	require.NoError(t, ours.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, "one") }))
	require.Equal(t, 1, count(t, ours, "one"))
}

func TestTwoProcessesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dsn := filepath.Join(t.TempDir(), "x.db")
			if engine == "postgres" {
				dsn = postgres.DSN(t)
			}
			var wait sync.WaitGroup
			for range 4 {
				d := open(t, engine, dsn)
				wait.Go(func() {
					if _, err := d.Migrate(context.Background()); err != nil {
						t.Error(err)
					}
					if pending, err := d.Pending(context.Background()); err != nil || pending {
						t.Error("still pending", err)
					}
				})
			}
			wait.Wait()
		})
	}
}

// TestAFreshDatabaseClosesAtOnce: the connection that migrated kept it waiting for the
// five seconds of the busy timeout.
func TestAFreshDatabaseClosesAtOnce(t *testing.T) {
	t.Parallel()
	d, err := db.Open(t.Context(), db.Config{Engine: "sqlite", DSN: filepath.Join(t.TempDir(), "sparekey.db"), Clock: time.Now})
	require.NoError(t, err)
	_, err = d.Migrate(t.Context())
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, d.Close())
	require.Less(t, time.Since(began), 4*time.Second)
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, "sqlite", path)
	_, err := d.Migrate(t.Context())
	require.NoError(t, err)
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm(), suffix)
	}
}

func TestNoticesComeAfterTheCommitAndOnlyThen(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		_ = d.Update(t.Context(), func(tx *db.Tx) error { tx.Notify("topic"); return errors.New("undone") })
		select {
		case <-d.Notified("topic"):
			t.Fatal("woken by what did not happen")
		default:
		}
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { tx.Notify("topic"); return bump(tx, "x") }))
		<-d.Notified("topic")
	})
}

// TestBothEnginesHaveTheSameTables compares what the migrations left.
func TestBothEnginesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	ask := map[string]string{
		"sqlite": `SELECT m.name || '.' || c.name || CASE WHEN c."notnull" = 1 THEN ' not null' ELSE '' END AS x
			FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'users_search%'
			AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'goose%' ORDER BY 1`,
		"postgres": `SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END AS x
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' ORDER BY 1`,
	}
	var mu sync.Mutex
	got := map[string]map[string]bool{}
	t.Run("both", func(t *testing.T) {
		eachEngine(t, func(t *testing.T, d *db.DB) {
			engine := path.Base(t.Name())
			require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
				all, err := db.All[string](tx, ask[engine])
				mu.Lock()
				defer mu.Unlock()
				got[engine] = map[string]bool{}
				for _, c := range all {
					got[engine][c] = true
				}
				return err
			}))
		})
	})
	if testing.Short() {
		return
	}
	require.NotEmpty(t, got["sqlite"])
	require.Equal(t, got["sqlite"], got["postgres"])
}
