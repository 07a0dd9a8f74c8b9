package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/testkit"
)

const notMeButton = "This wasn’t me"

// notMeLink gives the "This wasn't me" link of a mail.
func notMeLink(t *testing.T, m inbox.Mail) string {
	t.Helper()
	link := m.LinkTo("/not-me/")
	require.NotEmpty(t, link, m.Text)
	return link
}

func TestNotMeBeforeTheLinkIsUsed(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		jane := w.Browser()
		jane.SignIn(janeEmail, testkit.Passphrase)
		first, second := askFor(w, janeEmail), askFor(w, janeEmail)
		mail := w.Mail(janeEmail, "Reset your password")
		stop := notMeLink(t, mail)

		for range 3 { // scanners change nothing
			require.Equal(t, http.StatusOK, send(w, http.MethodGet, stop, "").Status)
			require.Equal(t, http.StatusOK, send(w, http.MethodHead, stop, "").Status)
		}
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, second, "").Status)

		page := w.Browser().Get(stop)
		require.Contains(t, page.Text(), "Your password stays as it is")
		done := page.Press(notMeButton)
		require.Equal(t, "Thank you, that is stopped", done.Heading())
		for _, link := range []string{first, second} {
			require.Equal(t, http.StatusGone, setPassword(w, link, "x", newPassphrase).Status)
		}
		wrong := send(w, http.MethodPost, "/acme/reset-password", form("email", janeEmail, "code", mail.Code()))
		require.Equal(t, http.StatusUnprocessableEntity, wrong.Status, "the code ends with its link")
		require.True(t, isIn(jane), "nobody is signed out")
		require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase))

		twice := send(w, http.MethodPost, stop, form("x", "y"))
		require.Equal(t, http.StatusGone, twice.Status)
		require.Contains(t, twice.Body, "This link has already been used.")
	})
}

func TestNotMeAfterTheLinkWasUsed(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		asked := notMeLink(t, w.Mail(janeEmail, "Reset your password"))
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", "the thief sets this one").Status)
		thief := w.Browser()
		thief.SignIn(janeEmail, "the thief sets this one")
		changed := notMeLink(t, w.Mail(janeEmail, "Your password was changed"))
		w.Inbox.Clear()

		page := w.Browser().Get(asked) // from either of the two mails
		require.Contains(t, page.Text(), "Everybody signed in to this account is signed out.")
		require.Equal(t, "Thank you, that is stopped", page.Press(notMeButton).Heading())
		require.False(t, isIn(thief))
		require.False(t, mayLogIn(w, janeEmail, "the thief sets this one"))
		require.False(t, mayLogIn(w, janeEmail, testkit.Passphrase), "the old one does not come back either")
		mailed := w.Mail(janeEmail, "Reset your password")
		require.Contains(t, mailed.Text, "You said that it was not you.")
		require.NotContains(t, mailed.Text, "Someone asked to reset", "nobody did")
		fresh := mailed.LinkTo("/reset-password/")
		require.Equal(t, http.StatusSeeOther, setPassword(w, fresh, "y", newPassphrase).Status)
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))

		w.Clock.Advance(time.Minute)
		require.Equal(t, "Thank you, that is stopped", w.Browser().Get(changed).Press(notMeButton).Heading())
		require.False(t, mayLogIn(w, janeEmail, newPassphrase), "that mail spoke of a password set")
	})
}

func TestNotMeLinksEndAfterThreeDays(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		stop := notMeLink(t, w.Mail(janeEmail, "Reset your password"))
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status)
		w.Clock.Advance(72*time.Hour - time.Minute)
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, stop, "").Status)
		w.Clock.Advance(2 * time.Minute)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := send(w, method, stop, form("x", "y"))
			require.Equal(t, http.StatusGone, a.Status)
			require.Contains(t, a.Body, "I forgot my password", "the next step")
		}
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		for _, bad := range []string{stop[:len(stop)-4], stop[:len(stop)-1] + "*", "/acme/not-me/", "/acme/not-me/%00", "/acme/not-me/garbage"} {
			require.Contains(t, []int{http.StatusGone, http.StatusNotFound}, send(w, http.MethodGet, bad, "").Status, bad)
		}
	})
}

func TestNotMePressedByManyAtOnceActsOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		stop := notMeLink(t, w.Mail(janeEmail, "Reset your password"))
		setPassword(w, link, "x", newPassphrase)
		var group sync.WaitGroup
		statuses := make([]int, 16)
		for i := range statuses {
			group.Go(func() { statuses[i] = send(w, http.MethodPost, stop, form("x", "y")).Status })
		}
		group.Wait()
		done := 0
		for _, s := range statuses {
			if s == http.StatusOK {
				done++
				continue
			}
			require.Equal(t, http.StatusGone, s)
		}
		require.Equal(t, 1, done)
		require.Equal(t, 1, count(w, "SELECT count(*) FROM events WHERE kind = 'this was not me'"))
	})
}

// moveAddress asks for a new address in a signed-in browser.
func moveAddress(b *testkit.Browser, to, password string) *testkit.Page {
	return b.Get("/acme/account").Fill("Email", to).Fill("Current password, to change the address", password).Press("Change address")
}

func TestNotMeUndoesAChangeOfAddress(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		thief := w.Browser()
		thief.SignIn(janeEmail, testkit.Passphrase)
		moveAddress(thief, "thief@evil.example", testkit.Passphrase)
		undo := notMeLink(t, w.Mail(janeEmail, ""))
		w.Browser().Get(w.Mail("thief@evil.example", "").LinkTo("/confirm-address/")).Press("Use this address")
		require.Equal(t, "thief@evil.example", stored(w, w.Jane).Email)
		w.Clock.Advance(time.Minute)

		// The thief goes on: everything mailed now goes to the thief.
		thief.SignIn("thief@evil.example", testkit.Passphrase)
		moveAddress(thief, "thief2@evil.example", testkit.Passphrase)
		thievesUndo := notMeLink(t, w.Mail("thief@evil.example", "Your e-mail address"))
		thievesConfirm := w.Mail("thief2@evil.example", "").LinkTo("/confirm-address/")
		thievesReset := askFor(w, "thief@evil.example")
		thievesStop := notMeLink(t, w.Mail("thief@evil.example", "Reset your password"))
		w.Inbox.Clear()

		require.Equal(t, "Thank you, that is stopped", w.Browser().Get(undo).Press(notMeButton).Heading())
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
		require.Empty(t, stored(w, w.Jane).PendingEmail)
		require.False(t, isIn(thief))
		fresh := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")

		for _, link := range []string{thievesUndo, thievesConfirm, thievesReset, thievesStop} {
			require.Equal(t, http.StatusGone, send(w, http.MethodGet, link, "").Status, link)
			require.Equal(t, http.StatusGone, send(w, http.MethodPost, link, form("operation", "x", "password", newPassphrase)).Status, link)
		}
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
		require.Equal(t, http.StatusSeeOther, setPassword(w, fresh, "x", newPassphrase).Status)
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		settled(w)
		for _, m := range w.Inbox.Mails() {
			require.False(t, strings.HasPrefix(m.To[0], "thief"), m.Subject)
		}
	})
}

func TestNotMeUndoesAChangeThatWasNotConfirmedYet(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		thief := w.Browser()
		thief.SignIn(janeEmail, testkit.Passphrase)
		moveAddress(thief, "thief@evil.example", testkit.Passphrase)
		confirm := w.Mail("thief@evil.example", "").LinkTo("/confirm-address/")
		w.Browser().Get(notMeLink(t, w.Mail(janeEmail, ""))).Press(notMeButton)
		require.False(t, isIn(thief))
		require.Equal(t, http.StatusGone, send(w, http.MethodPost, confirm, form("x", "y")).Status)
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
		fresh := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Equal(t, http.StatusSeeOther, setPassword(w, fresh, "x", newPassphrase).Status)
	})
}

