package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
)

func TestChangingOnesPassword(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		here, there := w.Browser(), w.Browser()
		here.SignIn(janeEmail, testkit.Passphrase)
		there.SignIn(janeEmail, testkit.Passphrase)
		link := askFor(w, janeEmail)
		change := func(current, next string) *testkit.Page {
			return here.Get("/acme/account").Fill("Current password", current).Fill("New password", next).Press("Change password")
		}
		for _, c := range [][2]string{
			{"not my password at all", newPassphrase}, {"", newPassphrase}, {testkit.Passphrase, "short"}, {testkit.Passphrase, "jane@acme.example"}, {testkit.Passphrase, ""},
		} {
			page := change(c[0], c[1])
			require.Equal(t, http.StatusUnprocessableEntity, page.Status, c)
			require.Empty(t, page.Value("Current password"))
		}
		require.Equal(t, w.Jane.PasswordHash, stored(w, w.Jane).PasswordHash)
		require.True(t, isIn(there))

		require.Contains(t, change(testkit.Passphrase, newPassphrase).Text(), "Your password is changed. 1 other session was signed out.")
		require.True(t, isIn(here))
		require.False(t, isIn(there))
		require.Equal(t, http.StatusGone, setPassword(w, link, "x", "some third long words").Status, "the open link ends")
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		require.False(t, mayLogIn(w, janeEmail, testkit.Passphrase))
		require.NotEmpty(t, w.Mail(janeEmail, "Your password was changed").LinkTo("/not-me/"))
	})
}

func TestGuessingTheCurrentPasswordIsSlowedDown(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		change := func(current string) answer {
			return send(w, http.MethodPost, "/acme/account", form("do", "password", "current", current, "password", newPassphrase), "Cookie", cookie)
		}
		for range 10 {
			require.Equal(t, http.StatusUnprocessableEntity, change("a wrong long password").Status)
		}
		a := change(testkit.Passphrase)
		require.Equal(t, http.StatusTooManyRequests, a.Status)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		address := send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", "new@acme.example"), "Cookie", cookie)
		require.Equal(t, http.StatusTooManyRequests, address.Status, "one counter for both forms")
		require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase), "a stolen session slows down no login")
		w.Clock.Advance(time.Second)
		require.Equal(t, http.StatusSeeOther, change(testkit.Passphrase).Status)
	})
}

func TestANewAddressCountsOnceItsMailboxSaysSo(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		here, other := w.Browser(), w.Browser()
		here.SignIn(janeEmail, testkit.Passphrase)
		other.SignIn(janeEmail, testkit.Passphrase)
		require.Equal(t, http.StatusUnprocessableEntity, moveAddress(here, "new@acme.example", "not my password at all").Status)
		require.Equal(t, http.StatusUnprocessableEntity, moveAddress(here, "no address", testkit.Passphrase).Status)
		require.Equal(t, http.StatusUnprocessableEntity, moveAddress(here, janeEmail, testkit.Passphrase).Status)

		page := moveAddress(here, "new@acme.example", testkit.Passphrase)
		require.Contains(t, page.Text(), "We sent a link to new@acme.example.")
		require.NotEmpty(t, w.Mail(janeEmail, "Your e-mail address").LinkTo("/not-me/"), "the old address is told at once")
		confirm := w.Mail("new@acme.example", "Confirm").LinkTo("/confirm-address/")

		// Until then nothing has changed.
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
		require.False(t, mayLogIn(w, "new@acme.example", testkit.Passphrase))
		postAsk(w, "new@acme.example")
		settled(w)
		require.Len(t, w.Inbox.Mails(), 2, "recovery goes to the old address alone")
		old := askFor(w, janeEmail)

		require.Equal(t, http.StatusOK, send(w, http.MethodGet, confirm, "").Status)
		require.Equal(t, http.StatusOK, send(w, http.MethodHead, confirm, "").Status)
		require.Equal(t, janeEmail, stored(w, w.Jane).Email, "opening confirms nothing")
		login := w.Browser().Get(confirm).Press("Use this address")
		require.Equal(t, "/acme/login", login.URL.Path)
		require.Contains(t, login.Text(), "Your new address is confirmed.")
		require.Equal(t, "new@acme.example", login.Value("Email"))
		require.False(t, isIn(here))
		require.False(t, isIn(other))
		require.False(t, mayLogIn(w, janeEmail, testkit.Passphrase))
		require.True(t, mayLogIn(w, "new@acme.example", testkit.Passphrase))
		require.Equal(t, http.StatusGone, setPassword(w, old, "x", newPassphrase).Status, "a link mailed to the old address ends")

		for _, again := range []answer{send(w, http.MethodPost, confirm, form("x", "y")), send(w, http.MethodGet, confirm, "")} {
			require.Equal(t, http.StatusOK, again.Status)
			require.Contains(t, again.Body, "Your address is confirmed already")
			require.Contains(t, again.Body, "with new@acme.example.")
			require.Contains(t, again.Body, `href="/acme/login"`)
		}
	})
}

