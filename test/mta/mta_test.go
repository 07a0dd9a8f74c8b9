//go:build linux

// Package mta sends through a real relay to real mail servers, whose refusals,
// delays, reports and answers come back, and looks at what an administrator
// reads about each, and whether the person still gets in. See README.md.
package mta

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/test/mta/world"
)

// newPassword is what everybody chooses.
const newPassword = "a new key under another mat"

// TestEveryFate: everybody asks for a link, and each mail meets its fate.
func TestEveryFate(t *testing.T) {
	if testing.Short() {
		t.Skip("needs root and real mail servers: left out with -short")
	}
	seeSources(t)
	fates := readFates(t)
	p := start(t)
	p.people(fates)
	p.serve()
	for _, f := range fates {
		for range f.asks {
			p.ask(f.address)
		}
	}
	p.observe(fates)
	keepLog(t)
	p.forge(t, "ok@postfix.example", "ok@dovecot.example")
	ada := p.Browser()
	require.Equal(t, http.StatusOK, ada.SignIn(admin, testkit.Passphrase).Status)
	for _, f := range fates {
		t.Run(f.address, func(t *testing.T) {
			f.check(t)
			p.recover(t, ada, f)
			if t.Failed() {
				t.Logf("seen: %v; at last %s\nthe servers say:\n%s", f.classes, f.last, beginning(world.Log(f.address)))
			}
		})
	}
}

// ask types an address into "I forgot my password".
func (p *product) ask(email string) {
	p.T.Helper()
	page := p.Browser().Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
	require.Equal(p.T, http.StatusOK, page.Status)
}

// observe reads what stands beside each user until everything has come to an end.
func (p *product) observe(fates []*fate) {
	p.T.Helper()
	began := time.Now()
	deadline := began.Add(world.Longest() + patience)
	for open := slices.Clone(fates); len(open) > 0 && time.Now().Before(deadline); time.Sleep(pause) {
		for _, f := range open {
			f.see(p.show(f.address))
			f.settled = f.right() && (!f.arrives || arrived(p.T, f.address))
		}
		open = slices.DeleteFunc(open, func(f *fate) bool { return f.settled })
	}
	p.T.Logf("observed for %.0f s", time.Since(began).Seconds())
}

// keepLog leaves the servers' log behind if the test fails.
func keepLog(t *testing.T) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		kept := filepath.Join(os.TempDir(), "sparekey-mta.log")
		if err := os.WriteFile(kept, []byte(world.Log("")), 0o600); err != nil {
			t.Error(err)
		}
		t.Logf("what all servers said is in %s", kept)
	})
}

// beginning gives the first lines of a log.
func beginning(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[:min(len(lines), 12)], "")
}

// arrived tells whether a mail is in a real mailbox.
func arrived(t *testing.T, email string) bool {
	t.Helper()
	mails, err := world.Mailbox(email)
	require.NoError(t, err)
	return len(mails) > 0
}

// check compares what was seen with what is right.
func (f *fate) check(t *testing.T) {
	t.Helper()
	assert.Contains(t, f.finally, f.last.class(), "the class in the end")
	if f.first != "" {
		assert.Contains(t, f.classes, f.first, "the class on the way")
	}
	assert.Equal(t, families[f.last.class()], f.last.family())
	assert.NotEmpty(t, f.last.sentence())
	switch {
	case f.arrives:
		assert.True(t, arrived(t, f.address), "the mail is in the mailbox")
		assert.False(t, f.last.Mail.Suppressed, "a mailbox that takes mail gets mail")
	case !slices.Contains(hard, f.last.class()):
		assert.False(t, f.last.Mail.Suppressed, "what may pass stops no mail")
	case !strings.HasPrefix(f.address, "forward@"): // there another address is at fault
		assert.True(t, f.last.Mail.Suppressed, "what never works is not tried again")
	}
}

// recover lets the person in: by the link in the mailbox, or by one that the
// administrator gives.
func (p *product) recover(t *testing.T, ada *testkit.Browser, f *fate) {
	t.Helper()
	link := ""
	if f.arrives {
		link = mailedLink(t, f.address)
	} else {
		page := ada.Get("/acme/users?q="+url.QueryEscape(f.address)).Choose("Action for "+f.address, "Reset Password").PressBeside("Action for "+f.address, "Go")
		require.Equal(t, "Reset Password Link", page.Heading(), page.Text())
		link = page.Value("Reset Password Link")
	}
	pat := (&testkit.World{T: t, URL: address}).Browser()
	page := pat.Get(link).Fill("New password", newPassword).Press("Set new password")
	require.Equal(t, http.StatusOK, page.Status, page.Text())
	pat.SignIn(f.address, newPassword)
	require.Equal(t, http.StatusOK, pat.Get("/acme/session").Status, "signed in")
}

// linkLine is the link, alone on its line.
var linkLine = regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(address) + `/acme/reset-password/[0-9a-zA-Z]+\r?$`)

// mailedLink finds the link of the newest mail in somebody's mailbox.
func mailedLink(t *testing.T, email string) string {
	t.Helper()
	mails, err := world.Mailbox(email)
	require.NoError(t, err)
	for _, raw := range slices.Backward(mails) {
		if link := linkLine.Find(bytes.ReplaceAll(raw, []byte("=\r\n"), nil)); link != nil {
			return strings.TrimSpace(string(link))
		}
	}
	require.FailNow(t, "no link in the mailbox", "%s", mails)
	return ""
}
