// Package postgres gives a test a fresh PostgreSQL database and drops it afterwards.
//
// The server is the one that SPAREKEY_TEST_POSTGRES names, or else a private one,
// started at the first call from the PostgreSQL that is installed: on a free
// port, in a temporary folder, without fsync. It ends with the test binary,
// however that ends. Tests alone may import this package.
package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable names the running server to use: a postgres:// address of a superuser.
const Variable = "SPAREKEY_TEST_POSTGRES"

// patience bounds every step that talks to the server, on a busy machine too.
const patience = 60 * time.Second

// namePrefix begins the name of every database made here; the time it was made follows.
const namePrefix = "sparekey_test_"

// DSN gives the address of a new, empty database, which is dropped when the test
// ends. With -short it skips the test; without PostgreSQL it fails it.
func DSN(tb testing.TB) string {
	tb.Helper()
	return fresh(tb, "template0")
}

// DSNFrom gives the address of a new database that looks as prepare left its own:
// prepare runs once for each test binary, on a database that is then copied for
// every caller. It must do the same each time, close its connections before it
// returns, and be a plain function or method: callers share its result by its code.
func DSNFrom(tb testing.TB, prepare func(dsn string) error) string {
	tb.Helper()
	skipIfShort(tb)
	once, _ := templates.LoadOrStore(reflect.ValueOf(prepare).Pointer(), sync.OnceValues(func() (string, error) {
		return template(prepare)
	}))
	name, err := once.(func() (string, error))()
	if err != nil {
		tb.Fatalf("prepare a template database: %v", err)
	}
	return fresh(tb, name)
}

// templates holds for each prepare function what makes or gives its template's name.
var templates sync.Map

// server gives the superuser's address of the server all tests of this binary share.
var server = sync.OnceValues(func() (*url.URL, error) {
	address := os.Getenv(Variable)
	if address == "" {
		return start()
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, fmt.Errorf("%s must be a postgres:// address", Variable)
	}
	return u, sweep(u)
})

func skipIfShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs PostgreSQL: left out with -short")
	}
}

func fresh(tb testing.TB, from string) string {
	tb.Helper()
	skipIfShort(tb)
	admin, err := server()
	if err != nil {
		tb.Fatalf("PostgreSQL for tests: %v", err)
	}
	name := newName()
	if err := run(admin, create(name, from)); err != nil {
		tb.Fatalf("create a test database: %v", err)
	}
	tb.Cleanup(func() {
		if err := run(admin, drop(name)); err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	})
	return within(admin, name)
}

func template(prepare func(dsn string) error) (string, error) {
	admin, err := server()
	if err != nil {
		return "", err
	}
	name := newName()
	if err := run(admin, create(name, "template0")); err != nil {
		return "", err
	}
	return name, prepare(within(admin, name))
}

func create(name, from string) string {
	return fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s ENCODING 'UTF8'", name, from)
}

// drop ends what a test left connected.
func drop(name string) string { return fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name) }

func newName() string {
	return namePrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text())
}

func within(server *url.URL, name string) string {
	u := *server
	u.Path = "/" + name
	return u.String()
}

// run executes one statement as the superuser, on a connection of its own.
func run(server *url.URL, statement string) error {
	return connected(server, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, statement)
		return err
	})
}

func connected(server *url.URL, do func(ctx context.Context, c *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	return do(ctx, c)
}

// sweep drops what killed test binaries left on a server that outlives them:
// databases more than an hour old.
func sweep(server *url.URL) error {
	return connected(server, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", namePrefix)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			made, _, _ := strings.Cut(strings.TrimPrefix(name, namePrefix), "_")
			at, err := strconv.ParseInt(made, 10, 64)
			if err != nil || time.Since(time.Unix(at, 0)) < time.Hour {
				continue
			}
			if _, err := c.Exec(ctx, drop(pgx.Identifier{name}.Sanitize())); err != nil {
				return fmt.Errorf("drop a database left behind: %w", err)
			}
		}
		return nil
	})
}
