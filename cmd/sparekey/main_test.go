package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/suppression"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"sparekey": main}) }

// TestScripts runs the scripts in testdata, each in a folder of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"mode":   mode,
		},
	})
}

// status N COMMAND... wants a command to end with this exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// mode PERM FILE wants a file to have these permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// operator is a shell beside one database.
type operator struct {
	t   *testing.T
	dir string
}

func newOperator(t *testing.T) operator { return operator{t, t.TempDir()} }

// try runs a command in this process and gives its exit status and output.
func (o operator) try(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &terminal{
		in: strings.NewReader(stdin), out: &out, err: &errs, environ: o.environ(),
	})
	return status, out.String(), errs.String()
}

// do runs a command that must work.
func (o operator) do(stdin string, args ...string) string {
	o.t.Helper()
	status, stdout, stderr := o.try(stdin, args...)
	require.Equal(o.t, done, status, "%s: %s", args, stderr)
	return stdout
}

func (o operator) environ() []string { return []string{"SPAREKEY_DATABASE=sqlite:" + o.database()} }

func (o operator) database() string { return filepath.Join(o.dir, "sparekey.db") }

// TestUserShowKeepsItsShape: scripts read these names, in this form.
func TestUserShowKeepsItsShape(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("", "environment", "create", "acme", "--name", "Acme")
	o.do("", "environment", "policy", "set", "acme", "admin_links=mint")
	o.do("spare key under the mat\n", "user", "create", "--environment", "acme", "--email", "jane@acme.example", "--name", "Jane Doe", "--password-stdin")
	require.Equal(t, `{"id":text,"environment":text,"email":text,"name":text,"role":text,"state":text,"last_sign_in":null,`+
		`"token":{"live":bool,"expires":null},"links":[],"mail":{"class":null,"family":null,"since":null,"sentence":null,"action":null,"suppressed":bool},`+
		`"messages":[],"case":null}`, o.shape("user", "show", "--json", "--environment", "acme", "--email", "jane@acme.example"))

	link := o.do("", "reset", "link", "--environment", "acme", "--email", "jane@acme.example", "--mint")
	require.Equal(t, `{"id":text,"environment":text,"email":text,"name":text,"role":text,"state":text,"last_sign_in":null,`+
		`"token":{"live":bool,"expires":time},"links":[{"channel":text,"made_by":text,"made_at":time,"opened_at":null,"opened_by":null}],`+
		`"mail":{"class":null,"family":null,"since":null,"sentence":null,"action":null,"suppressed":bool},`+
		`"messages":[{"kind":text,"state":text,"message_id":null,"attempts":[]}],"case":null}`,
		o.shape("user", "show", "--json", "--environment", "acme", "--email", "jane@acme.example"))

	shown := o.do("", "user", "show", "--json", "--environment", "acme", "--email", "jane@acme.example")
	require.NotContains(t, shown, strings.TrimSpace(link[strings.LastIndex(link, "/")+1:]))
	require.NotContains(t, shown, "argon2")
}

// TestUserShowSaysWhyNoMailArrives in the words of the pages: what the running server
// says of itself, not what the command's own configuration lacks.
func TestUserShowSaysWhyNoMailArrives(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("", "environment", "create", "acme", "--name", "Acme")
	o.do("", "user", "create", "--environment", "acme", "--email", "jane@acme.example", "--name", "Jane Doe")
	show := func() string {
		return o.do("", "user", "show", "--environment", "acme", "--email", "jane@acme.example")
	}
	require.NotContains(t, show(), "mail server", "no server has said anything yet")
	server := start(t, o.dir, "serve", "--listen", "127.0.0.1:0")
	require.Eventually(t, func() bool { return strings.Contains(show(), "No mail server is set up, so no mail can be sent.") }, 20*time.Second, 50*time.Millisecond)
	require.Contains(t, show(), "Give a link by phone")
	server.stop(syscall.SIGTERM)
}

// shape gives what a command prints with the values replaced by their kinds.
func (o operator) shape(args ...string) string {
	o.t.Helper()
	d := json.NewDecoder(strings.NewReader(o.do("", args...)))
	var b strings.Builder
	writeShape(o.t, &b, d)
	require.False(o.t, d.More(), "one value")
	return b.String()
}

func writeShape(t *testing.T, b *strings.Builder, d *json.Decoder) {
	t.Helper()
	token, err := d.Token()
	require.NoError(t, err)
	switch v := token.(type) {
	case json.Delim:
		b.WriteString(v.String())
		for i := 0; d.More(); i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			if v == '{' {
				key, err := d.Token()
				require.NoError(t, err)
				fmt.Fprintf(b, "%q:", key)
			}
			writeShape(t, b, d)
		}
		end, err := d.Token()
		require.NoError(t, err)
		fmt.Fprint(b, end)
	case string:
		if strings.HasPrefix(v, "20") && strings.HasSuffix(v, "Z") {
			b.WriteString("time")
			return
		}
		b.WriteString("text")
	case bool:
		b.WriteString("bool")
	case nil:
		b.WriteString("null")
	default:
		fmt.Fprint(b, reflect.TypeOf(v))
	}
}

