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
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
)

func TestALinkSetsThePasswordOnceAndEndsEverySession(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		desk, phone, other := w.Browser(), w.Browser(), w.Browser()
		desk.SignIn(janeEmail, testkit.Passphrase)
		phone.SignIn(janeEmail, testkit.Passphrase)
		other.SignIn("admin@acme.example", testkit.Passphrase)

		link := askFor(w, janeEmail)
		page := w.Browser().Get(link)
		require.Contains(t, page.Text(), "j•••@acme.example")
		require.NotContains(t, page.Body, janeEmail, "whoever sees the link does not learn the address")
		login := page.Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", login.URL.Path)
		require.Contains(t, login.Text(), "Your password is set.")

		require.False(t, isIn(desk))
		require.False(t, isIn(phone))
		require.True(t, isIn(other), "nobody else is signed out")
		require.Contains(t, desk.Get("/acme/account").Text(), "You were signed out because the password was changed")
		require.False(t, mayLogIn(w, janeEmail, testkit.Passphrase))
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		told := w.Mail(janeEmail, "Your password was changed")
		require.NotContains(t, told.Text, newPassphrase)

		again := setPassword(w, link, "another", "a fourth long passphrase")
		require.Equal(t, http.StatusGone, again.Status)
		require.Contains(t, again.Body, "This link was already used")
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
	})
}

func TestEveryLinkThatDoesNotWorkSaysWhyAndWhatNext(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		dead := func(address, heading string, next ...string) {
			t.Helper()
			for _, a := range []answer{send(w, http.MethodGet, address, ""), setPassword(w, address, "x", newPassphrase)} {
				require.Equal(t, http.StatusGone, a.Status, address)
				require.Contains(t, a.Body, "<h1>"+heading+"</h1>")
				require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
				require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"))
				require.Empty(t, a.Header.Values("Set-Cookie"))
				for _, words := range next {
					require.Contains(t, a.Body, words)
				}
			}
		}
		broken := []byte(link)
		broken[len(broken)-3] = map[bool]byte{true: 'X', false: 'W'}[broken[len(broken)-3] == 'W']
		dead(link[:len(link)-5], "This link was cut off", "Open this link", "Type the code instead", "Ask for a new mail")
		dead(string(broken), "This link is damaged", "Open this link", "Type the code instead", "Ask for a new mail")
		dead(link+"X", "This link is damaged", "Open this link")

		w.Clock.Advance(24*time.Hour + time.Second)
		dead(link, "This link has expired", "Send a new link", "Your password is unchanged")

		used := askFor(w, janeEmail)
		require.Equal(t, http.StatusSeeOther, setPassword(w, used, "first", newPassphrase).Status)
		dead(used, "This link was already used", "from Firefox on Linux", "Log in", "I forgot my password")

		cancelled := askFor(w, janeEmail)
		_, err := w.App.Recovery.CancelToken(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		dead(cancelled, "This link was cancelled", "an administrator cancelled it", "I forgot my password")
		require.True(t, mayLogIn(w, janeEmail, newPassphrase), "no dead link changed anything")
	})
}

func TestSendANewLinkIsAnOrdinaryAsking(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		live := send(w, http.MethodPost, link+"/send-again", form("x", "y"))
		require.Equal(t, http.StatusConflict, live.Status, "it stands on expired links alone")
		w.Clock.Advance(25 * time.Hour)
		w.Inbox.Clear()
		page := w.Browser().Get(link).Press("Send a new link")
		require.Equal(t, http.StatusOK, page.Status)
		require.NotContains(t, page.Body, janeEmail, "no address is shown")
		fresh := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Equal(t, http.StatusSeeOther, setPassword(w, fresh, "x", newPassphrase).Status)

		garbage := send(w, http.MethodPost, "/acme/reset-password/garbage/send-again", form("x", "y"))
		require.Equal(t, http.StatusGone, garbage.Status)
	})
}

