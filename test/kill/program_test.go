// Package kill runs the real program and ends it without mercy: what was
// answered is done all the same.
package kill

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/testkit/postgres"
)

// patience bounds what a test waits for on a busy machine.
const patience = 30 * time.Second

const jane = "jane@acme.example"

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(m.Run()) // every test skips itself
	}
	folder, err := os.MkdirTemp("", "sparekey-kill-")
	if err == nil {
		binary = filepath.Join(folder, "sparekey")
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(1)
	}
	_ = flag.Set("test.parallel", "8") // they mostly wait: for leases to run out
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

func build() error {
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/sparekey").CombinedOutput()
	return errors.Join(err, asError(out))
}

func asError(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	return errors.New(string(out))
}

// world is an installation: a database, a folder, a mail server that lives on,
// and the program that comes and goes.
type world struct {
	t       *testing.T
	inbox   *inbox.Inbox
	url     string
	environ []string
	folder  string
	log     *testkit.Log // of all runs of the program
	running *exec.Cmd
	ended   chan error
}

// eachDB runs a test on both engines, with Jane in environment acme.
func eachDB(t *testing.T, test func(w *world)) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real program: left out with -short")
	}
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, engine))
		})
	}
}

func newWorld(t *testing.T, engine string) *world {
	t.Helper()
	box, err := inbox.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	w := &world{t: t, inbox: box, folder: t.TempDir(), log: &testkit.Log{}}
	database := "sqlite:" + filepath.Join(w.folder, "sparekey.db")
	if engine == "postgres" {
		database = postgres.DSN(t)
	}
	listen := freeAddress(t)
	w.url = "http://" + listen
	w.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.folder,
		"SPAREKEY_LISTEN=" + listen, "SPAREKEY_URL=" + w.url, "SPAREKEY_DATABASE=" + database,
		"SPAREKEY_KEY_FILE=" + filepath.Join(w.folder, "sparekey.key"), "SPAREKEY_SMTP=smtp://" + box.Addr() + "?tls=none",
		"SPAREKEY_LIMITS=off", "SPAREKEY_LOG=debug",
	}
	w.command("", "environment", "create", "acme", "--name", "Acme")
	w.command(testkit.Passphrase, "user", "create", "--environment", "acme", "--email", jane, "--name", "Jane Doe", "--password-stdin")
	t.Cleanup(func() {
		if w.running != nil {
			w.kill()
		}
		require.NotContains(t, w.log.String(), "panic")
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// command runs a command of the program to its end and gives what it printed.
func (w *world) command(stdin string, args ...string) string {
	w.t.Helper()
	c := exec.CommandContext(w.t.Context(), binary, args...)
	c.Env, c.Dir, c.Stdin = w.environ, w.folder, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	require.NoError(w.t, c.Run(), "%v: %s", args, errs.String())
	return out.String()
}

// serve starts the server and waits until it is ready.
func (w *world) serve() {
	w.t.Helper()
	c := exec.Command(binary, "serve")
	c.Env, c.Dir, c.Stderr = w.environ, w.folder, w.log
	require.NoError(w.t, c.Start())
	w.running, w.ended = c, make(chan error, 1)
	go func() { w.ended <- c.Wait() }()
	deadline := time.Now().Add(patience)
	for {
		res, err := w.get("/readyz")
		if err == nil && res == http.StatusOK {
			return
		}
		require.True(w.t, time.Now().Before(deadline), "the server does not come up: %v", err)
		select {
		case err := <-w.ended:
			require.FailNow(w.t, "the server ended", "%v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill is kill -9.
func (w *world) kill() {
	w.t.Helper()
	require.NoError(w.t, w.running.Process.Kill())
	require.Error(w.t, <-w.ended, "it was killed")
	w.running = nil
}

// terminate asks the server to end.
func (w *world) terminate() { require.NoError(w.t, w.running.Process.Signal(syscall.SIGTERM)) }

// wait gives how the server ended.
func (w *world) wait() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		w.running = nil
		return err
	case <-time.After(patience):
		require.FailNow(w.t, "the server does not end")
		return nil
	}
}

// client makes a new connection for each request: a kept one may have died with
// the server before.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (w *world) get(path string) (int, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+path, nil)
	if err != nil {
		return 0, err
	}
	return do(r)
}

func do(r *http.Request) (int, error) {
	res, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, errors.Join(err, res.Body.Close())
}

// ask types Jane's address into "I forgot my password".
func (w *world) ask() {
	w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/acme/forgot-password", strings.NewReader(url.Values{"email": {jane}}.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, err := do(r)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, status)
}

// arrived gives the mails by Message-ID.
func (w *world) arrived() map[string][]inbox.Mail {
	mails := map[string][]inbox.Mail{}
	for _, m := range w.inbox.Mails() {
		mails[m.MessageID] = append(mails[m.MessageID], m)
	}
	return mails
}

// until waits until so many different mails have arrived.
func (w *world) until(mails int) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for len(w.arrived()) < mails {
		require.True(w.t, time.Now().Before(deadline), "%d of %d mails arrived", len(w.arrived()), mails)
		time.Sleep(10 * time.Millisecond)
	}
}
