// Package database gives a test an empty database of either engine, with the
// tables of today, and takes it away afterwards.
package database

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// Each runs a test on both engines, side by side; on SQLite alone with -short.
func Each(t *testing.T, test func(t *testing.T, engine string)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// Open opens an empty database of an engine and closes it when the test ends.
func Open(tb testing.TB, engine string, clock func() time.Time) *db.DB {
	tb.Helper()
	d, err := db.Open(tb.Context(), db.Config{Engine: engine, DSN: DSN(tb, engine), Clock: clock, MeasureEvery: time.Hour})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, d.Close()) })
	return d
}

// DSN makes an empty database of an engine and says where it is; a test that asks
// for PostgreSQL is skipped with -short.
func DSN(tb testing.TB, engine string) string {
	tb.Helper()
	if engine == "postgres" {
		return postgres.DSNFrom(tb, migratePostgres)
	}
	empty, err := emptyFile()
	require.NoError(tb, err)
	file := filepath.Join(tb.TempDir(), "sparekey.db")
	require.NoError(tb, os.WriteFile(file, empty, 0o600))
	return file
}

// emptyFile is what an empty SQLite database looks like: with the race detector
// migrating costs as much as many a test.
var emptyFile = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "sparekey-empty-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "sparekey.db")
	if err := migrate("sqlite", file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func migratePostgres(dsn string) error { return migrate("postgres", dsn) }

func migrate(engine, dsn string) error {
	d, err := db.Open(context.Background(), db.Config{Engine: engine, DSN: dsn, Clock: time.Now})
	if err != nil {
		return err
	}
	if _, err := d.Migrate(context.Background()); err != nil {
		return err
	}
	return d.Close()
}
