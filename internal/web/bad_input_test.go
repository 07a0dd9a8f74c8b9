package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/web"
)

// postAddresses gives every address that takes a form, with its own link.
func postAddresses(w *testkit.World, link string) []string {
	var all []string
	for _, r := range web.Routes() {
		if r.Method == http.MethodPost {
			all = append(all, strings.NewReplacer("{environment}", "acme", "{link}", lastOf(link), "{id}", string(w.Jane.ID)).Replace(r.Pattern))
		}
	}
	return all
}

// TestWhoStillWaitsGetsAPage: the server may take a request for given up whose sender
// still waits, for example when it took too long.
func TestWhoStillWaitsGetsAPage(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ended, end := context.WithCancel(t.Context())
		end()
		r := httptest.NewRequestWithContext(ended, http.MethodPost, "/acme/forgot-password", strings.NewReader("email=jane%40acme.example"))
		r.Header.Set("Content-Type", formKind)
		answer := httptest.NewRecorder()
		w.App.Handler().ServeHTTP(answer, r)
		require.Contains(t, answer.Body.String(), "<h1>")
		if !strings.Contains(answer.Body.String(), "Check your e-mail") {
			require.GreaterOrEqual(t, answer.Code, 400)
		}
	})
}

func TestBadFormsAreRefusedEverywhereAndChangeNothing(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		settled(w)
		cookie := signedIn(w, "admin@acme.example", testkit.Passphrase)
		before := dump(w)
		huge := strings.Repeat("a", 10<<20)
		if w.Engine == "postgres" { // no form of that size comes near a database
			huge = huge[:1<<20]
		}
		for _, address := range postAddresses(w, link) {
			for name, c := range map[string]struct {
				kind, body string
				status     int
			}{
				"a field of 10 MB":         {formKind, "email=" + huge, http.StatusRequestEntityTooLarge},
				"a password of 70 kB":      {formKind, "operation=x&password=" + huge[:70000], http.StatusRequestEntityTooLarge},
				"a million fields":         {formKind, strings.Repeat("a=&", 30000), http.StatusRequestEntityTooLarge},
				"invalid UTF-8":            {formKind, "email=%ff%fe&password=%c0%80&code=%ed%a0%80", http.StatusBadRequest},
				"a NUL byte":               {formKind, "email=jane%00@acme.example&password=three+unrelated%00words&do=name&name=a%00b", http.StatusBadRequest},
				"a NUL byte in a name":     {formKind, "pass%00word=x", http.StatusBadRequest},
				"a broken escape":          {formKind, "email=%zz&password=%", http.StatusBadRequest},
				"a semicolon":              {formKind, "email=a;password=b", http.StatusBadRequest},
				"a field twice":            {formKind, "password=three+unrelated+words+fit&password=another+long+passphrase", http.StatusBadRequest},
				"the same field twice":     {formKind, "email=jane@acme.example&email=jane@acme.example", http.StatusBadRequest},
				"JSON":                     {"application/json", `{"email":"jane@acme.example","password":{"$gt":""}}`, http.StatusUnsupportedMediaType},
				"JSON that says it is not": {"text/plain", `{"email":"jane@acme.example"}`, http.StatusUnsupportedMediaType},
				"many parts":               {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nthree unrelated words fit\r\n--x--\r\n", http.StatusUnsupportedMediaType},
				"no kind":                  {"", "password=three+unrelated+words+fit", http.StatusUnsupportedMediaType},
				"a kind that is none":      {"application/x-www-form-urlencoded; charset", "password=x", http.StatusUnsupportedMediaType},
			} {
				a := send(w, http.MethodPost, address, c.body, "Cookie", cookie, "Content-Type", c.kind)
				require.Equal(t, c.status, a.Status, "%s to %s", name, address)
				require.Contains(t, a.Body, "<h1>")
				require.NotContains(t, a.Body, "three unrelated")
				require.Empty(t, a.Header.Values("Set-Cookie"))
			}
		}
		for _, refused := range [][]string{
			{"/acme/login", "Origin", "https://evil.example"}, {"/nowhere/login"}, {"/acme/session/x"}, {"/acme/account", "Content-Type", "text/plain"}, {"/acme/login", "Expect", "100-continue"},
		} {
			a := send(w, http.MethodPost, refused[0], "email="+huge, refused[1:]...)
			require.GreaterOrEqual(t, a.Status, 400, "a refusal is heard, whatever is sent: %s", refused)
			require.Less(t, a.Status, 500)
		}
		require.Equal(t, before, dump(w))
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status, "honest people are still served")
		require.NotContains(t, w.Log.String(), "panic")
	})
}

