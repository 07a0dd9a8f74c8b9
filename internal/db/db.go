// Package db gives the rest of the program two verbs, View and Update, on two
// engines: embedded SQLite and PostgreSQL.
//
// Every statement is written once, in portable SQL with $1 placeholders, in the
// package that owns its table. What truly differs between the engines lives in
// sqlite.go and postgres.go and nowhere else. Doors never import this package.
//
// Rules of the portable text: columns are TEXT, BIGINT or BOOLEAN; times are
// UTC microseconds, set by Go; nothing queries into JSON; what is searched has
// a folded twin column.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNone says that a query for one row found none.
var ErrNone = errors.New("no such row")

// DB is an open database of either engine. It is safe for concurrent use.
type DB struct {
	engine engine
	clock  func() time.Time

	mu       sync.Mutex
	topics   map[string]chan struct{}
	attached sync.Map // string -> any
}

// engine is what SQLite and PostgreSQL each do in their own way.
type engine interface {
	// view runs fn over reads; each statement sees what is committed when it starts.
	view(ctx context.Context, fn func(q querier) error) error
	// update runs fn in one transaction. fn may run more than once.
	update(ctx context.Context, fn func(q querier) error) error
	migrations() (*sql.DB, migrationDialect)
	dialect() Dialect
	offset() time.Duration // what to add to the clock to get the database's time
	ping(ctx context.Context) error
	close() error
}

// querier runs one statement; both engines bind it to a connection and cache
// its prepared form where that pays.
type querier interface {
	exec(query string, args []any) (int64, error)
	query(query string, args []any) (*sql.Rows, error)
}

// Dialect holds the few SQL fragments that differ.
type Dialect struct {
	// ForUpdate ends a SELECT that locks its rows.
	ForUpdate string
	// MatchFrom and MatchWhere select the users u of environment $1 whose search
	// text contains $2, through the trigram index. See SearchArg for $2.
	MatchFrom, MatchWhere string
	// CountMatches counts them, roughly and at most up to 301, where the engine
	// needs to be told which way is quicker; else it is empty.
	CountMatches string
	// SearchArg prepares folded text of three letters or more for $2.
	SearchArg func(folded string) string
}

// Config says which database to open.
type Config struct {
	Engine string // "sqlite" or "postgres"
	DSN    string // a path for SQLite, a postgres:// address for PostgreSQL
	Clock  func() time.Time
	// MeasureEvery is how often the clock is compared with PostgreSQL's; 10 s if zero.
	MeasureEvery time.Duration
	// Limit is how long a transaction on PostgreSQL may take; 30 s if zero.
	Limit time.Duration
}

type longKey struct{}

// Long marks what takes minutes and is awaited by an operator, like an import:
// on PostgreSQL it may take an hour, where all else is given up after half a minute.
func Long(ctx context.Context) context.Context { return context.WithValue(ctx, longKey{}, true) }

func isLong(ctx context.Context) bool { return ctx.Value(longKey{}) != nil }

type replayableKey struct{}

// Replayable marks an Update that will be made again, with the same result, should
// a power cut or the loss of a PostgreSQL server take it back. Its commit does not
// wait for the disk: it survives a kill of this process at once, and a power cut
// with the next commit that waits.
func Replayable(ctx context.Context) context.Context {
	return context.WithValue(ctx, replayableKey{}, true)
}

func isReplayable(ctx context.Context) bool { return ctx.Value(replayableKey{}) != nil }

// Open opens the database. It does not migrate; see Migrate.
func Open(ctx context.Context, c Config) (*DB, error) {
	d := &DB{clock: c.Clock, topics: map[string]chan struct{}{}}
	var err error
	switch c.Engine {
	case "sqlite":
		d.engine, err = openSQLite(ctx, c.DSN)
	case "postgres":
		d.engine, err = openPostgres(ctx, c)
	default:
		return nil, fmt.Errorf("open database: unknown engine %q", c.Engine)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return d, nil
}

// Close waits for the transaction under way and closes the database.
func (d *DB) Close() error { return d.engine.close() }

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.engine.ping(ctx) }

// Now is the time that counts: the clock, set right by the database's own on PostgreSQL.
func (d *DB) Now() time.Time {
	return d.clock().Add(d.engine.offset()).UTC().Truncate(time.Microsecond)
}

// View reads. Each statement of fn sees what is committed when it starts.
// fn may not write. An end of ctx is noticed at its next statement; see Tx.Stoppable.
func (d *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	return d.engine.view(ctx, func(q querier) error {
		return fn(d.begin(q))
	})
}

func (d *DB) begin(q querier) *Tx {
	return &Tx{q: q, db: d, now: d.Now(), dialect: d.engine.dialect()}
}

// Update runs fn in one transaction and answers after its commit.
// fn may run more than once; it does nothing but talk to its tx and is short:
// no hashing, no network. A deadline of ctx counts while fn waits for its turn,
// not while it runs: an interrupted write would take its neighbours with it. On
// PostgreSQL it is given up after half a minute; see Long.
// An error of fn undoes what fn did and is returned as it is.
func (d *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	var last *Tx
	committed := false
	defer func() { last.end(committed) }() // also after a panic of fn
	err := d.engine.update(ctx, func(q querier) error {
		last.end(false) // an earlier run came to nothing
		last = d.begin(q)
		return fn(last)
	})
	committed = err == nil
	return err
}

// Attach makes something of this process known to its transactions; nil takes
// it away again.
func (d *DB) Attach(name string, v any) {
	if v == nil {
		d.attached.Delete(name)
		return
	}
	d.attached.Store(name, v)
}

// Notified gives the channel that holds a token whenever a transaction of this
// process that called Tx.Notify(topic) has committed. It is a hint: work
// written by other nodes is found by looking.
func (d *DB) Notified(topic string) <-chan struct{} { return d.topic(topic) }

func (d *DB) wake(topic string) {
	select {
	case d.topic(topic) <- struct{}{}:
	default:
	}
}

func (d *DB) topic(topic string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.topics[topic]
	if !ok {
		c = make(chan struct{}, 1)
		d.topics[topic] = c
	}
	return c
}

// Tx is what a closure of View or Update talks to. Its statements carry no
// context: see Update.
type Tx struct {
	q       querier
	db      *DB
	now     time.Time
	dialect Dialect
	ends    []func(committed bool)
}

// Now is the time of the transaction; all its rows carry this one.
func (tx *Tx) Now() time.Time { return tx.now }

// Dialect gives the fragments that differ between the engines.
func (tx *Tx) Dialect() Dialect { return tx.dialect }

// Notify wakes whoever waits on the topic once the transaction has committed.
func (tx *Tx) Notify(topic string) {
	tx.OnEnd(func(committed bool) {
		if committed {
			tx.db.wake(topic)
		}
	})
}

// OnEnd runs fn once this run of the closure has been committed or has come to
// nothing. It is for what this process keeps in memory, and must be quick.
func (tx *Tx) OnEnd(fn func(committed bool)) { tx.ends = append(tx.ends, fn) }

// Attached gives what DB.Attach made known under a name, or nil.
func (tx *Tx) Attached(name string) any {
	v, _ := tx.db.attached.Load(name)
	return v
}

func (tx *Tx) end(committed bool) {
	if tx == nil {
		return
	}
	for _, fn := range tx.ends {
		fn(committed)
	}
	tx.ends = nil
}

// Exec runs a statement and gives the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	n, err := tx.q.exec(query, bind(args))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", firstWords(query), err)
	}
	return n, nil
}
