package db_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// waits gives what a commit of this transaction waits for, in the engine's words.
func waits(tx *db.Tx, engine string) (string, error) {
	if engine == "postgres" {
		return db.One[string](tx, "SHOW synchronous_commit")
	}
	return db.One[string](tx, "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous")
}

// TestOnlyWhatCanBeDoneAgainDoesNotWaitForTheDisk: and nothing after it.
func TestOnlyWhatCanBeDoneAgainDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	for engine, words := range map[string]struct{ disk, none string }{"sqlite": {"2", "1"}, "postgres": {"on", "off"}} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dsn := filepath.Join(t.TempDir(), "a.db")
			if engine == "postgres" {
				dsn = postgres.DSN(t) + "&options=-csynchronous_commit%3Don" // that of the tests does not care
			}
			d := open(t, engine, dsn)
			_, err := d.Migrate(t.Context())
			require.NoError(t, err)
			for _, again := range []bool{false, true, true, false} {
				ctx, want := t.Context(), words.disk
				if again {
					ctx, want = db.Replayable(ctx), words.none
				}
				require.NoError(t, d.Update(ctx, func(tx *db.Tx) error {
					got, err := waits(tx, engine)
					require.Equal(t, want, got)
					return err
				}))
			}
		})
	}
}

// TestWhoIsCommittedTogetherWaits if one of them has to.
func TestWhoIsCommittedTogetherWaits(t *testing.T) {
	t.Parallel()
	d := sqlite(t)
	inside, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	update := func(ctx context.Context, fn func(tx *db.Tx) error) {
		all.Go(func() {
			if err := d.Update(ctx, fn); err != nil {
				t.Error(err)
			}
		})
	}
	update(t.Context(), func(*db.Tx) error { close(inside); <-release; return nil })
	<-inside
	for i := range 20 { // all of them come in one transaction, or in a few
		ctx := t.Context()
		if i%2 == 0 {
			ctx = db.Replayable(ctx)
		}
		update(ctx, func(tx *db.Tx) error {
			got, err := waits(tx, "sqlite")
			if i%2 == 1 && got != "2" {
				t.Errorf("waits for %s", got)
			}
			return err
		})
	}
	close(release)
	all.Wait()
}