func TestAnEmptyFormSkipsNoStep(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		settled(w)
		for _, address := range postAddresses(w, link) {
			if strings.HasSuffix(address, "/logout") || strings.HasSuffix(address, "/paste") {
				continue
			}
			a := send(w, http.MethodPost, address, "nothing=")
			require.NotEqual(t, http.StatusOK, a.Status, address)
			require.Less(t, a.Status, 500, address)
			if a.Status == http.StatusSeeOther {
				environment, _, _ := strings.Cut(address[1:], "/")
				require.True(t, strings.HasPrefix(a.Header.Get("Location"), "/"+environment+"/login"), address)
			}
		}
		require.Equal(t, w.Jane.PasswordHash, stored(w, w.Jane).PasswordHash)
		require.Equal(t, 0, count(w, "SELECT count(*) FROM tokens WHERE used_at IS NOT NULL"))
	})
}

func TestUnknownPlacesAnswerClearly(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		for _, slug := range []string{"nowhere", "acme.", "-acme", "acme%00", "acme%ff", "api", "metrics", "debug", "a'b", strings.Repeat("a", 64), strings.Repeat("a", 8000), "..%2facme", "*"} {
			for _, page := range []string{"login", "forgot-password", "reset-password", "reset-password/" + lastOf(link), "account", "users", "session", "not-me/" + lastOf(link)} {
				a := send(w, http.MethodGet, "/"+slug+"/"+page, "")
				require.Contains(t, []int{http.StatusNotFound, http.StatusUnauthorized}, a.Status, "%.20s %s", slug, page)
				if page != "session" {
					require.Equal(t, http.StatusNotFound, a.Status)
					require.Contains(t, a.Body, "<h1>")
				}
				post := send(w, http.MethodPost, "/"+slug+"/"+page, form("email", janeEmail, "password", newPassphrase, "operation", "x"))
				require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, post.Status, "%.20s %s", slug, page)
			}
		}
		for _, address := range []string{"/acme/x", "/acme/login/x", "/acme/reset-password/a/b", "/acme/.env", "/static/../internal/", "/static/x/sparekey.css", "/.git/config", "/acme/login;x=y", "/acme/login.css", "/api/v1/users", "/metrics", "/debug/pprof/"} {
			require.Contains(t, []int{http.StatusNotFound, http.StatusTemporaryRedirect, http.StatusMovedPermanently}, send(w, http.MethodGet, address, "").Status, address)
		}
		root := send(w, http.MethodGet, "/", "")
		require.Equal(t, http.StatusOK, root.Status)
		require.NotContains(t, strings.ToLower(root.Body), "acme", "nobody learns which environments there are")
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "").Status)
	})
}

// TestAnAddressTypedAlmostRightLeadsThere: phones begin with a capital.
func TestAnAddressTypedAlmostRightLeadsThere(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for typed, page := range map[string]string{
			"/Acme": "/acme", "/ACME/": "/acme", "/ACME/login": "/acme/login", "/acme/login/": "/acme/login", "/acme/Login": "/acme/login",
			"/Acme/forgot-password/?email=a%26b": "/acme/forgot-password?email=a%26b", "/Operator": "/operator", "/acme/users/new/": "/acme/users/new",
			"/Acme/reset-password/": "/acme/reset-password", "/ACME/help/Who-Needs-Help/": "/acme/help/who-needs-help",
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := send(w, method, typed, "")
				require.Equal(t, http.StatusFound, a.Status, typed)
				require.Equal(t, page, a.Header.Get("Location"))
			}
		}
		link := strings.TrimPrefix(askFor(w, janeEmail), w.URL)
		for _, dead := range []string{
			strings.Replace(link, "/acme/", "/ACME/", 1), strings.Replace(link, "reset-password", "Reset-Password", 1),
			"/Acme/not-me/" + lastOf(link), "/ACME/confirm-address/" + lastOf(link) + "/", "/acme/x/", "/Acme/logout", "/Nobody-here.", "/ACME/session",
		} {
			a := send(w, http.MethodGet, dead, "")
			require.NotEqual(t, http.StatusFound, a.Status, dead)
			require.NotContains(t, a.Header.Get("Location"), lastOf(link), "no redirect carries a link")
		}
		require.Equal(t, http.StatusNotFound, send(w, http.MethodPost, "/Acme/login", form("email", janeEmail, "password", testkit.Passphrase)).Status)
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "").Status)
	})
}