func TestALinkIsReadTheWayPeopleAndMailProgramsHandItOver(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		start, text := link[:strings.LastIndexByte(link, '/')+1], link[strings.LastIndexByte(link, '/')+1:]
		alike := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(text))
		for _, fine := range []string{
			strings.ToLower(text), alike, strings.ReplaceAll(strings.ToUpper(alike), "L", "I"), text + ".", text + "%3E", text + ")", "%20" + text,
			text[:20] + "%20" + text[20:], text[:20] + "%3D%0D%0A" + text[20:], text[:20] + "%E2%80%8B" + text[20:], text + "%C2%A0",
		} {
			require.Equal(t, http.StatusOK, send(w, http.MethodGet, start+fine, "").Status, fine)
		}
		pasted := w.Browser().Get(link[:len(link)-9]).Fill("Link", " "+link+" ").Press("Open this link")
		require.Equal(t, "Set a new password", pasted.Heading())
		for i := range text { // every proper prefix, and every place changed
			require.Equal(t, http.StatusGone, send(w, http.MethodGet, start+text[:i]+"%20", "").Status)
			for _, c := range []string{"2", "Z"} {
				if text[i:i+1] == c {
					continue
				}
				require.Equal(t, http.StatusGone, send(w, http.MethodGet, start+text[:i]+c+text[i+1:], "").Status)
			}
		}
		for _, bad := range []string{text + text, text + "0", "u" + text[1:], text[1:], text[:39] + "%00", text[:39] + "%FF", "%", "%_", "[]", "null", "%2e%2e"} {
			if bad == "%" || bad == "%_" {
				bad = strings.ReplaceAll(bad, "%", "%25")
			}
			require.NotEqual(t, http.StatusOK, send(w, http.MethodGet, start+bad, "").Status, bad)
		}
	})
}

func TestScannersDoNotUseALink(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link, before := askFor(w, janeEmail), stored(w, w.Jane)
		for range 3 {
			for _, agent := range []string{"Mozilla/5.0 (compatible; SafeLinks scanner)", "curl/8", "", testkit.Firefox} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					a := send(w, method, link, "", "User-Agent", agent)
					require.Equal(t, http.StatusOK, a.Status)
					require.Empty(t, a.Header.Values("Set-Cookie"))
				}
			}
		}
		for _, method := range []string{http.MethodOptions, http.MethodPut, http.MethodDelete, "TRACE", "PROPFIND"} {
			a := send(w, method, link, form("password", newPassphrase))
			require.Equal(t, http.StatusMethodNotAllowed, a.Status, method)
			require.NotEmpty(t, a.Header.Get("Allow"))
		}
		override := send(w, http.MethodGet, link+"?_method=POST&password=three+unrelated+words+fit", "", "X-HTTP-Method-Override", "POST")
		require.Equal(t, http.StatusOK, override.Status)
		require.Equal(t, before, stored(w, w.Jane))
		require.Equal(t, 0, count(w, "SELECT count(*) FROM tokens WHERE used_at IS NOT NULL"))
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status, "it still works")
	})
}

func TestManyClientsWithOneLinkSetExactlyOnePassword(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		const clients = 64
		link := askFor(w, janeEmail)
		again := askFor(w, janeEmail) // a second link of the same token
		statuses := make([]int, clients)
		var group sync.WaitGroup
		for i := range clients {
			group.Go(func() {
				statuses[i] = setPassword(w, []string{link, again}[i%2], fmt.Sprint("operation ", i), fmt.Sprintf("lantern orchard number %d", i)).Status
			})
		}
		group.Wait()
		winner := -1
		for i, s := range statuses {
			if s == http.StatusSeeOther {
				require.Equal(t, -1, winner, "a second client was told that it set the password")
				winner = i
				continue
			}
			require.Contains(t, []int{http.StatusGone, http.StatusServiceUnavailable}, s)
		}
		require.NotEqual(t, -1, winner)
		require.True(t, mayLogIn(w, janeEmail, fmt.Sprintf("lantern orchard number %d", winner)))
		require.Equal(t, 1, count(w, "SELECT count(*) FROM events WHERE kind = 'password reset'"))
		settled(w)
		require.Equal(t, 1, count(w, "SELECT count(*) FROM messages WHERE kind = 'password-changed'"))
	})
}

