//go:build linux

package mta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/test/mta/world"
)

const (
	admin   = "admin@acme.example"
	address = "http://login.example:8080"
	// patience bounds what a test waits for beyond what the servers were told.
	patience = 60 * time.Second
	pause    = 250 * time.Millisecond
)

// product is the real program, running in the world.
type product struct {
	*testkit.World // for its browsers
	environ        []string
	folder         string
	log            *testkit.Log
}

// notable leaves the requests out of a log.
func notable(log string) string {
	var kept strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "msg=request ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// start sets the program up as an operator would: it logs in to the relay over
// TLS and takes returned mail on the port for mail.
func start(t *testing.T) *product {
	t.Helper()
	folder := t.TempDir()
	p := &product{World: &testkit.World{T: t, URL: address}, folder: folder, log: &testkit.Log{}}
	p.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "SSL_CERT_FILE=" + world.Authority(),
		"SPAREKEY_LISTEN=127.0.0.1:8080", "SPAREKEY_URL=" + address,
		"SPAREKEY_DATABASE=sqlite:" + filepath.Join(folder, "sparekey.db"), "SPAREKEY_KEY_FILE=" + filepath.Join(folder, "sparekey.key"),
		"SPAREKEY_SMTP=smtp://sparekey:" + world.Password + "@relay.login.example:587",
		"SPAREKEY_MAIL_FROM=Sparekey <no-reply@login.example>", "SPAREKEY_BOUNCE_LISTEN=192.0.2.10:25",
		"SPAREKEY_LIMITS=off",
	}
	p.command("", "environment", "create", "acme", "--name", "Acme")
	p.command(testkit.Passphrase, "user", "create", "--environment", "acme", "--email", admin, "--name", "Ada Admin", "--role", "client-admin", "--password-stdin")
	return p
}

// people adds a user for each fate, with a password that nobody remembers.
func (p *product) people(fates []*fate) {
	p.T.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("long forgotten password"), bcrypt.MinCost)
	require.NoError(p.T, err)
	var lines strings.Builder
	for _, f := range fates {
		line, err := json.Marshal(map[string]string{"email": f.address, "name": f.address, "password_hash": string(hash)})
		require.NoError(p.T, err)
		lines.Write(append(line, '\n'))
	}
	p.command(lines.String(), "user", "import", "--environment", "acme", "--format", "jsonl", "-")
}

// command runs a command of the program to its end and gives what it printed.
func (p *product) command(stdin string, args ...string) string {
	p.T.Helper()
	c := exec.CommandContext(p.T.Context(), os.Getenv(binaryVariable), args...)
	c.Env, c.Dir, c.Stdin = p.environ, p.folder, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	require.NoError(p.T, c.Run(), "%v: %s", args, errs.String())
	return out.String()
}

// serve starts the server and waits until it is ready; it ends with the test.
func (p *product) serve() {
	p.T.Helper()
	c := exec.Command(os.Getenv(binaryVariable), "serve")
	c.Env, c.Dir, c.Stderr = p.environ, p.folder, p.log
	require.NoError(p.T, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	p.T.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				p.T.Errorf("the server ended badly: %v", err)
			}
		case <-time.After(patience):
			p.T.Error("the server does not end")
		}
		if p.T.Failed() {
			p.T.Log("the program says:\n" + notable(p.log.String()))
		}
	})
	for deadline := time.Now().Add(patience); ; {
		if ready() {
			return
		}
		require.True(p.T, time.Now().Before(deadline), "the server does not come up: %s", p.log)
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(p.T, "the server ended", "%v: %s", err, p.log)
		case <-time.After(pause):
		}
	}
}

func ready() bool {
	res, err := http.Get(address + "/readyz")
	return err == nil && errors.Join(res.Body.Close()) == nil && res.StatusCode == http.StatusOK
}

// shown is what user show --json prints, as far as these tests look.
type shown struct {
	Token struct {
		Live bool `json:"live"`
	} `json:"token"`
	Mail struct {
		Class      *string `json:"class"`
		Family     *string `json:"family"`
		Sentence   *string `json:"sentence"`
		Action     *string `json:"action"`
		Suppressed bool    `json:"suppressed"`
	} `json:"mail"`
	Messages []struct {
		Kind  string `json:"kind"`
		State string `json:"state"`
	} `json:"messages"`
}

func (s shown) class() string    { return text(s.Mail.Class) }
func (s shown) family() string   { return text(s.Mail.Family) }
func (s shown) sentence() string { return text(s.Mail.Sentence) }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (s shown) String() string {
	return fmt.Sprintf("%s (%s), %q, suppressed: %t, mails: %v", s.class(), s.family(), s.sentence(), s.Mail.Suppressed, s.Messages)
}

// show reads what an administrator would.
func (p *product) show(email string) shown {
	p.T.Helper()
	var s shown
	require.NoError(p.T, json.Unmarshal([]byte(p.command("", "user", "show", "--json", "--environment", "acme", "--email", email)), &s))
	return s
}