func TestGarbageInThePathIsNoError(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		cookie := signedIn(w, "admin@acme.example", testkit.Passphrase)
		for _, garbage := range []string{
			"%00", "%ff", "%c0%80", "x%00y", "%ed%a0%80", strings.Repeat("0", 40), strings.Repeat("9", 100000)[:16000], strings.Repeat("%25", 3000), "%25%35%35", "'%20OR%201=1", "%3Cscript%3E",
			"{%22$gt%22:%22%22}", "%F0%9F%94%91", "%E2%80%AE", "..%2f..%2f", "%5c", "%0d%0aSet-Cookie:%20a=b", "null", "undefined", "0", "-1", "~",
		} {
			for _, place := range []string{"reset-password/", "not-me/", "confirm-address/", "users/"} {
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
					a := send(w, method, "/acme/"+place+garbage, form("operation", "x", "password", newPassphrase), "Cookie", cookie)
					require.Contains(t, []int{http.StatusGone, http.StatusNotFound, http.StatusBadRequest, http.StatusSeeOther, http.StatusMethodNotAllowed, http.StatusTemporaryRedirect}, a.Status, "%s %s%.40s", method, place, garbage)
					require.NotContains(t, a.Body, "<script>")
					require.Empty(t, a.cookie("a"))
				}
			}
			for _, query := range []string{"login?next=", "login?email=", "forgot-password?email=", "reset-password?email=", "users?q=", "users?after=", "users?role=", "users?id=x&after="} {
				a := send(w, http.MethodGet, "/acme/"+query+garbage, "", "Cookie", cookie)
				require.Less(t, a.Status, 500, "%s%.40s", query, garbage)
			}
			a := send(w, http.MethodPost, "/acme/reset-password/paste", "link="+garbage)
			require.Contains(t, []int{http.StatusSeeOther, http.StatusBadRequest}, a.Status, garbage)
			if a.Status == http.StatusSeeOther {
				require.True(t, strings.HasPrefix(a.Header.Get("Location"), "/acme/reset-password/"))
			}
		}
		require.NotContains(t, w.Log.String(), "panic")
		require.NotContains(t, w.Log.String(), "level=ERROR")
	})
}

func TestWrongMethodsAreNamed(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		taken := map[string][]string{}
		for _, r := range web.Routes() {
			p := strings.NewReplacer("{environment}", "acme", "{$}", "", "{link}", lastOf(link), "{id}", string(w.Jane.ID)).Replace(r.Pattern)
			taken[p] = append(taken[p], r.Method)
		}
		for address, methods := range taken {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "TRACE", "get", "FOO"} {
				if strings.Contains(strings.Join(methods, " "), method) {
					continue
				}
				a := send(w, method, address, "")
				if address == "/acme/reset-password/paste" || address == "/acme/users/unmatched" || address == "/acme/users/approvals" {
					continue // as an address to look at it is a link or a user like any other
				}
				require.Equal(t, http.StatusMethodNotAllowed, a.Status, "%s %s", method, address)
				require.Contains(t, a.Header.Get("Allow"), methods[0])
			}
		}
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "").Status)
	})
}

