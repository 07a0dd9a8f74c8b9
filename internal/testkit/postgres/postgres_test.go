package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// TestMain serves as the test binary that is killed, when asked to.
func TestMain(m *testing.M) {
	if os.Getenv("SPAREKEY_TEST_DOOMED") == "" {
		m.Run()
		return
	}
	flag.Parse()
	t := &doomed{}
	fmt.Println(postgres.DSN(t))
	select {}
}

// doomed is a test that never ends.
type doomed struct{ testing.TB }

func (*doomed) Helper()                        {}
func (*doomed) Cleanup(func())                 {}
func (*doomed) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func ask[T any](ctx context.Context, dsn, query string, args ...any) (T, error) {
	var answer T
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return answer, err
	}
	err = c.QueryRow(ctx, query, args...).Scan(&answer)
	return answer, errors.Join(err, c.Close(ctx))
}

func do(dsn, statement string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	return errors.Join(err, c.Close(ctx))
}

const tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"

func TestEveryCallGivesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	first, second := postgres.DSN(t), postgres.DSN(t)
	require.NotEqual(t, first, second)
	require.NoError(t, do(first, "CREATE TABLE things (name TEXT)"))
	n, err := ask[int](t.Context(), second, tables)
	require.NoError(t, err)
	require.Zero(t, n)
	encoding, err := ask[string](t.Context(), first, "SHOW server_encoding")
	require.NoError(t, err)
	require.Equal(t, "UTF8", encoding)
}

func TestTheDatabaseGoesWithItsTest(t *testing.T) {
	t.Parallel()
	var gone string
	t.Run("inner", func(t *testing.T) {
		dsn := postgres.DSN(t)
		c, err := pgx.Connect(t.Context(), dsn) // left open: it does not keep the database
		require.NoError(t, err)
		gone = c.Config().Database
	})
	n, err := ask[int](t.Context(), postgres.DSN(t), "SELECT count(*) FROM pg_database WHERE datname = $1", gone)
	require.NoError(t, err)
	require.Zero(t, n)
}

var prepared atomic.Int32

func prepareThings(dsn string) error {
	prepared.Add(1)
	return do(dsn, "CREATE EXTENSION pg_trgm; CREATE TABLE things (name TEXT)")
}

func TestATemplateIsPreparedOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			dsn := postgres.DSNFrom(t, prepareThings)
			require.NoError(t, do(dsn, "INSERT INTO things VALUES ('one')"))
			n, err := ask[int](t.Context(), dsn, "SELECT count(*) FROM things")
			require.NoError(t, err)
			require.Equal(t, 1, n, "nobody else writes here")
			require.EqualValues(t, 1, prepared.Load())
		})
	}
}

func TestTheServerEndsWithTheTestBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), "SPAREKEY_TEST_DOOMED=1", postgres.Variable+"=")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the address")
	dsn := lines.Text()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	_, err = ask[int](ctx, dsn, tables)
	require.NoError(t, err)

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.Eventually(t, func() bool {
		_, err := os.Stat(config.Host) // the folder of its socket
		return errors.Is(err, os.ErrNotExist)
	}, time.Minute, 20*time.Millisecond)
	_, err = ask[int](ctx, dsn, tables)
	require.Error(t, err)
}

func BenchmarkDSN(b *testing.B) {
	for b.Loop() {
		postgres.DSN(b)
	}
}
