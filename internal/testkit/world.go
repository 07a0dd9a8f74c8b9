// Package testkit starts the whole product for a test: on SQLite or PostgreSQL,
// with a clock that can be set forward, a real SMTP server that keeps what it
// gets, and a browser that finds fields and buttons by their words.
package testkit

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// Passphrase is the password of everybody a World has.
const Passphrase = "spare key under the mat"

// World is the running product with environment acme, a Client Admin, a help
// desk and a member.
type World struct {
	T      *testing.T
	Engine string
	Config config.Config
	App    *app.Server
	Clock  *Clock
	Inbox  *inbox.Inbox
	Log    *Log
	URL    string // of the server, without a slash at the end
	Acme   environment.Environment
	Admin  user.User // admin@acme.example
	Help   user.User // helpdesk@acme.example
	Jane   user.User // jane@acme.example, a member
}

// Clock is the real clock, set forward by a test.
type Clock struct {
	ahead  atomic.Int64
	frozen atomic.Pointer[time.Time]
}

// Now gives the time in the test.
func (c *Clock) Now() time.Time {
	now := time.Now()
	if f := c.frozen.Load(); f != nil {
		now = *f
	}
	return now.Add(time.Duration(c.ahead.Load()))
}

// Freeze stops the clock: from now on only Advance moves it.
func (c *Clock) Freeze() {
	now := time.Now()
	c.frozen.Store(&now)
}

// Advance sets the clock forward.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// Log keeps what the program logged, at every level.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a line of the log.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// String gives the log so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// EachDB runs a test on both engines; on SQLite alone with -short. Options may
// change the configuration.
func EachDB(t *testing.T, test func(t *testing.T, w *World), options ...func(*config.Config)) {
	t.Helper()
	database.Each(t, func(t *testing.T, engine string) { test(t, New(t, Database(t, engine), options...)) })
}

// Database makes an empty database of an engine; a test that asks for PostgreSQL
// is skipped with -short.
func Database(t *testing.T, engine string) config.Database {
	t.Helper()
	return config.Database{Engine: engine, DSN: database.DSN(t, engine)}
}

// New starts a world on a database. Options may change its configuration.
func New(t *testing.T, on config.Database, options ...func(*config.Config)) *World {
	t.Helper()
	box, err := inbox.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = box.Close() })
	w := &World{T: t, Engine: on.Engine, Clock: &Clock{}, Inbox: box, Log: &Log{}}
	server := httptest.NewUnstartedServer(nil)
	w.URL = "http://" + server.Listener.Addr().String()
	public, err := url.Parse(w.URL)
	require.NoError(t, err)
	w.Config = config.Config{
		URL: public, Database: on, SMTP: "smtp://" + box.Addr() + "?tls=none",
		MailFrom: mail.Address{Name: "Sparekey", Address: "no-reply@sparekey.example"},
		KeyFile:  filepath.Join(t.TempDir(), "sparekey.key"),
	}
	for _, o := range options {
		o(&w.Config)
	}
	o := Options(w.Clock)
	o.Log = slog.New(slog.NewMultiHandler(o.Log.Handler(), slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	w.App, err = app.New(context.Background(), w.Config, o)
	require.NoError(t, err)
	server.Config.Handler = w.App.Handler()
	server.Start()
	stop := w.App.StartJobs()
	t.Cleanup(func() {
		server.Close()
		stop()
		_ = w.App.Close()
	})
	w.populate()
	return w
}

// Options are those of a program in a test: quick hashes, and a log that shows
// only with SPAREKEY_TEST_LOG.
func Options(c *Clock) app.Options {
	out := io.Discard
	if os.Getenv("SPAREKEY_TEST_LOG") != "" {
		out = os.Stderr
	}
	return app.Options{
		Clock: c.Now, Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hash: password.Options{Memory: 64, Time: 1}, MeasureEvery: time.Hour,
	}
}

func (w *World) populate() {
	var err error
	w.Acme, err = w.App.Settings.Create(w.Ctx(), access.Operator(), "acme", "Acme")
	require.NoError(w.T, err)
	w.Admin = w.AddUser(w.Acme, "admin@acme.example", "Ada Admin", access.ClientAdmin)
	w.Help = w.AddUser(w.Acme, "helpdesk@acme.example", "Henry Helpdesk", access.Helpdesk)
	w.Jane = w.AddUser(w.Acme, "jane@acme.example", "Jane Doe", access.Member)
}

// Ctx ends with the test.
func (w *World) Ctx() context.Context { return w.T.Context() }

// AddUser adds an active user with the passphrase.
func (w *World) AddUser(env environment.Environment, email, name string, role access.Role) user.User {
	w.T.Helper()
	u, err := w.App.UserManager.CreateWithPassword(w.Ctx(), access.Operator(), env, usermanager.New{Email: email, Name: name, Role: role}, Passphrase)
	require.NoError(w.T, err)
	return u
}

// SetPolicy changes settings of acme as its operator.
func (w *World) SetPolicy(settings map[string]string) {
	w.T.Helper()
	var err error
	w.Acme, _, err = w.App.Settings.ChangePolicy(w.Ctx(), access.Operator(), w.Acme, settings)
	require.NoError(w.T, err)
}

// Mail waits for the next mail to an address whose subject begins with these words.
func (w *World) Mail(to, subject string) inbox.Mail {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), 20*time.Second)
	defer cancel()
	m, err := w.Inbox.Wait(ctx, func(m inbox.Mail) bool {
		return len(m.To) == 1 && m.To[0] == to && len(m.Subject) >= len(subject) && m.Subject[:len(subject)] == subject
	})
	require.NoError(w.T, err, "no mail %q to %s", subject, to)
	return m
}

// View runs reads on the database, for what no page shows.
func (w *World) View(read func(tx *db.Tx) error) {
	w.T.Helper()
	require.NoError(w.T, w.App.DB.View(w.Ctx(), read))
}
