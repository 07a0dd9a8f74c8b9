package db_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// line stands between the program and PostgreSQL.
type line struct {
	dsn   string
	stuck atomic.Bool            // passes nothing on, and says nothing about it
	cutAt atomic.Pointer[string] // ends the connection once this went through
}

func newLine(t *testing.T, dsn string) *line {
	t.Helper()
	server, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	l := &line{}
	network, far := "tcp", server.Host
	query := server.Query()
	if folder := query.Get("host"); folder != "" { // a socket of this machine
		network, far = "unix", filepath.Join(folder, ".s.PGSQL."+cmp.Or(query.Get("port"), server.Port(), "5432"))
		query.Del("host")
		query.Del("port")
		server.RawQuery = query.Encode()
	}
	server.Host = listener.Addr().String()
	l.dsn = server.String()
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial(network, far)
			if err != nil {
				_ = near.Close()
				continue
			}
			go l.pass(near, there)
			go l.pass(there, near)
		}
	}()
	return l
}

func (l *line) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	block := make([]byte, 64<<10)
	for {
		n, err := from.Read(block)
		if err != nil {
			return
		}
		if l.stuck.Load() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if cut := l.cutAt.Load(); cut != nil && bytes.Contains(block[:n], []byte(*cut)) {
			_ = from.Close() // before the answer can come back
			_, _ = to.Write(block[:n])
			return
		}
		if _, err := to.Write(block[:n]); err != nil {
			return
		}
	}
}

// openLine opens PostgreSQL over a line, with half a second for a transaction.
func openLine(t *testing.T) (*line, *db.DB) {
	t.Helper()
	l := newLine(t, postgres.DSN(t))
	d, err := db.Open(t.Context(), db.Config{Engine: "postgres", DSN: l.dsn, Clock: time.Now, MeasureEvery: time.Hour, Limit: 500 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	_, err = d.Migrate(t.Context())
	require.NoError(t, err)
	return l, d
}

// TestWhyPostgresLetsNobodyInIsSaid: whoever reads it must know what to correct.
func TestWhyPostgresLetsNobodyInIsSaid(t *testing.T) {
	t.Parallel()
	good, err := url.Parse(postgres.DSN(t))
	require.NoError(t, err)
	open := func(change func(*url.URL)) string {
		dsn := *good
		change(&dsn)
		_, err := db.Open(t.Context(), db.Config{Engine: "postgres", DSN: dsn.String(), Clock: time.Now})
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		return fault.As(err).Sentence
	}
	require.Contains(t, open(func(u *url.URL) { u.Path = "/no_such_database" }), `has no database "no_such_database"`)
	require.Contains(t, open(func(u *url.URL) { u.User = url.UserPassword("no_such_role", "secret") }), `does not let the user "no_such_role" in`)
	nobody := open(func(u *url.URL) {
		u.Host = "127.0.0.1:1"
		u.RawQuery = "sslmode=disable"
	})
	require.Contains(t, nobody, "cannot be reached")
}

func sleep(ctx context.Context, d *db.DB) error {
	return d.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("SELECT pg_sleep(1)")
		return err
	})
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	l, d := openLine(t)
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, "one") }))
	err := sleep(t.Context(), d)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.Contains(t, fault.As(err).Sentence, "Nothing was changed")
	require.NoError(t, sleep(db.Long(t.Context()), d), "what takes long is given its time")

	l.stuck.Store(true)
	err = d.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, "one") })
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	err = d.View(t.Context(), func(tx *db.Tx) error { _, err := db.One[int](tx, "SELECT 1"); return err })
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	l.stuck.Store(false)
	require.Equal(t, 1, count(t, d, "one"))
}

func TestWhatBecameOfALostCommitIsNotClaimedToBeKnown(t *testing.T) {
	t.Parallel()
	l, d := openLine(t)
	for cut, known := range map[string]bool{"commit": false, "INSERT INTO throttle": true} {
		l.cutAt.Store(&cut)
		err := d.Update(t.Context(), func(tx *db.Tx) error { return bump(tx, fmt.Sprint("known ", known)) })
		l.cutAt.Store(nil)
		require.True(t, fault.Is(err, fault.Unavailable), "%s: %v", cut, err)
		if known {
			require.Contains(t, fault.As(err).Sentence, "Nothing was changed")
			require.Zero(t, count(t, d, "known true"))
		} else {
			require.Contains(t, fault.As(err).Sentence, "not known whether it was saved")
		}
	}
}
