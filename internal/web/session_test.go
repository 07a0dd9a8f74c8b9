package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// signedIn gives the cookie of a fresh session, ready for a Cookie header.
func signedIn(w *testkit.World, email, password string) string {
	w.T.Helper()
	c := login(w, email, password).cookie("sparekey-acme")
	require.NotNil(w.T, c)
	return "sparekey-acme=" + c.Value
}

// sessionStatus asks as an application would.
func sessionStatus(w *testkit.World, cookie string) int {
	w.T.Helper()
	return send(w, http.MethodGet, "/acme/session", "", "Cookie", cookie).Status
}

func TestASessionTellsWhoseItIs(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		a := send(w, http.MethodGet, "/acme/session", "", "Cookie", cookie)
		require.Equal(t, http.StatusOK, a.Status)
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		var told struct {
			User    map[string]string `json:"user"`
			Expires time.Time         `json:"expires"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.Body), &told))
		require.Equal(t, map[string]string{"id": string(w.Jane.ID), "email": janeEmail, "name": "Jane Doe", "role": "member"}, told.User)
		require.WithinDuration(t, w.Clock.Now().Add(12*time.Hour), told.Expires, time.Minute)

		secondEnvironment(w)
		text := strings.TrimPrefix(cookie, "sparekey-acme=")
		for name, headers := range map[string][]string{
			"no cookie":                     nil,
			"an empty cookie":               {"Cookie", "sparekey-acme="},
			"a guess":                       {"Cookie", "sparekey-acme=" + strings.Repeat("A", 43)},
			"a part":                        {"Cookie", cookie[:len(cookie)-1]},
			"the cookie of another place":   {"Cookie", "sparekey-umbrella=" + text},
			"the text as a header":          {"Authorization", "Bearer " + text},
			"a huge cookie":                 {"Cookie", "sparekey-acme=" + strings.Repeat("A", 20000)},
			"the stored hash of the cookie": {"Cookie", "sparekey-acme=" + storedHash(w)},
		} {
			a := send(w, http.MethodGet, "/acme/session?session="+text+"&sparekey-acme="+text, "", headers...)
			require.Equal(t, http.StatusUnauthorized, a.Status, name)
			require.JSONEq(t, `{"error":"not signed in"}`, a.Body)
		}
		elsewhere := send(w, http.MethodGet, "/umbrella/session", "", "Cookie", "sparekey-umbrella="+text+"; "+cookie)
		require.Equal(t, http.StatusUnauthorized, elsewhere.Status, "a session opens one environment")
		require.Equal(t, http.StatusSeeOther, send(w, http.MethodGet, "/umbrella/account", "", "Cookie", "sparekey-umbrella="+text).Status)
		require.Equal(t, http.StatusUnauthorized, send(w, http.MethodGet, "/nowhere/session", "", "Cookie", cookie).Status)
		require.Equal(t, http.StatusMethodNotAllowed, send(w, http.MethodPost, "/acme/session", form("x", "y"), "Cookie", cookie).Status)
		for _, path := range []string{"/acme/session/", "/acme/session/x.css", "/acme/session;x.js", "/acme/session%00.css", "/acme/session.json", "/acme/%73ession/x"} {
			a := send(w, http.MethodGet, path, "", "Cookie", cookie)
			require.NotEqual(t, http.StatusOK, a.Status, path)
			require.NotContains(t, a.Body, janeEmail)
		}
	})
}

func storedHash(w *testkit.World) string {
	for _, row := range dump(w)["sessions"] {
		for _, value := range row {
			if len(value) == 43 && !strings.Contains(value, " ") {
				return value
			}
		}
	}
	w.T.Fatal("no session is stored")
	return ""
}

func TestASessionEndsByItself(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"session_idle": "1h", "session_life": "3h"})
		used, idle := signedIn(w, janeEmail, testkit.Passphrase), signedIn(w, janeEmail, testkit.Passphrase)
		for range 4 {
			w.Clock.Advance(40 * time.Minute)
			require.Equal(t, http.StatusOK, sessionStatus(w, used), "use keeps it alive")
		}
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, idle), "an hour without use ends it")
		w.Clock.Advance(21 * time.Minute)
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, used), "three hours end it in any case")

		page := send(w, http.MethodGet, "/acme/account", "", "Cookie", used)
		require.Equal(t, "/acme/login?next=%2Facme%2Faccount", page.Header.Get("Location"))
		said := send(w, http.MethodGet, "/acme/login", "", "Cookie", used)
		require.Contains(t, said.Body, "You were signed out after a while without use.")
		require.Negative(t, said.cookie("sparekey-acme").MaxAge, "and the browser forgets it")
	})
}

func TestTheEndToldIsTheEnd(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		w.Clock.Advance(6 * time.Hour)
		var told struct{ Expires time.Time }
		require.NoError(t, json.Unmarshal([]byte(send(w, http.MethodGet, "/acme/session", "", "Cookie", cookie).Body), &told))
		require.WithinDuration(t, w.Clock.Now().Add(12*time.Hour), told.Expires, time.Minute)
		w.Clock.Advance(told.Expires.Sub(w.Clock.Now()) + time.Second)
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, cookie))
	})
}

func TestWhatEndsASessionAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		operator := access.Operator()
		for name, c := range map[string]struct {
			do   func(cookie string)
			says string
		}{
			"a reset":       {func(string) { setPassword(w, askFor(w, janeEmail), "x", testkit.Passphrase) }, "because the password was changed"},
			"a role change": {func(string) { changeRole(w, w.Jane, access.Helpdesk); changeRole(w, w.Jane, access.Member) }, "You were signed out."},
			"an end by an admin": {func(string) {
				_, _, err := w.App.UserManager.EndSessions(w.Ctx(), operator, w.Acme, w.Jane.ID)
				require.NoError(t, err)
			}, "You were signed out."},
			"deactivation": {func(string) {
				deactivate(w, w.Jane)
				_, err := w.App.UserManager.Activate(w.Ctx(), operator, w.Acme, w.Jane.ID)
				require.NoError(t, err)
			}, "You were signed out."},
			"logging out": {func(cookie string) { send(w, http.MethodPost, "/acme/logout", form("x", "y"), "Cookie", cookie) }, ""},
		} {
			cookie := signedIn(w, janeEmail, testkit.Passphrase)
			require.Equal(t, http.StatusOK, sessionStatus(w, cookie))
			c.do(cookie)
			require.Equal(t, http.StatusUnauthorized, sessionStatus(w, cookie), name)
			a := send(w, http.MethodPost, "/acme/account", form("do", "name", "name", "Mallory"), "Cookie", cookie)
			require.Equal(t, "/acme/login?next=%2Facme%2Faccount", a.Header.Get("Location"), name)
			page := send(w, http.MethodGet, "/acme/login", "", "Cookie", cookie)
			require.Contains(t, page.Body, c.says, name)
		}
		require.Equal(t, "Jane Doe", stored(w, w.Jane).Name)
	})
}

func TestAPlantedCookieIsNeverPromoted(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		planted := "sparekey-acme=" + strings.Repeat("P", 43)
		a := send(w, http.MethodPost, "/acme/login", form("email", janeEmail, "password", testkit.Passphrase), "Cookie", planted)
		require.NotContains(t, planted, a.cookie("sparekey-acme").Value)
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, planted))

		thieves := signedIn(w, "helpdesk@acme.example", testkit.Passphrase)
		in := send(w, http.MethodPost, "/acme/login", form("email", janeEmail, "password", testkit.Passphrase), "Cookie", thieves)
		require.NotContains(t, thieves, in.cookie("sparekey-acme").Value)
		own := send(w, http.MethodGet, "/acme/session", "", "Cookie", thieves)
		require.NotContains(t, own.Body, janeEmail)
	})
}

func TestManyLoginsAtOnceNeverMixUsersUp(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		emails := []string{janeEmail, "admin@acme.example", "helpdesk@acme.example"}
		type outcome struct{ email, body string }
		outcomes := make(chan outcome, 24)
		for i := range cap(outcomes) {
			email := emails[i%len(emails)]
			go func() {
				c := login(w, email, testkit.Passphrase).cookie("sparekey-acme")
				if c == nil {
					outcomes <- outcome{email, "not let in"}
					return
				}
				outcomes <- outcome{email, send(w, http.MethodGet, "/acme/session", "", "Cookie", "sparekey-acme="+c.Value).Body}
			}()
		}
		for range cap(outcomes) {
			o := <-outcomes
			require.Contains(t, o.body, o.email)
		}
	})
}

// TestWhoIsSignedInStaysSoWhileNothingCanBeSaved: on a full disk, say. Nor does the
// server call itself unready: what only reads goes on.
func TestWhoIsSignedInStaysSoWhileNothingCanBeSaved(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, w.Admin.Email, testkit.Passphrase)
		w.Clock.Advance(time.Hour)
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			_, err := tx.Exec("PRAGMA query_only = ON") // of the one connection that writes
			return err
		}))
		refused := ask(w.Browser(), janeEmail)
		require.Equal(t, http.StatusServiceUnavailable, refused.Status)
		require.Equal(t, "5", refused.Header.Get("Retry-After"))
		require.Contains(t, refused.Text(), "This could not be saved")
		require.Equal(t, janeEmail, refused.Value("Email"), "nobody types it again")
		require.Contains(t, w.Log.String(), "level=ERROR")
		code := enter(w, janeEmail, "12345678")
		require.Equal(t, http.StatusServiceUnavailable, code.Status)
		require.Contains(t, code.Body, "This could not be saved")
		require.Contains(t, code.Body, `value="`+janeEmail+`"`)
		require.NotContains(t, refused.Text(), "Try again in", "the sentence alone says when, not a clock beside it")
		require.Equal(t, http.StatusOK, sessionStatus(w, cookie))
		for _, path := range []string{"/acme/account", "/acme/users", "/acme/users/" + string(w.Jane.ID), "/acme/needs-help", "/acme/numbers"} {
			require.Equal(t, http.StatusOK, send(w, http.MethodGet, path, "", "Cookie", cookie).Status, path)
		}
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, "/readyz", "").Status)
		w.Clock.Advance(11*time.Hour + 30*time.Minute)
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, cookie), "what could not be saved does not count as use")
	})
}