func TestTheSameFormAgainIsDoneAndAnyOtherIsRefused(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		second := w.Browser().Get(link) // a second tab
		var group sync.WaitGroup
		statuses := make([]int, 2)
		for i := range statuses { // a double click
			group.Go(func() { statuses[i] = setPassword(w, link, "one operation", newPassphrase).Status })
		}
		group.Wait()
		require.Equal(t, []int{http.StatusSeeOther, http.StatusSeeOther}, statuses)

		repeated := setPassword(w, link, "one operation", newPassphrase) // the back button
		require.Equal(t, http.StatusSeeOther, repeated.Status)
		require.Equal(t, "/acme/login", repeated.Header.Get("Location"))
		require.Equal(t, http.StatusGone, setPassword(w, link, "one operation", "something else entirely").Status)
		require.Equal(t, http.StatusGone, setPassword(w, link, "", newPassphrase).Status)
		require.Equal(t, http.StatusGone, setPassword(w, link, "another operation", newPassphrase).Status)
		late := second.Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "This link was already used", late.Heading())

		require.Equal(t, 1, count(w, "SELECT count(*) FROM events WHERE kind = 'password reset'"))
		// A repeated form says "done" but is no second login and ends nothing.
		b := w.Browser()
		b.SignIn(janeEmail, newPassphrase)
		setPassword(w, link, "one operation", newPassphrase)
		require.True(t, isIn(b))
	})
}

func TestWhoIsSignedInAfterwardsIsToldThatThePasswordIsSet(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"after_reset": "signed-in"})
		for email, home := range map[string]string{janeEmail: "/acme/account", "admin@acme.example": "/acme/users"} {
			b := w.Browser()
			b.Header.Set("Sec-Fetch-Site", "same-origin")
			in := b.Get(askFor(w, email)).Fill("New password", newPassphrase).Press("Set new password")
			require.Equal(t, home, in.URL.Path)
			require.Contains(t, in.Text(), "Your password is set. All other sessions were signed out.")
		}
	})
}

func TestARepeatedFormDoesNotSignIn(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"after_reset": "signed-in"})
		link := askFor(w, janeEmail)
		own := []string{"Sec-Fetch-Site", "same-origin"}
		first := setPassword(w, link, "op", newPassphrase, own...)
		require.NotNil(t, first.cookie("sparekey-acme"))
		second := setPassword(w, link, "op", newPassphrase, own...)
		require.Equal(t, http.StatusSeeOther, second.Status)
		require.Nil(t, second.cookie("sparekey-acme"))
	})
}

func TestSignedInAfterAResetOnlyFromOurOwnPage(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"after_reset": "signed-in"})
		for name, c := range map[string]struct {
			headers []string
			in      bool
		}{
			"our own page, as browsers post it": {[]string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, true},
			"our own origin":                    {[]string{"Origin", w.URL}, true},
			"a program that says nothing":       {nil, false},
			"a page without origin":             {[]string{"Origin", "null"}, false},
			"another site":                      {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
			"a sibling":                         {[]string{"Origin", "https://sub.acme.example", "Sec-Fetch-Site", "same-site"}, false},
			"a lie about the origin":            {[]string{"Origin", w.URL, "Sec-Fetch-Site", "cross-site"}, false},
		} {
			// One user for each: five mails an hour would be too few for one.
			email := strings.ReplaceAll(name[:4], " ", "") + fmt.Sprint(len(name)) + "@acme.example"
			w.AddUser(w.Acme, email, "Somebody Else", access.Member)
			a := setPassword(w, askFor(w, email), "x", newPassphrase, c.headers...)
			require.Equal(t, http.StatusSeeOther, a.Status, name)
			require.Equal(t, c.in, a.cookie("sparekey-acme") != nil, name)
			require.True(t, mayLogIn(w, email, newPassphrase), name)
		}
	})
}