// TestTheMailToANewAddressHasNoWordsOfWhoeverTypedIt: it goes to anybody.
func TestTheMailToANewAddressHasNoWordsOfWhoeverTypedIt(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		b.SignIn(janeEmail, testkit.Passphrase)
		require.Contains(t, b.Get("/acme/account").Fill("Name", "Winner, call +1 555 0100").Press("Save name").Text(), "Your name is saved.")
		moveAddress(b, "stranger@elsewhere.example", testkit.Passphrase)
		m := w.Mail("stranger@elsewhere.example", "Confirm")
		require.NotContains(t, string(m.Raw), "Winner")
		require.Contains(t, m.Text, "Hello,\n")
		require.Contains(t, w.Mail(janeEmail, "Your e-mail address").Text, "Hello Winner", "the own one is greeted by name")
	})
}

func TestAnAddressToConfirmCanBeDroppedReplacedAndExpires(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		b.SignIn(janeEmail, testkit.Passphrase)
		ask := func(to string) string {
			moveAddress(b, to, testkit.Passphrase)
			return w.Mail(to, "Confirm").LinkTo("/confirm-address/")
		}
		dead := func(link, why string) {
			t.Helper()
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a := send(w, method, link, form("x", "y"))
				require.Equal(t, http.StatusGone, a.Status)
				require.Contains(t, a.Body, why)
				require.NotContains(t, a.Body, "still counts", "a link that is dead does not know")
			}
			require.Equal(t, janeEmail, stored(w, w.Jane).Email)
		}
		dropped := ask("first@acme.example")
		require.Contains(t, b.Get("/acme/account").Press("Keep the old address").Text(), "Your address stays as it is.")
		dead(dropped, "the change was cancelled")
		require.Equal(t, http.StatusSeeOther, send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", "second@acme.example"),
			"Cookie", signedIn(w, janeEmail, testkit.Passphrase)).Status)
		replaced := w.Mail("second@acme.example", "Confirm").LinkTo("/confirm-address/")
		require.Equal(t, http.StatusSeeOther, send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", "third@acme.example"),
			"Cookie", signedIn(w, janeEmail, testkit.Passphrase)).Status)
		late := w.Mail("third@acme.example", "Confirm").LinkTo("/confirm-address/")
		dead(replaced, "replaced by a later change")
		settled(w)
		w.Clock.Advance(72*time.Hour + time.Second)
		dead(late, "too old")
	})
}

func TestATakenAddressIsAnsweredLikeAnyOther(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		page := func(to string) answer {
			cookie := signedIn(w, janeEmail, testkit.Passphrase)
			a := send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", to), "Cookie", cookie)
			a.Body = strings.ReplaceAll(a.Body, to, "ADDRESS")
			return a
		}
		free, taken := page("free@acme.example"), page("Admin@ACME.example")
		require.Equal(t, free.Status, taken.Status)
		require.Equal(t, free.Body, taken.Body)
		require.Equal(t, free.Header.Get("Location"), taken.Header.Get("Location"))
		settled(w)
		for _, m := range w.Inbox.Mails() {
			require.NotEqual(t, "admin@acme.example", strings.ToLower(m.To[0]), "nothing is mailed to the other user")
		}
		require.Equal(t, janeEmail, stored(w, w.Jane).Email)
	})
}

func TestTwoUsersCannotConfirmOneAddress(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.AddUser(w.Acme, "bob@acme.example", "Bob Builder", access.Member)
		var links []string
		for _, email := range []string{janeEmail, "bob@acme.example"} {
			w.Inbox.Clear()
			b := w.Browser()
			b.SignIn(email, testkit.Passphrase)
			moveAddress(b, "wanted@acme.example", testkit.Passphrase)
			links = append(links, w.Mail("wanted@acme.example", "Confirm").LinkTo("/confirm-address/"))
		}
		var group sync.WaitGroup
		statuses := make([]int, 8)
		for i := range statuses {
			group.Go(func() { statuses[i] = send(w, http.MethodPost, links[i%2], form("x", "y")).Status })
		}
		group.Wait()
		done := 0
		for _, s := range statuses {
			if s == http.StatusSeeOther {
				done++
				continue
			}
			require.Contains(t, []int{http.StatusOK, http.StatusGone, http.StatusConflict}, s)
		}
		require.Equal(t, 1, done)
		require.Equal(t, 1, count(w, "SELECT count(*) FROM users WHERE email_key = 'wanted@acme.example'"))
	})
}

