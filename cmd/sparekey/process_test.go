package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
)

// process is the program as a process of its own; testscript put it in the PATH.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Scanner
	stderr *bufio.Scanner
}

// start runs the program in a folder. Of what it prints the test reads what it waits for.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "sparekey", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &process{t: t, cmd: cmd, stdout: bufio.NewScanner(out), stderr: bufio.NewScanner(errs)}
}

// read gives the first match on a line of the output.
func (p *process) read(from *bufio.Scanner, pattern string) string {
	p.t.Helper()
	want := regexp.MustCompile(pattern)
	var seen []string
	for from.Scan() {
		if found := want.FindStringSubmatch(from.Text()); found != nil {
			return found[len(found)-1]
		}
		seen = append(seen, from.Text())
	}
	require.Fail(p.t, "the process ended without "+pattern, strings.Join(seen, "\n"))
	return ""
}

// stop sends a signal, wants the process to end well and soon, and gives the rest of its log.
func (p *process) stop(signal os.Signal) string {
	p.t.Helper()
	begin := time.Now()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
	var rest bytes.Buffer
	for p.stderr.Scan() {
		rest.WriteString(p.stderr.Text() + "\n")
	}
	require.NoError(p.t, p.cmd.Wait(), rest.String())
	require.Less(p.t, time.Since(begin), 10*time.Second)
	return rest.String()
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(t, err)
	res, err := (&http.Client{}).Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestServe(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := start(t, o.dir, "serve", "--listen", "127.0.0.1:0")
		address := p.read(p.stderr, `msg=serving address=(\S+)`)
		p.read(p.stderr, `links in mails begin with .* url=(http://localhost:8080)`)
		status, _ := get(t, "http://"+address+"/readyz")
		require.Equal(t, http.StatusOK, status)
		require.NotContains(t, p.stop(signal), "ERROR")
		require.False(t, p.stdout.Scan(), "the log is no data")
	}
	info, err := os.Stat(filepath.Join(o.dir, "sparekey.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// Without the key file that was made with the database it does not start.
	require.NoError(t, os.Remove(filepath.Join(o.dir, "sparekey.key")))
	status, stdout, stderr := o.try("", "serve", "--listen", "127.0.0.1:0", "--log", "error")
	require.Equal(t, failed, status)
	require.Empty(t, stdout)
	require.Regexp(t, `^The key file \S+ is missing\. [^\n]+\n$`, stderr)
}

func TestServeSaysWhyNot(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for _, command := range []string{"serve", "demo"} {
		status, _, stderr := o.try("", command, "--listen", l.Addr().String())
		require.Equal(t, failed, status)
		require.Regexp(t, `^Another program listens on `+l.Addr().String()+` already\.[^\n]+\n$`, stderr)
	}
	require.NoFileExists(t, o.database(), "a server that cannot serve leaves the database alone")

	status, _, stderr := o.try("", "serve", "--listen", "127.0.0.1:0", "--no-migrate")
	require.Equal(t, failed, status)
	require.Contains(t, stderr, "Run: sparekey migrate")
	require.Contains(t, o.do("", "migrate"), "up to date now")
	require.Equal(t, "The database is up to date.\n", o.do("", "migrate"))
	require.Equal(t, "{\n  \"steps\": 0\n}\n", o.do("", "migrate", "--json"))
}

func TestServeNamesTheSettingOfAListenerThatIsTaken(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	var said bytes.Buffer
	status := run(t.Context(), []string{"serve", "--listen", "127.0.0.1:0"}, &terminal{
		in: strings.NewReader(""), out: io.Discard, err: &said,
		environ: []string{"SPAREKEY_DATABASE=sqlite:" + o.database(), "SPAREKEY_METRICS_LISTEN=" + l.Addr().String()},
	})
	require.Equal(t, failed, status)
	require.Contains(t, said.String(), "SPAREKEY_METRICS_LISTEN is \""+l.Addr().String()+"\", and nothing can listen there: is the port free")
}

// TestASecondSignalEndsItAtOnce although somebody is still sending a form, whom
// the first one would wait for.
func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "demo", "--listen", "127.0.0.1:0")
	address := p.read(p.stdout, `Log in\s+http://localhost(:\d+)/acme/login$`)
	conn, err := net.Dial("tcp", "127.0.0.1"+address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("POST /acme/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the form is being read")

	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	again := time.NewTicker(50 * time.Millisecond) // until the first has been heard, the second one is not a second
	defer again.Stop()
	begin := time.Now()
	for {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case err := <-ended:
			require.ErrorContains(t, err, "terminated")
			require.Less(t, time.Since(begin), 5*time.Second)
			return
		case <-again.C:
		}
	}
}

func TestListenOrFree(t *testing.T) {
	t.Parallel()
	taken, err := listenOrFree(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	other, err := listenOrFree(t.Context(), taken.Addr().String())
	require.NoError(t, err)
	require.NotEqual(t, taken.Addr().String(), other.Addr().String())
	require.NoError(t, taken.Close())
	require.NoError(t, other.Close())
}

func TestServeLogsAsJSON(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	p := start(t, o.dir, "serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--url", "https://login.example.com")
	line := p.read(p.stderr, `.*"serving".*`)
	var entry struct{ Address, URL string }
	require.NoError(t, json.Unmarshal([]byte(line), &entry))
	require.Equal(t, "https://login.example.com", entry.URL)
	require.NotContains(t, p.stop(syscall.SIGTERM), "public address", "it was set")
}

func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "demo", "--listen", "127.0.0.1:0")
	login := p.read(p.stdout, `Log in\s+(http://localhost:\d+/acme/login)$`)
	p.read(p.stdout, `User Manager\s+(http://localhost:\d+/acme/users)$`)
	box := p.read(p.stdout, `Inbox\s+(http://127\.0\.0\.1:\d+/)$`)
	for _, words := range []string{app.DemoAdmin, app.DemoHelpdesk, app.DemoMember, app.DemoOperator, app.DemoPassword, `Action for Jane Doe`, `forgotten when you stop`} {
		p.read(p.stdout, regexp.QuoteMeta(words))
	}
	status, page := get(t, login)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "I forgot my password")

	// Somebody asks, and the mail is in the inbox with a link to this server.
	ask(t, strings.TrimSuffix(login, "login")+"forgot-password", app.DemoMember)
	require.Eventually(t, func() bool {
		_, mails := get(t, box+"api/mails")
		return strings.Contains(mails, "Reset your password") && strings.Contains(mails, strings.TrimSuffix(login, "login")+"reset-password/")
	}, 10*time.Second, 20*time.Millisecond)

	require.Empty(t, p.stop(os.Interrupt))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "everything is forgotten")
}

// TestDemoWithMailTrouble: what it announces is so.
func TestDemoWithMailTrouble(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	p := start(t, o.dir, "demo", "--listen", "127.0.0.1:0", "--data", o.dir, "--mail-trouble")
	login := p.read(p.stdout, `Log in\s+(http://localhost:\d+/acme/login)$`)
	p.read(p.stdout, `"Needs help" has the first two at once`)
	people := []string{"tomas.ferreira@acme.example", "wei.chen@acme.example", "siobhan.byrne@acme.example"}
	for _, email := range people {
		ask(t, strings.TrimSuffix(login, "login")+"forgot-password", email)
	}
	var stuck, waiting []string
	look := func(core *app.Core) error {
		acme, err := core.Settings.BySlug(t.Context(), app.DemoSlug)
		require.NoError(t, err)
		queue, err := core.UserManager.NeedsHelp(t.Context(), access.Operator(), acme)
		require.NoError(t, err)
		stuck, waiting = nil, nil
		for _, r := range queue {
			stuck = append(stuck, r.User.Email)
		}
		third, err := core.UserManager.Show(t.Context(), access.Operator(), acme, people[2])
		for _, m := range third.Messages {
			waiting = append(waiting, m.State)
		}
		return err
	}
	require.Eventually(t, func() bool {
		require.NoError(t, newSettings().withCore(t.Context(), &terminal{err: io.Discard, environ: o.environ()}, look))
		return len(stuck) == 2 && slices.Equal(waiting, []string{"deferred"})
	}, 20*time.Second, 100*time.Millisecond)
	require.ElementsMatch(t, people[:2], stuck)
	p.stop(os.Interrupt)
}

// ask sends the form of I forgot my password, as a browser does.
func ask(t *testing.T, address, email string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(url.Values{"email": {email}}.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := (&http.Client{Jar: jar, Timeout: 10 * time.Second}).Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// TestDemoKeepsItsData in the folder it is given, and what was changed there.
func TestDemoKeepsItsData(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	demo := func() {
		p := start(t, o.dir, "demo", "--listen", "127.0.0.1:0", "--data", o.dir)
		p.read(p.stdout, `The data stays in`)
		p.stop(syscall.SIGTERM)
	}
	demo()
	o.do("", "user", "delete", "--environment", "acme", "--email", "wei.chen@acme.example")
	o.do("", "user", "create", "--environment", "acme", "--email", "new@acme.example", "--name", "Nele New")
	before := o.do("", "user", "list", "--environment", "acme", "--json")
	demo()
	require.Equal(t, before, o.do("", "user", "list", "--environment", "acme", "--json"))
	require.NotContains(t, before, "wei.chen")
}

// TestDemoIsAtHomeAnywhere: what is configured for a server beside it is not its business.
func TestDemoIsAtHomeAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sparekey.yaml"), []byte("database: postgres://db/production\nkey_file: k\n"), 0o600))
	p := start(t, dir, "demo", "--listen", "127.0.0.1:0")
	p.read(p.stdout, `Log in`)
	p.stop(syscall.SIGTERM)
}

// TestWaitingForInputEndsWithTheFirstSignal: standard input, or a pipe that nobody writes to.
func TestWaitingForInputEndsWithTheFirstSignal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "silent"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "first.eml"), []byte("From: jane@acme.example\r\nSubject: Hello\r\n\r\nHello.\r\n"), 0o600))
	for _, name := range []string{"-", "silent"} {
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			cmd := exec.CommandContext(ctx, "sparekey", "diagnose", "first.eml", name)
			cmd.Dir = dir
			_, err := cmd.StdinPipe() // open, and silent
			require.NoError(t, err)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			var said bytes.Buffer
			cmd.Stderr = &said
			require.NoError(t, cmd.Start())
			first, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, first, "first.eml")

			require.NoError(t, cmd.Process.Signal(signal))
			require.Error(t, cmd.Wait())
			require.NoError(t, ctx.Err(), "it ended by itself")
			require.Equal(t, failed, cmd.ProcessState.ExitCode(), "%s %s", name, signal)
			require.Equal(t, "Stopped before it was done.\n", said.String())
			cancel()
		}
	}
}