func TestTheResetPageNeedsNoCookieScriptOrOrigin(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i, headers := range [][]string{
			{"Origin", "null"},
			{"Origin", "null", "Sec-Fetch-Site", "cross-site"},
			{"Origin", "https://mail.example", "Sec-Fetch-Site", "cross-site"},
			nil,
		} {
			password := fmt.Sprint("lantern orchard number ", i)
			a := setPassword(w, askFor(w, janeEmail), "x", password, headers...)
			require.Equal(t, http.StatusSeeOther, a.Status)
			require.True(t, mayLogIn(w, janeEmail, password))
		}
	})
}

func TestARefusedPasswordDoesNotUseTheLink(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		page := b.Get(askFor(w, janeEmail))
		for _, c := range []struct{ password, words string }{
			{"", ""},
			{"short", "15"},
			{"fourteen chars", "15"},
			{"passwordpassword", ""},
			{"jane@acme.example", ""},
			{"jane doe jane doe", ""},
			{strings.Repeat("long words ", 30), "256"},
			{"aaaaaaaaaaaaaaaaaaaa", ""},
		} {
			page = page.Fill("New password", c.password).Press("Set new password")
			require.Equal(t, http.StatusUnprocessableEntity, page.Status, c.password)
			require.Contains(t, page.Text(), c.words)
			require.Empty(t, page.Value("New password"), "what was typed does not come back")
			require.Equal(t, "no-referrer", page.Header.Get("Referrer-Policy"))
		}
		require.Equal(t, w.Jane.PasswordHash, stored(w, w.Jane).PasswordHash)
		done := page.Fill("New password", "exactly fifteen").Press("Set new password")
		require.Equal(t, "/acme/login", done.URL.Path)
		require.True(t, mayLogIn(w, janeEmail, "exactly fifteen"))
	})
}

func TestPasswordsAreComparedAsTypedInAnyForm(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		composed, decomposed := "Zürich über alles schön", "Zu\u0308rich u\u0308ber alles scho\u0308n"
		require.Equal(t, http.StatusSeeOther, setPassword(w, askFor(w, janeEmail), "x", decomposed).Status)
		require.True(t, mayLogIn(w, janeEmail, composed))
		require.True(t, mayLogIn(w, janeEmail, decomposed))
		require.False(t, mayLogIn(w, janeEmail, strings.ToLower(composed)))
		require.False(t, mayLogIn(w, janeEmail, composed+" "), "nothing is trimmed")
		require.False(t, mayLogIn(w, janeEmail, " "+composed))

		long := strings.Repeat("word ", 51) + "1" // 256 characters, more than 72 bytes
		require.Equal(t, http.StatusSeeOther, setPassword(w, askFor(w, janeEmail), "y", long).Status)
		require.True(t, mayLogIn(w, janeEmail, long))
		require.False(t, mayLogIn(w, janeEmail, long[:255]+"2"))
	})
}

func TestADeadLinkCostsNoHash(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status)
		before := w.App.Hasher.Begun()
		for _, address := range []string{link, link[:len(link)-2], link + "0", "/acme/reset-password/garbage"} {
			require.Equal(t, http.StatusGone, setPassword(w, address, "y", "some other long words").Status)
		}
		require.Equal(t, before, w.App.Hasher.Begun())
	})
}