func TestTheThiefsOwnNotMeDoesNotTakeTheOwnersAway(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		thief := w.Browser()
		thief.SignIn(janeEmail, testkit.Passphrase)
		moveAddress(thief, "thief@evil.example", testkit.Passphrase)
		undo := notMeLink(t, w.Mail(janeEmail, ""))
		w.Browser().Get(w.Mail("thief@evil.example", "").LinkTo("/confirm-address/")).Press("Use this address")
		w.Clock.Advance(time.Minute)
		thief.SignIn("thief@evil.example", testkit.Passphrase)
		moveAddress(thief, "thief2@evil.example", testkit.Passphrase)
		w.Browser().Get(notMeLink(t, w.Mail("thief@evil.example", "Your e-mail address"))).Press(notMeButton)

		require.Equal(t, "Thank you, that is stopped", w.Browser().Get(undo).Press(notMeButton).Heading())
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
	})
}

func TestNotMeOfADeactivatedUserSendsNothing(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		stop := notMeLink(t, w.Mail(janeEmail, "Reset your password"))
		setPassword(w, link, "x", newPassphrase)
		w.Mail(janeEmail, "Your password was changed")
		deactivate(w, w.Jane)
		w.Inbox.Clear()
		require.Equal(t, http.StatusOK, send(w, http.MethodPost, stop, form("x", "y")).Status)
		settled(w)
		require.Empty(t, w.Inbox.Mails())
		_, err := w.App.UserManager.Activate(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		require.False(t, mayLogIn(w, janeEmail, newPassphrase))
	})
}

// steal changes the password and then the address, as somebody would who found
// the browser open.
func steal(t *testing.T, w *testkit.World) (passwordStop string) {
	t.Helper()
	thief := w.Browser()
	thief.SignIn(janeEmail, testkit.Passphrase)
	page := thief.Get("/acme/account").Fill("Current password", testkit.Passphrase).Fill("New password", newPassphrase)
	require.Equal(t, http.StatusOK, page.Press("Change password").Status)
	passwordStop = notMeLink(t, w.Mail(janeEmail, "Your password was changed"))
	moveAddress(thief, "thief@evil.example", newPassphrase)
	w.Browser().Get(w.Mail("thief@evil.example", "").LinkTo("/confirm-address/")).Press("Use this address")
	require.Equal(t, "thief@evil.example", stored(w, w.Jane).Email)
	settled(w) // the notice to the old address, too
	w.Inbox.Clear()
	return passwordStop
}

func TestNotMeAboutThePasswordAlsoBringsTheAddressBack(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		stop := steal(t, w)
		w.Browser().Get(stop).Press(notMeButton)
		require.Equal(t, janeEmail, stored(w, w.Jane).Email, "the link was mailed to the owner")
		fresh := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Equal(t, http.StatusSeeOther, setPassword(w, fresh, "x", "another three words here").Status)
		require.False(t, mayLogIn(w, "thief@evil.example", newPassphrase))
	})
}

func TestNotMeShutsTheThiefOutThoughTheAddressIsTaken(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		stop := steal(t, w)
		w.AddUser(w.Acme, janeEmail, "Another Jane", access.Member)
		require.Equal(t, http.StatusOK, w.Browser().Get(stop).Press(notMeButton).Status)
		require.False(t, mayLogIn(w, "thief@evil.example", newPassphrase))
		settled(w)
		require.Empty(t, w.Inbox.Mails(), "nothing goes to an address that may be the thief's")
	})
}

func TestLoggingInEndsTheSessionTheBrowserHad(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		b.SignIn(janeEmail, testkit.Passphrase)
		b.Post("/acme/login", url.Values{"email": {janeEmail}, "password": {testkit.Passphrase}})
		require.Equal(t, 1, count(w, "SELECT count(*) FROM sessions WHERE ended_at IS NULL"))
		require.True(t, isIn(b))
	})
}