func TestHostileAgentsAndHeadersAreKeptOutOfTheDatabase(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for i, agent := range []string{strings.Repeat("x", 20000), "\xff\xfe\xfd", "Mozilla/5.0 \xed\xa0\x80", "<script>alert(1)</script>", strings.Repeat("ü", 1000), "a\tb"} {
			headers := []string{"User-Agent", agent, "X-Forwarded-For", "not an address", "Referer", strings.Repeat("y", 9000), "Accept-Language", "\xff"}
			email := fmt.Sprintf("user%d@acme.example", i)
			w.AddUser(w.Acme, email, "Somebody Else", "member")
			in := login(w, email, testkit.Passphrase, headers...)
			require.Equal(t, http.StatusSeeOther, in.Status, "%.20q", agent)
			page := send(w, http.MethodGet, "/acme/account", "", "Cookie", "sparekey-acme="+in.cookie("sparekey-acme").Value)
			require.Equal(t, http.StatusOK, page.Status)
			require.NotContains(t, page.Body, "<script>")
			require.Equal(t, http.StatusOK, postAsk(w, email, headers...).Status)
			link := w.Mail(email, "Reset your password").LinkTo("/reset-password/")
			require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "", headers...).Status)
			require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase, headers...).Status)
			w.Mail(email, "Your password was changed")
		}
		for _, row := range dump(w)["events"] {
			for _, value := range row {
				require.Less(t, len(value), 1000)
			}
		}
	})
}

func TestCookiesFullOfGarbageAreNoCookies(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for _, value := range []string{"", "x", strings.Repeat("x", 30000), "\xff", "%00", "eyJlIjoiPHNjcmlwdD4ifQ", "'OR'1'='1", strings.Repeat("AAAAAAAAAAAAAAAAAAAAAA.", 40)} {
			cookie := []string{"Cookie", fmt.Sprintf("sparekey-acme=%s; sparekey.device-acme=%s; sparekey.asked-acme=%s; sparekey.flash-acme=%s", value, value, value, value)}
			require.Equal(t, http.StatusOK, send(w, http.MethodGet, "/acme/login", "", cookie...).Status)
			require.NotContains(t, send(w, http.MethodGet, "/acme/login", "", cookie...).Body, "<script>")
			require.Equal(t, http.StatusUnauthorized, send(w, http.MethodGet, "/acme/session", "", cookie...).Status)
			require.Equal(t, http.StatusSeeOther, send(w, http.MethodGet, "/acme/account", "", cookie...).Status)
			require.Equal(t, http.StatusUnprocessableEntity, login(w, "nobody@acme.example", "x", cookie...).Status)
			require.Equal(t, http.StatusUnprocessableEntity, enter(w, "nobody@acme.example", "12345678", cookie...).Status)
			require.Equal(t, http.StatusOK, postAsk(w, "nobody@acme.example", cookie...).Status)
		}
		many := strings.Repeat("a=;", 100000)
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, "/acme/login", "", "Cookie", many).Status)
	})
}

// talk sends bytes as they are and gives the first line of the answer.
func talk(t *testing.T, w *testkit.World, request string) string {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(w.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func TestRequestsThatTwoReadersReadDifferentlyAreRefused(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		const start, body = "POST /acme/forgot-password HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n", "email=jane%40acme.example"
		honest := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", start, len(body), body)
		require.Contains(t, talk(t, w, honest), "200 OK")
		settled(w)
		w.Inbox.Clear()
		for name, request := range map[string]string{
			"two lengths":              start + "Content-Length: 25\r\nContent-Length: 5\r\n\r\n" + body,
			"an unknown coding":        start + "Transfer-Encoding: xchunked\r\n\r\n" + body,
			"a space before the colon": start + "Content-Length : 25\r\n\r\n" + body,
			"a bare line feed":         start + "Transfer-Encoding: chunked\r\n\r\n19\n" + body + "\n0\n\n",
			"a chunk of endless size":  start + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + body,
			"two hosts":                "GET /acme/login HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
			"a host with a path":       "GET /acme/login HTTP/1.1\r\nHost: good.example/evil.example\r\n\r\n",
			"no host":                  "GET /acme/login HTTP/1.1\r\n\r\n",
			"a NUL in a header":        "GET /acme/login HTTP/1.1\r\nHost: x\r\nX-Y: a\x00b\r\n\r\n",
			"no length":                start + "Content-Length: -1\r\n\r\n" + body,
		} {
			line := talk(t, w, request)
			require.True(t, strings.Contains(line, " 400 ") || strings.Contains(line, " 501 "), "%s: %s", name, line)
		}
		settled(w)
		require.Empty(t, w.Inbox.Mails())
	})
}

func TestAClientThatLeavesHarmsNobody(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for range 50 {
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(w.URL, "http://"))
			require.NoError(t, err)
			_, err = io.WriteString(c, "POST /acme/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\nemail=jane")
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase))
	})
}