func TestALinkBelongsToOneUserOneEnvironmentOnePurpose(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		umbrella := secondEnvironment(w)
		there := w.AddUser(umbrella, janeEmail, "Jane Elsewhere", access.Member)
		b := w.Browser()
		b.SignIn(janeEmail, testkit.Passphrase)
		b.Get("/acme/account").Fill("Email", "new@acme.example").Fill("Current password, to change the address", testkit.Passphrase).Press("Change address")
		confirm := w.Mail("new@acme.example", "").LinkTo("/confirm-address/")
		reset := askFor(w, janeEmail)
		mail := w.Mail(janeEmail, "Reset your password")
		notMe := mail.LinkTo("/not-me/")
		require.NotEmpty(t, notMe)

		texts := map[string]string{"reset-password": lastOf(reset), "not-me": lastOf(notMe), "confirm-address": lastOf(confirm)}
		for made, text := range texts {
			for place := range texts {
				address := "/acme/" + place + "/" + text
				if place == made {
					require.Equal(t, http.StatusOK, send(w, http.MethodGet, address, "").Status, address)
					continue
				}
				require.Equal(t, http.StatusGone, send(w, http.MethodGet, address, "").Status, address)
				require.Equal(t, http.StatusGone, send(w, http.MethodPost, address, form("operation", "x", "password", newPassphrase)).Status, address)
			}
			foreign := "/umbrella/" + made + "/" + text
			require.Equal(t, http.StatusGone, send(w, http.MethodGet, foreign, "").Status)
			require.Equal(t, http.StatusGone, send(w, http.MethodPost, foreign, form("operation", "x", "password", newPassphrase)).Status)
		}
		// Whatever else the form says, the link decides whose password it is.
		a := send(w, http.MethodPost, reset, form("operation", "x", "password", newPassphrase, "email", "admin@acme.example",
			"user", string(w.Admin.ID), "id", string(w.Admin.ID), "role", "client-admin"))
		require.Equal(t, http.StatusSeeOther, a.Status)
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		require.True(t, mayLogIn(w, "admin@acme.example", testkit.Passphrase))
		require.Equal(t, access.Member, stored(w, w.Jane).Role)
		require.Equal(t, http.StatusSeeOther, send(w, http.MethodPost, "/umbrella/login", form("email", there.Email, "password", testkit.Passphrase)).Status)
	})
}

func TestEveryLinkHasItsOwnEnd(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"link_life": "2h"})
		first := askFor(w, janeEmail)
		w.Clock.Advance(90 * time.Minute)
		second := askFor(w, janeEmail)
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, first, "").Status, "a second mail never breaks the first")
		w.Clock.Advance(31 * time.Minute)
		require.Equal(t, http.StatusGone, send(w, http.MethodGet, first, "").Status, "nor does it lengthen it")
		require.Equal(t, http.StatusSeeOther, setPassword(w, second, "x", newPassphrase).Status)

		// Changing the policy moves no end that is fixed already.
		third := askFor(w, janeEmail)
		w.SetPolicy(map[string]string{"link_life": "24h"})
		w.Clock.Advance(2*time.Hour + time.Second)
		require.Equal(t, http.StatusGone, setPassword(w, third, "x", newPassphrase).Status)
	})
}

func TestWhatRevokesAToken(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		operator := access.Operator()
		for name, c := range map[string]struct {
			change func(u user.User, b *testkit.Browser)
			after  func(u user.User)
		}{
			"password changed by its owner": {change: func(_ user.User, b *testkit.Browser) {
				b.Get("/acme/account").Fill("Current password", testkit.Passphrase).Fill("New password", newPassphrase).Press("Change password")
			}},
			"address confirmed": {change: func(u user.User, b *testkit.Browser) {
				b.Get("/acme/account").Fill("Email", "moved."+u.Email).Fill("Current password, to change the address", testkit.Passphrase).Press("Change address")
				w.Browser().Get(w.Mail("moved."+u.Email, "").LinkTo("/confirm-address/")).Press("Use this address")
			}},
			"deactivated": {change: func(u user.User, _ *testkit.Browser) {
				_, _, err := w.App.UserManager.Deactivate(w.Ctx(), operator, w.Acme, u.ID)
				require.NoError(t, err)
			}, after: func(u user.User) {
				_, err := w.App.UserManager.Activate(w.Ctx(), operator, w.Acme, u.ID)
				require.NoError(t, err)
			}},
			"role changed": {change: func(u user.User, _ *testkit.Browser) { changeRole(w, u, access.Helpdesk) }},
			"not me": {change: func(u user.User, _ *testkit.Browser) {
				w.Browser().Get(w.Mail(u.Email, "Reset your password").LinkTo("/not-me/")).Press("This wasn’t me")
			}},
		} {
			email := strings.ReplaceAll(name, " ", "-") + "@acme.example"
			u := w.AddUser(w.Acme, email, "Somebody Else", access.Member)
			b := w.Browser()
			b.SignIn(email, testkit.Passphrase)
			link := askFor(w, email)
			c.change(u, b)
			require.Equal(t, http.StatusGone, send(w, http.MethodGet, link, "").Status, name)
			if c.after != nil {
				c.after(u)
			}
			hash := stored(w, u).PasswordHash
			a := setPassword(w, link, "x", "some third long words")
			require.Equal(t, http.StatusGone, a.Status, name)
			require.Contains(t, a.Body, "This link was cancelled", name)
			require.Equal(t, hash, stored(w, u).PasswordHash, name)
		}
	})
}

