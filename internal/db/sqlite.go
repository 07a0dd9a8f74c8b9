package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sparekey/sparekey/internal/fault"
)

// sqliteEngine is one file. One goroutine owns the one writing connection and
// commits waiting closures together, which costs one fsync for all of them;
// a small pool of other connections reads.
type sqliteEngine struct {
	reads  *sql.DB
	cached *stmts

	// Only the writer touches these.
	writes *sql.DB
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt // of conn
	awaits bool                 // commits of conn wait for the disk

	queue   chan *write
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
}

// maxBatch bounds how long the first closure of a batch waits for the last.
const maxBatch = 128

func openSQLite(ctx context.Context, path string) (*sqliteEngine, error) {
	if err := mayOpen(path); err != nil {
		return nil, err
	}
	// temp_store(MEMORY): a savepoint remembers the pages it changes, and past 64 kB
	// SQLite would write each of them to a temporary file as well.
	writes, err := sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate", "_pragma=cache_size(-8000)", "_pragma=temp_store(MEMORY)"))
	if err != nil {
		return nil, err
	}
	writes.SetMaxOpenConns(2) // the writer's own, and one for migrations before it starts work
	conn, err := writes.Conn(ctx)
	if err != nil {
		return nil, errors.Join(explainOpen(path, err), writes.Close())
	}
	reads, err := sql.Open("sqlite", sqliteDSN(path, "_pragma=query_only(1)", "_pragma=cache_size(-2000)"))
	if err != nil {
		return nil, errors.Join(err, conn.Close(), writes.Close())
	}
	readers := max(4, runtime.NumCPU()+2)
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	e := &sqliteEngine{
		reads: reads, cached: &stmts{db: reads},
		writes: writes, conn: conn, stmts: map[string]*sql.Stmt{}, awaits: true,
		queue: make(chan *write, maxBatch), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go e.writer()
	return e, nil
}

func sqliteDSN(path string, options ...string) string {
	common := []string{
		"_pragma=busy_timeout(5000)", "_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)", "_pragma=foreign_keys(1)",
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(append(common, options...), "&")
}

// mayOpen creates the file private to its owner, since SQLite would make it
// readable by the umask, and journals copy the mode of the database.
func mayOpen(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The database file %s cannot be opened for writing. Check the path, its permissions and the space on the disk.", path))
	}
	return f.Close()
}

func explainOpen(path string, err error) error {
	if code(err) == sqlite3.SQLITE_NOTADB {
		return fault.Wrap(fault.Unavailable, err, path+" is not a Sparekey database.")
	}
	return err
}

func (e *sqliteEngine) dialect() Dialect {
	return Dialect{
		MatchFrom: `users_search f JOIN users_search_rows r ON r.rowid = f.rowid
			JOIN users u ON u.environment_id = r.environment_id AND u.id = r.user_id`,
		MatchWhere:   `f.users_search MATCH $2 AND u.environment_id = $1`,
		CountMatches: `SELECT count(*) FROM (SELECT 1 FROM users_search f WHERE f.users_search MATCH $1 LIMIT 301)`,
		// A quoted string is one phrase of FTS5: no operators inside.
		SearchArg: func(folded string) string { return `"` + strings.ReplaceAll(folded, `"`, `""`) + `"` },
	}
}

func (e *sqliteEngine) offset() time.Duration { return 0 }

func (e *sqliteEngine) migrations() (*sql.DB, migrationDialect) { return e.writes, sqliteMigrations }

func (e *sqliteEngine) ping(ctx context.Context) error {
	var one int
	return e.reads.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

func (e *sqliteEngine) view(ctx context.Context, fn func(querier) error) error {
	return fn(pooled{ctx: ctx, stmts: e.cached})
}

func (e *sqliteEngine) close() error {
	e.once.Do(func() { close(e.closing) })
	<-e.done
	err := e.reads.Close()
	e.writes.SetMaxIdleConns(0) // one that has migrated keeps what follows waiting, for the busy timeout
	// A long log would have to be read through at the next start.
	_, _ = e.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)") // another process may be reading
	return errors.Join(err, e.conn.Close(), e.writes.Close())
}

// write is one closure waiting for its turn.
type write struct {
	fn         func(querier) error
	replayable bool
	state      atomic.Int32 // waiting, taken or left
	done       chan error
	panic      any
}

const (
	waiting = iota
	taken
	left
)

func (e *sqliteEngine) update(ctx context.Context, fn func(querier) error) error {
	w := &write{fn: fn, replayable: isReplayable(ctx), done: make(chan error, 1)}
	select {
	case e.queue <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.closing:
		return errClosed
	}
	select {
	case err := <-w.done:
		return w.result(err)
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		return w.result(<-w.done)
	case <-e.done:
		select { // the writer may have answered just before it ended
		case err := <-w.done:
			return w.result(err)
		default:
			return errClosed
		}
	}
}

var errClosed = fault.New(fault.Unavailable, "The server is shutting down. Try again in a moment.")

// result passes a panic of the closure on to its own caller.
func (w *write) result(err error) error {
	if w.panic != nil {
		panic(w.panic)
	}
	return err
}

func (e *sqliteEngine) writer() {
	defer close(e.done)
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case w := <-e.queue:
			batch = e.gather(append(batch[:0], w))
			e.commit(batch)
		case <-e.closing:
			return
		}
	}
}

func (e *sqliteEngine) gather(batch []*write) []*write {
	for len(batch) < maxBatch {
		select {
		case w := <-e.queue:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the closures in one transaction. If one of them takes the whole
// transaction down (a full disk does), each is run again alone, so that only
// the guilty one fails.
func (e *sqliteEngine) commit(batch []*write) {
	live := batch[:0]
	for _, w := range batch {
		if w.state.CompareAndSwap(waiting, taken) {
			live = append(live, w)
		}
	}
	if len(live) == 0 {
		return
	}
	results, lost := e.transaction(live)
	if lost && len(live) > 1 {
		for i, w := range live {
			one, _ := e.transaction([]*write{w})
			results[i] = one[0]
		}
	}
	for i, w := range live {
		w.done <- results[i]
	}
	_ = e.await(true) // now, while nobody waits; if it fails the next begin tells
}

// transaction runs the closures and commits once. lost tells that a closure
// broke the transaction around it.
func (e *sqliteEngine) transaction(batch []*write) (results []error, lost bool) {
	results = make([]error, len(batch))
	fail := func(err error) []error {
		for i := range results {
			results[i] = explainWrite(err)
		}
		return results
	}
	if err := e.begin(slices.ContainsFunc(batch, func(w *write) bool { return !w.replayable })); err != nil {
		return fail(err), false
	}
	for i, w := range batch {
		err, broken := e.closure(w, len(batch) == 1)
		results[i] = err
		if broken {
			_ = e.control("ROLLBACK") // often already rolled back by SQLite itself
			return fail(err), true
		}
	}
	if err := e.control("COMMIT"); err != nil {
		_ = e.control("ROLLBACK")
		return fail(err), true
	}
	return results, false
}

// begin begins a transaction whose commit waits for the disk, or leaves that to a
// later one: all write the same log.
func (e *sqliteEngine) begin(wait bool) error {
	if err := e.await(wait); err != nil {
		return err
	}
	return e.control("BEGIN IMMEDIATE")
}

// await says whether commits wait for the disk (sqlite.org/pragma.html#pragma_synchronous).
func (e *sqliteEngine) await(disk bool) error {
	if disk == e.awaits {
		return nil
	}
	level := "NORMAL"
	if disk {
		level = "FULL"
	}
	// Not prepared: this PRAGMA acts when it is compiled.
	_, err := e.conn.ExecContext(context.Background(), "PRAGMA synchronous="+level)
	if err == nil {
		e.awaits = disk
	}
	return err
}

// closure runs one closure of a transaction within a savepoint, so that it can
// be undone without the others. Alone it needs none: its failure is the whole
// transaction's.
func (e *sqliteEngine) closure(w *write, alone bool) (err error, broken bool) {
	if alone {
		err = e.run(w)
		return err, err != nil || w.panic != nil
	}
	if err := e.control("SAVEPOINT closure"); err != nil {
		return err, true
	}
	err = e.run(w)
	if breaksTransaction(err) {
		return err, true
	}
	if err != nil || w.panic != nil {
		if undo := e.control("ROLLBACK TO closure"); undo != nil {
			return errors.Join(err, undo), true
		}
	}
	if release := e.control("RELEASE closure"); release != nil {
		return errors.Join(err, release), true
	}
	return err, false
}

func (e *sqliteEngine) run(w *write) (err error) {
	w.panic = nil
	defer func() { w.panic = recover() }()
	return explainWrite(w.fn(e))
}

func (e *sqliteEngine) control(statement string) error {
	_, err := e.exec(statement, nil)
	return err
}

// exec and query make the engine itself the writer's querier. The driver sees
// no cancellation: an interrupted write rolls back the whole transaction.
func (e *sqliteEngine) exec(query string, args []any) (int64, error) {
	s, err := e.prepared(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (e *sqliteEngine) query(query string, args []any) (*sql.Rows, error) {
	s, err := e.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

func (e *sqliteEngine) prepared(query string) (*sql.Stmt, error) {
	if s, ok := e.stmts[query]; ok {
		return s, nil
	}
	s, err := e.conn.PrepareContext(context.Background(), keptPlan(query))
	if err == nil {
		e.stmts[query] = s
	}
	return s, err
}

var (
	boundLimit   = regexp.MustCompile(`LIMIT (\$\d+)`)
	boundPattern = regexp.MustCompile(`LIKE (\$\d+)`)
)

// keptPlan is a statement that SQLite compiles once. Where it can see what is bound
// to LIMIT or LIKE, it compiles the statement again for each; an expression it does
// not see through.
func keptPlan(query string) string {
	query = boundLimit.ReplaceAllString(query, "LIMIT $1 + 0")
	return boundPattern.ReplaceAllString(query, "LIKE ($1 || '')")
}

func code(err error) int {
	var s *sqlite.Error
	if errors.As(err, &s) {
		return s.Code()
	}
	return 0
}

// breaksTransaction names the errors after which SQLite has rolled back, or may
// have rolled back, the whole transaction (sqlite.org/lang_transaction.html).
func breaksTransaction(err error) bool {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT:
		return true
	default:
		return false
	}
}

// explainWrite turns what an operator can mend into a sentence.
func explainWrite(err error) error {
	var sentence string
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		sentence = "This could not be saved: the server's disk is full or failing. Nothing was changed. Try again in a few minutes."
	case sqlite3.SQLITE_BUSY:
		sentence = "This could not be saved: the database is busy. Nothing was changed. Try again in a moment."
	case sqlite3.SQLITE_READONLY:
		sentence = "This could not be saved: the database is read-only. Nothing was changed."
	default:
		return err
	}
	if fault.As(err) != nil {
		return err
	}
	f := fault.Wrap(fault.Unavailable, err, sentence)
	f.RetryAfter = 5 * time.Second
	return f
}

func sqliteUnique(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}