func TestManyChangesOfAddressAtOnceConfirmOnlyWhatWasMailed(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() {
				send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", fmt.Sprintf("new%d@acme.example", i)), "Cookie", cookie)
			})
		}
		group.Wait()
		settled(w)
		confirmed := 0
		for _, m := range w.Inbox.Mails() {
			link := m.LinkTo("/confirm-address/")
			if link == "" {
				continue
			}
			if send(w, http.MethodPost, link, form("x", "y")).Status == http.StatusSeeOther {
				confirmed++
				require.Equal(t, m.To[0], stored(w, w.Jane).Email, "a link confirms the address it was mailed to")
			}
		}
		require.Equal(t, 1, confirmed)
	})
}

func TestAskingForNewAddressesIsLimited(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		for i := range 6 {
			a := send(w, http.MethodPost, "/acme/account", form("do", "email", "proof", testkit.Passphrase, "email", fmt.Sprintf("new%d@acme.example", i)), "Cookie", cookie)
			require.Equal(t, map[bool]int{true: http.StatusSeeOther, false: http.StatusTooManyRequests}[i < 5], a.Status)
		}
	})
}

func TestSessionsAreListedAndEndedByTheirOwner(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		here, phone, tablet, bob := w.Browser(), w.Browser(), w.Browser(), w.Browser()
		phone.Agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
		phone.SignIn(janeEmail, testkit.Passphrase)
		tablet.SignIn(janeEmail, testkit.Passphrase)
		page := here.SignIn(janeEmail, testkit.Passphrase)
		w.AddUser(w.Acme, "bob@acme.example", "Bob Builder", access.Member)
		bob.SignIn("bob@acme.example", testkit.Passphrase)
		require.Contains(t, page.Text(), "Safari on iPhone")
		require.Contains(t, page.Text(), "this one")

		// Nobody ends a session of somebody else.
		ids := map[string]string{}
		for _, row := range dump(w)["sessions"] {
			ids[row[2]] = row[3]
		}
		require.Len(t, ids, 4)
		for session, owner := range ids {
			if owner == string(w.Jane.ID) {
				require.Equal(t, http.StatusNotFound, bob.Post("/acme/account", map[string][]string{"do": {"end-session"}, "session": {session}}).Status)
			}
		}
		require.True(t, isIn(phone) && isIn(tablet) && isIn(here))

		after := page.Press("End this session: Safari on iPhone")
		require.Contains(t, after.Text(), "The session is ended.")
		require.False(t, isIn(phone))
		require.True(t, isIn(tablet) && isIn(here))
		again := page.Press("End this session: Safari on iPhone") // an old page in a second tab
		require.Equal(t, http.StatusNotFound, again.Status)
		require.Contains(t, again.Text(), "This session has already ended.")

		require.Contains(t, here.Get("/acme/account").Press("End all others").Text(), "1 other session was signed out.")
		require.False(t, isIn(tablet))
		require.True(t, isIn(here) && isIn(bob))
	})
}

func TestTheAccountFormTakesNothingElse(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		post := func(pairs ...string) answer {
			return send(w, http.MethodPost, "/acme/account", form(pairs...), "Cookie", cookie)
		}
		a := post("do", "name", "name", "Jane Roe", "role", "client-admin", "state", "active", "email", "evil@evil.example", "email_verified", "true", "id", string(w.Admin.ID), "user", string(w.Admin.ID))
		require.Equal(t, http.StatusSeeOther, a.Status)
		now := stored(w, w.Jane)
		require.Equal(t, []string{"Jane Roe", janeEmail, "member"}, []string{now.Name, now.Email, string(now.Role)})
		require.Equal(t, "Ada Admin", stored(w, w.Admin).Name)
		for _, name := range []string{"", "   ", strings.Repeat("n", 101), "Jane\nRoe", "Jane\u202eeoR"} {
			require.Equal(t, http.StatusUnprocessableEntity, post("do", "name", "name", name).Status, "%q", name)
		}
		for _, do := range []string{"", "delete", "role", "NAME"} {
			require.Equal(t, http.StatusBadRequest, post("do", do, "name", "Mallory").Status, do)
		}
		require.Equal(t, http.StatusNotFound, post("do", "end-session", "session", "' OR 1=1 --").Status)
		require.Equal(t, "Jane Roe", stored(w, w.Jane).Name)
		shown := send(w, http.MethodPost, "/acme/account", form("do", "name", "name", `<script>alert(1)</script>`), "Cookie", cookie)
		require.Equal(t, http.StatusSeeOther, shown.Status)
		require.NotContains(t, send(w, http.MethodGet, "/acme/account", "", "Cookie", cookie).Body, "<script>alert")
	})
}

func TestARefusedNewPasswordIsNoWrongCurrentOne(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		b.SignIn(janeEmail, testkit.Passphrase)
		change := func(next string) int {
			return b.Get("/acme/account").Fill("Current password", testkit.Passphrase).Fill("New password", next).Press("Change password").Status
		}
		for range 12 {
			require.Equal(t, http.StatusUnprocessableEntity, change("short"))
		}
		require.Equal(t, http.StatusOK, change(newPassphrase))
	})
}
