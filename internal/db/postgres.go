package db

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/sparekey/sparekey/internal/fault"
)

// postgresEngine is a PostgreSQL server shared by any number of nodes.
type postgresEngine struct {
	pool    *sql.DB
	clock   func() time.Time
	limit   time.Duration
	skew    atomic.Int64 // nanoseconds the database is ahead of the clock
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

const (
	measureEvery  = 10 * time.Second
	measureWithin = 5 * time.Second
	maxUpdateRuns = 8
	// A server that dies without a word leaves its connections open: TCP finds
	// out after minutes. Nothing of ours takes as long as this; see Long.
	within     = 30 * time.Second
	withinLong = time.Hour
)

func openPostgres(ctx context.Context, c Config) (*postgresEngine, error) {
	to, err := pgconn.ParseConfig(c.DSN)
	if err != nil {
		// The driver's error may repeat the address with its password.
		return nil, fault.New(fault.Unavailable, "The PostgreSQL address cannot be read. It looks like postgres://user:password@host:5432/name; in a name or password write %% as %%25, @ as %%40 and / as %%2F.")
	}
	pool, err := sql.Open("pgx", c.DSN)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	pool.SetMaxOpenConns(24)
	pool.SetMaxIdleConns(24)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	e := &postgresEngine{pool: pool, clock: c.Clock, limit: cmp.Or(c.Limit, within)}
	// Nothing is ready before the offset is known: expiry is judged by it.
	if err := e.measure(ctx); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unavailable, err, whyNotIn(to, err)), pool.Close())
	}
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	every := cmp.Or(c.MeasureEvery, measureEvery)
	e.stopped.Go(func() { e.measureUntil(background, every) })
	return e, nil
}

// whyNotIn says why a first connection failed.
func whyNotIn(to *pgconn.Config, err error) string {
	switch state := sqlState(err); {
	case state == "3D000":
		return fmt.Sprintf("PostgreSQL has no database %q. Create it, or correct the address.", to.Database)
	case strings.HasPrefix(state, "28"): // invalid authorization specification
		return fmt.Sprintf("PostgreSQL does not let the user %q in. Does this role exist, is its password right, and does pg_hba.conf allow it?", to.User)
	case state == "42501":
		return fmt.Sprintf("PostgreSQL does not let the user %q use the database %q. Grant it CONNECT.", to.User, to.Database)
	case state == "53300":
		return "PostgreSQL has no connection free. Raise its max_connections, or end what holds them."
	}
	return "PostgreSQL cannot be reached. Check the address, the user and that the server runs."
}

func (e *postgresEngine) measureUntil(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = e.measure(ctx) // the last offset serves until the next answer
		}
	}
}

// measure takes the middle of a round trip as the moment the server answered.
func (e *postgresEngine) measure(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, measureWithin)
	defer stop()
	var micros int64
	before := e.clock()
	err := e.pool.QueryRowContext(ctx, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)").Scan(&micros)
	if err != nil {
		return err
	}
	after := e.clock()
	middle := before.Add(after.Sub(before) / 2)
	e.skew.Store(int64(time.UnixMicro(micros).Sub(middle)))
	return nil
}

func (e *postgresEngine) dialect() Dialect {
	return Dialect{
		ForUpdate:  " FOR UPDATE",
		MatchFrom:  "users u",
		MatchWhere: `u.environment_id = $1 AND u.search_text LIKE $2`,
		SearchArg:  Containing,
	}
}

func (e *postgresEngine) offset() time.Duration { return time.Duration(e.skew.Load()) }

func (e *postgresEngine) migrations() (*sql.DB, migrationDialect) { return e.pool, postgresMigrations }

func (e *postgresEngine) ping(ctx context.Context) error { return e.pool.PingContext(ctx) }

func (e *postgresEngine) close() error {
	e.stop()
	e.stopped.Wait()
	return e.pool.Close()
}

// bound ends ctx when a transaction has taken too long.
func (e *postgresEngine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if isLong(ctx) {
		return context.WithTimeout(ctx, withinLong)
	}
	return context.WithTimeout(ctx, e.limit)
}

func (e *postgresEngine) view(ctx context.Context, fn func(querier) error) error {
	bounded, stop := e.bound(ctx)
	defer stop()
	return explainPostgres(ctx, fn(plain{ctx: bounded, on: e.pool}))
}

// update runs fn in a READ COMMITTED transaction and again where PostgreSQL
// says that running it again may help.
func (e *postgresEngine) update(ctx context.Context, fn func(querier) error) error {
	for run := 1; ; run++ {
		err := e.transaction(ctx, fn)
		if run == maxUpdateRuns || !worthAnotherRun(err) {
			return explainPostgres(ctx, err)
		}
		pause := time.Duration(rand.Int64N(int64(run * int(5*time.Millisecond))))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *postgresEngine) transaction(ctx context.Context, fn func(querier) error) (err error) {
	waiting, stopWaiting := context.WithTimeout(ctx, e.limit)
	defer stopWaiting()
	conn, err := e.pool.Conn(waiting) // the deadline counts while waiting for a connection
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the pool; nothing to report
	running, stop := e.bound(context.WithoutCancel(ctx))
	defer stop()
	tx, err := conn.BeginTx(running, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if isReplayable(ctx) {
		if _, err := tx.ExecContext(running, "SET LOCAL synchronous_commit TO off"); err != nil {
			return err
		}
	}
	if err := fn(plain{ctx: running, on: tx}); err != nil {
		return err
	}
	if err := running.Err(); err != nil {
		return err // before COMMIT was said, so that it is known what came of it
	}
	if err := tx.Commit(); err != nil {
		return &commitError{err}
	}
	return nil
}

// commitError is an error of COMMIT itself.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// plain passes statements on: pgx caches their prepared form by text.
type plain struct {
	ctx context.Context
	on  interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (p plain) exec(query string, args []any) (int64, error) {
	r, err := p.on.ExecContext(p.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (p plain) query(query string, args []any) (*sql.Rows, error) {
	return p.on.QueryContext(p.ctx, query, args...)
}

func sqlState(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// worthAnotherRun: serialization failure or deadlock (PostgreSQL appendix A, class 40),
// both reported before anything was committed.
func worthAnotherRun(err error) bool {
	s := sqlState(err)
	return s == "40001" || s == "40P01"
}

// explainPostgres turns what passes by itself into a sentence that says what is
// known. ctx is the caller's: its own end is no news to the caller.
func explainPostgres(ctx context.Context, err error) error {
	if err == nil || fault.As(err) != nil || errors.Is(err, ErrNone) || errors.Is(err, context.Canceled) {
		return err
	}
	var committing *commitError
	lost := connectionLost(err)
	var sentence string
	switch {
	case errors.As(err, &committing) && lost:
		sentence = "The database stopped answering while this was being saved, so it is not known whether it was saved. It is safe to try again in a moment."
	case ctx.Err() != nil:
		return err
	case lost || strings.HasPrefix(sqlState(err), "53"):
		sentence = "The database does not answer just now. Nothing was changed. Try again in a moment."
	default:
		return err
	}
	f := fault.Wrap(fault.Unavailable, err, sentence)
	f.RetryAfter = 5 * time.Second
	return f
}

// connectionLost tells whether the server went away or did not answer in time:
// after that, only what was said before COMMIT is known to be undone.
func connectionLost(err error) bool {
	if state := sqlState(err); state != "" {
		// operator intervention and connection exception (PostgreSQL appendix A)
		return strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08")
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}