func TestAnInvitationIsALinkToo(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		invite(w, "new@acme.example", "Nora New")
		mail := w.Mail("new@acme.example", "You are invited")
		link := mail.LinkTo("/reset-password/")
		require.Empty(t, mail.Code(), "an invitation has no code")
		page := w.Browser().Get(link)
		require.Equal(t, "Welcome, Nora New", page.Heading())
		require.False(t, mayLogIn(w, "new@acme.example", newPassphrase))

		w.Inbox.Clear()
		require.Equal(t, http.StatusOK, ask(w.Browser(), "new@acme.example").Status)
		again := w.Mail("new@acme.example", "You are invited").LinkTo("/reset-password/")
		form := page.Fill("New password", newPassphrase)
		for _, often := range []string{"once", "and by a double click"} {
			set := form.Press("Set new password")
			require.Equal(t, "/acme/login", set.URL.Path, often)
			require.Contains(t, set.Text(), "Your password is set. Log in with it.", often)
			require.NotContains(t, set.Text(), "sessions", "there were none")
		}
		require.True(t, mayLogIn(w, "new@acme.example", newPassphrase))
		require.Equal(t, http.StatusGone, setPassword(w, again, "x", "some third long words").Status)
	})
}

func TestASuspendedEnvironmentKeepsEverythingForLater(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		jane := w.Browser()
		jane.SignIn(janeEmail, testkit.Passphrase)
		link := askFor(w, janeEmail)
		mail := w.Mail(janeEmail, "Reset your password")
		open := w.Browser().Get(link)
		suspend(w, true)

		require.False(t, isIn(jane))
		require.Equal(t, http.StatusServiceUnavailable, login(w, janeEmail, testkit.Passphrase).Status)
		for _, address := range []string{"/acme/login", "/acme/forgot-password", "/acme/reset-password", link, mail.LinkTo("/not-me/")} {
			for _, a := range []answer{
				send(w, http.MethodGet, address, ""),
				send(w, http.MethodPost, address, form("email", janeEmail, "code", mail.Code(), "password", newPassphrase, "operation", "x")),
			} {
				require.Equal(t, http.StatusServiceUnavailable, a.Status, address)
				require.Contains(t, a.Body, "Acme is paused. Nobody can sign in for now. Nothing is lost")
				require.NotContains(t, a.Body, "<form")
			}
		}
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, "/acme/help", "").Status)
		require.NotContains(t, w.Log.String(), "level=ERROR", "nothing is wrong with the server")
		jane.Get("/acme/account") // her browser looks in meanwhile, and is sent to the login page
		require.Equal(t, w.Jane.PasswordHash, stored(w, w.Jane).PasswordHash)

		suspend(w, false)
		require.True(t, isIn(jane), "after resume what is still in date works again")
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, mail.LinkTo("/not-me/"), "").Status)
		require.Equal(t, "/acme/login", open.Fill("New password", newPassphrase).Press("Set new password").URL.Path)
	})
}

func TestSuspendedBetweenPageAndPost(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		suspend(w, true)
		w.Clock.Advance(25 * time.Hour)
		suspend(w, false)
		require.Equal(t, http.StatusGone, setPassword(w, link, "x", newPassphrase).Status, "time goes on in a suspended environment")
	})
}

// secondEnvironment makes environment umbrella, empty.
func secondEnvironment(w *testkit.World) environment.Environment {
	w.T.Helper()
	e, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "umbrella", "Umbrella")
	require.NoError(w.T, err)
	return e
}

func lastOf(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }
