package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/web"
	"github.com/sparekey/sparekey/internal/web/static"
)

// onHTTPS gives the product a public address with https.
func onHTTPS(c *config.Config) { c.URL = &url.URL{Scheme: "https", Host: "login.acme.example"} }

func TestEveryAnswerCarriesTheSafetyHeaders(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := w.URL + path(t, askFor(w, janeEmail))
		in := login(w, "admin@acme.example", testkit.Passphrase).cookie("__Host-sparekey-acme")
		cookie := in.Name + "=" + in.Value
		requests := [][2]string{
			{http.MethodGet, "/"},
			{http.MethodGet, "/nowhere/login"},
			{http.MethodGet, "/acme/nothing"},
			{http.MethodGet, "/acme//login"},
			{http.MethodGet, "//evil.example/"},
			{http.MethodGet, "/favicon.ico"},
			{http.MethodGet, "/robots.txt"},
			{http.MethodGet, "/static/nothing"},
			{http.MethodPost, static.URL("sparekey.css")},
			{http.MethodGet, static.URL("sparekey.css")},
			{http.MethodGet, "/livez"},
			{http.MethodGet, "/readyz"},
			{http.MethodPost, "/livez"},
			{http.MethodGet, "/.well-known/change-password"},
			{http.MethodDelete, "/acme/login"},
			{"PURGE", "/acme/login"},
			{http.MethodGet, "/acme/session"},
			{http.MethodPost, "/acme/session"},
			{http.MethodGet, "/acme/theme.css"},
			{http.MethodGet, link},
			{http.MethodPost, link},
			{http.MethodGet, link[:len(link)-4]},
			{http.MethodGet, "/acme/users/%00"},
		}
		for _, r := range web.Routes() {
			p := strings.NewReplacer("{environment}", "acme", "{$}", "", "{link}", lastOf(link), "{id}", string(w.Jane.ID)).Replace(r.Pattern)
			requests = append(requests, [2]string{r.Method, p})
			if r.Method == http.MethodGet {
				requests = append(requests, [2]string{http.MethodHead, p})
			}
		}
		for _, r := range requests {
			for _, headers := range [][]string{nil, {"Cookie", cookie}, {"Origin", "https://evil.example"}, {"Content-Type", "application/json"}} {
				method, address := r[0], r[1]
				a := send(w, method, address, "", headers...)
				name := method + " " + address
				require.Less(t, a.Status, 500, name)
				require.Contains(t, a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
				require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", name)
				require.NotContains(t, a.Header.Get("Content-Security-Policy"), "unsafe", name)
				require.Equal(t, "DENY", a.Header.Get("X-Frame-Options"), name)
				require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), name)
				require.Equal(t, "same-origin", a.Header.Get("Cross-Origin-Opener-Policy"), name)
				require.Equal(t, "max-age=63072000", a.Header.Get("Strict-Transport-Security"), name)
				require.NotEmpty(t, a.Header.Get("X-Request-Id"), name)
				require.Empty(t, a.Header.Values("Access-Control-Allow-Origin"), name)
				require.Empty(t, a.Header.Get("Server"), name)
				want := "same-origin"
				if strings.Contains(address, "/reset-password/") || strings.Contains(address, "/not-me/") || strings.Contains(address, "/confirm-address/") {
					want = "no-referrer"
				}
				require.Equal(t, want, a.Header.Get("Referrer-Policy"), name)
				if a.Status == http.StatusOK && strings.HasPrefix(address, "/static/") {
					require.Contains(t, a.Header.Get("Cache-Control"), "immutable")
					continue
				}
				require.Equal(t, "no-store", a.Header.Get("Cache-Control"), name)
				require.NotContains(t, a.Body, "<script>", name)
				require.NotContains(t, a.Body, " style=", name)
			}
		}
	}, onHTTPS)
}

func TestThePagesLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		for _, address := range []string{link, link[:len(link)-3], "/acme/login", "/acme/forgot-password", "/acme/reset-password"} {
			body := send(w, http.MethodGet, address, "").Body
			for _, attribute := range []string{` src="`, ` href="`, ` action="`} {
				for _, part := range strings.Split(body, attribute)[1:] {
					require.True(t, strings.HasPrefix(part, "/") && !strings.HasPrefix(part, "//") || strings.HasPrefix(part, "#"), "%.40s on %s", part, address)
				}
			}
		}
	})
}

func TestCookiesOnHTTPS(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		in := login(w, janeEmail, testkit.Passphrase)
		asked := postAsk(w, janeEmail)
		for name, a := range map[string]answer{"__Host-sparekey-acme": in, "__Host-sparekey.device-acme": in, "__Host-sparekey.asked-acme": asked} {
			c := a.cookie(name)
			require.NotNil(t, c, name)
			require.True(t, c.Secure && c.HttpOnly, name)
			require.Equal(t, http.SameSiteLaxMode, c.SameSite, name)
			require.Equal(t, "/", c.Path, name)
			require.Empty(t, c.Domain, name)
		}
		session := in.cookie("__Host-sparekey-acme")
		require.Equal(t, http.StatusOK, sessionStatus(w, session.Name+"="+session.Value))
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, "sparekey-acme="+session.Value), "a cookie without the prefix may be planted by a sibling")

		out := send(w, http.MethodPost, "/acme/logout", form("x", "y"), "Cookie", session.Name+"="+session.Value)
		require.Negative(t, out.cookie("__Host-sparekey-acme").MaxAge)
		require.Equal(t, http.StatusUnauthorized, sessionStatus(w, session.Name+"="+session.Value))
		link := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.True(t, strings.HasPrefix(link, "https://login.acme.example/acme/reset-password/"), link)
		require.NotContains(t, in.Header.Get("Location"), "://")
	}, onHTTPS)
}