// TestEveryCommandExplainsItself also where a folder has a broken database or
// configuration: help needs neither.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	require.NoError(t, os.WriteFile(o.database(), []byte("no database"), 0o600))
	parser := kong.Must(newCommands(newSettings()))
	leaves := 0
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		if n.Type == kong.CommandNode {
			require.NotEmpty(t, n.Help, n.FullPath())
			args := append(strings.Fields(strings.TrimPrefix(n.FullPath(), n.Parent.FullPath())), "--help")
			for p := n.Parent; p.Parent != nil; p = p.Parent {
				args = append([]string{p.Name}, args...)
			}
			require.Contains(t, o.do("", args...), "Usage: sparekey")
		}
		for _, f := range n.Flags {
			require.NotEmpty(t, f.Help, "%s --%s", n.FullPath(), f.Name)
		}
		if n.Leaf() {
			leaves++
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
	require.Equal(t, 36, leaves)
}

// TestEverySettingIsAFlag of each command that opens the database.
func TestEverySettingIsAFlag(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	for _, command := range []string{"serve", "migrate", "environment list", "user import", "reset link", "keys rotate"} {
		help := o.do("", append(strings.Fields(command), "--help")...)
		for _, s := range config.Settings() {
			require.Contains(t, help, s.Flag+"=", command)
		}
	}
}

func TestPasswordIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " sec ret \n": " sec ret ", "secret\n\n": "secret\n",
	} {
		got, err := readPassword(strings.NewReader(given))
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", given)
	}
	for _, given := range []string{"", "\n", "\r\n"} {
		_, err := readPassword(strings.NewReader(given))
		require.Error(t, err, "%q", given)
	}
}

// TestNamesDoNotSteerTheTerminal: replies of strangers' mail servers are printed.
func TestNamesDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	term := &terminal{out: &out}
	require.NoError(t, term.table([]string{"A"}, [][]string{{"\x1b]0;title\a\x1b[2J550 no\r\n"}}))
	require.NoError(t, term.facts([][2]string{{"Name", "Jane\x1b[31m\u202e"}}))
	require.NotContains(t, out.String(), "\x1b")
	require.NotContains(t, out.String(), "\a")
	require.NotContains(t, out.String(), "\r")
	require.NotContains(t, out.String(), "\u202e")
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{to: &out, what: "lines", total: 1000, phase: 1}
	p.show(500)
	require.Contains(t, out.String(), "Reading [###############...............] 500 of 1000 lines")
	p.show(1001)
	require.Contains(t, out.String(), "1000 of 1000")
	p.show(500)
	require.Contains(t, out.String(), "Writing [")
	out.Reset()
	p.clear()
	p.clear()
	require.Equal(t, "\r\x1b[K", out.String())

	silent := newProgress(&terminal{err: &out}, "lines", 10)
	silent.show(5)
	silent.clear()
	require.Equal(t, "\r\x1b[K", out.String(), "nobody is watching")
}

// TestAnInvitationThatCannotGoOutIsNotPromised: nothing is mailed to an address
// that is stopped, and whoever invites must know.
func TestAnInvitationThatCannotGoOutIsNotPromised(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("", "environment", "create", "acme", "--name", "Acme")
	o.stop("acme", "new@acme.example")
	require.NotContains(t, o.do("", "user", "create", "--environment", "acme", "--email", "new@acme.example", "--name", "New"), "mails the invitation")
	status, stdout, stderr := o.try("", "user", "invite", "--environment", "acme", "--email", "new@acme.example")
	require.Equal(t, failed, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "No mail goes to new@acme.example at the moment, so nothing was sent.")
	require.Contains(t, o.do("", "reset", "link", "--environment", "acme", "--email", "new@acme.example"), "/reset-password/", "the way it names works")
}

// stop lets no mail go to an address, as after a hard bounce.
func (o operator) stop(slug, address string) {
	o.t.Helper()
	err := newSettings().withCore(o.t.Context(), &terminal{err: io.Discard, environ: o.environ()}, func(core *app.Core) error {
		env, err := core.Settings.BySlug(o.t.Context(), slug)
		if err != nil {
			return err
		}
		return core.DB.Update(o.t.Context(), func(tx *db.Tx) error {
			return suppression.Add(tx, env.ID, suppression.Entry{AddressKey: address, Class: "no-such-mailbox", Since: tx.Now()})
		})
	})
	require.NoError(o.t, err)
}