func TestCookiesOnHTTP(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		a := login(w, janeEmail, testkit.Passphrase)
		c := a.cookie("sparekey-acme")
		require.NotNil(t, c)
		require.True(t, c.HttpOnly)
		require.False(t, c.Secure)
		require.Equal(t, http.SameSiteLaxMode, c.SameSite)
		require.Empty(t, a.Header.Get("Strict-Transport-Security"))
	})
}

// otherSites are how a request looks that a page of somebody else makes.
var otherSites = map[string][]string{
	"cross-site":               {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	"same-site":                {"Sec-Fetch-Site", "same-site", "Origin", "https://sub.acme.example"},
	"without Fetch metadata":   {"Origin", "https://evil.example"},
	"from a page without one":  {"Origin", "null"},
	"from our host, other way": {"Origin", "ftp://127.0.0.1"},
}

func TestOtherSitesPostNothing(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, "admin@acme.example", testkit.Passphrase)
		before := dump(w)
		tried := 0
		for _, r := range web.Routes() {
			if r.Method != http.MethodPost || r.LinkIsAuthority {
				continue
			}
			p := strings.NewReplacer("{environment}", "acme", "{id}", string(w.Jane.ID)).Replace(r.Pattern)
			for name, site := range otherSites {
				body := form("email", janeEmail, "password", testkit.Passphrase, "do", "end-others", "name", "Mallory", "role", "client-admin", "action", "deactivate")
				a := send(w, http.MethodPost, p, body, append([]string{"Cookie", cookie}, site...)...)
				require.Equal(t, http.StatusForbidden, a.Status, "%s, %s", p, name)
				require.Contains(t, a.Body, "For your safety nothing was done.")
				require.Empty(t, a.Header.Values("Set-Cookie"), p)
				tried++
			}
		}
		require.Greater(t, tried, 40)
		require.Equal(t, before, dump(w), "and nothing in the database has changed")
		require.Equal(t, http.StatusOK, sessionStatus(w, cookie))

		own := []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin", "Origin", w.URL}
		require.Equal(t, http.StatusSeeOther, send(w, http.MethodPost, "/acme/logout", form("x", "y"), own...).Status, "our own page may")
	})
}

func TestWhatOtherSitesMayPostIsKnownOneByOne(t *testing.T) {
	t.Parallel()
	var open []string
	for _, r := range web.Routes() {
		if r.LinkIsAuthority {
			require.Equal(t, http.MethodPost, r.Method)
			require.Equal(t, web.Anyone, r.Guard)
			open = append(open, r.Pattern)
		}
	}
	require.ElementsMatch(t, []string{
		"/{environment}/reset-password", "/{environment}/reset-password/{link}", "/{environment}/reset-password/paste",
		"/{environment}/reset-password/{link}/send-again", "/{environment}/not-me/{link}", "/{environment}/confirm-address/{link}",
	}, open)
}

func TestBehindAProxyThatChangesTheHostOurPagesStillPost(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ours := []string{"Origin", "https://login.acme.example", "Sec-Fetch-Site", "same-origin"}
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, ours...).Status)
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, ours[:2]...).Status, "an old browser")
		require.Equal(t, http.StatusForbidden, login(w, janeEmail, testkit.Passphrase, "Origin", "https://login.acme.example.evil.example").Status)
		require.Equal(t, http.StatusForbidden, login(w, janeEmail, testkit.Passphrase, "Origin", "http://login.acme.example").Status)
	}, onHTTPS)
}

func TestChangePasswordAddressesLeadToTheForm(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		a := send(w, http.MethodGet, "/acme/.well-known/change-password", "")
		require.Equal(t, "/acme/account#password", a.Header.Get("Location"))
		known := send(w, http.MethodGet, "/.well-known/change-password", "", "Cookie", signedIn(w, janeEmail, testkit.Passphrase))
		require.Equal(t, "/acme/.well-known/change-password", known.Header.Get("Location"))
		for _, cookie := range []string{"sparekey-..=x", "sparekey-=x", "__Host-sparekey-evil.example=x", "sparekey-%2f%2fevil.example=x"} {
			to := send(w, http.MethodGet, "/.well-known/change-password", "", "Cookie", cookie).Header.Get("Location")
			require.True(t, strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//"), "%s leads to %s", cookie, to)
		}
	})
}

func TestNoAnswerShowsWhatItShouldNot(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		askFor(w, "admin@acme.example")
		cookie := signedIn(w, janeEmail, testkit.Passphrase)
		require.Equal(t, access.Member, w.Jane.Role)
		hashes := []string{w.Admin.PasswordHash, w.Jane.PasswordHash, storedHash(w)}
		for _, r := range web.Routes() {
			p := strings.NewReplacer("{environment}", "acme", "{$}", "", "{link}", "garbage", "{id}", string(w.Admin.ID)).Replace(r.Pattern)
			a := send(w, r.Method, p, form("x", "y"), "Cookie", cookie)
			for _, hash := range hashes {
				require.NotContains(t, a.Body, hash)
			}
			require.NotContains(t, a.Body, "admin@acme.example", "%s %s", r.Method, p)
		}
	})
}
