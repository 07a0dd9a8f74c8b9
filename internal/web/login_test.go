package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/porting"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
)

// importUser adds a user whose password another system hashed.
func importUser(w *testkit.World, email, hash string) user.User {
	w.T.Helper()
	line := fmt.Sprintf(`{"email":%q,"name":"Ines Imported","password_hash":%q}`, email, hash)
	_, err := w.App.Porting.Import(w.Ctx(), access.Operator(), w.Acme, strings.NewReader(line), porting.ImportOptions{Format: porting.JSONLines})
	require.NoError(w.T, err)
	u, err := w.App.UserManager.Find(w.Ctx(), access.Operator(), w.Acme, email)
	require.NoError(w.T, err)
	return u
}

func TestLoggingInGivesASessionToTheRightPairAlone(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		invite(w, "invited@acme.example", "Nora New")
		gone := w.AddUser(w.Acme, "gone@acme.example", "Gregor Gone", access.Member)
		deactivate(w, gone)
		w.AddUser(secondEnvironment(w), "elsewhere@acme.example", "Else Where", access.Member)

		in := w.Browser().SignIn("  JANE@Acme.Example ", testkit.Passphrase)
		require.Equal(t, "/acme/account", in.URL.Path)
		require.False(t, stored(w, w.Jane).LastSignInAt.IsZero())

		var first answer
		for _, c := range [][2]string{
			{janeEmail, "a wrong long password"},
			{janeEmail, ""},
			{janeEmail, strings.ToUpper(testkit.Passphrase)},
			{janeEmail, testkit.Passphrase + strings.Repeat("x", 300)},
			{"unknown@acme.example", testkit.Passphrase},
			{"invited@acme.example", testkit.Passphrase},
			{"invited@acme.example", ""},
			{"gone@acme.example", testkit.Passphrase},
			{"elsewhere@acme.example", testkit.Passphrase},
			{"no address", testkit.Passphrase},
			{"", ""},
			{"%", testkit.Passphrase},
			{"%@%.%", testkit.Passphrase},
			{"____@acme.example", testkit.Passphrase},
			{"jane@acme.example' OR '1'='1", testkit.Passphrase},
			{strings.Repeat("a", 9000) + "@acme.example", testkit.Passphrase},
		} {
			a := login(w, c[0], c[1])
			require.Equal(t, http.StatusUnprocessableEntity, a.Status, c[0])
			require.Empty(t, a.Header.Values("Set-Cookie"))
			if c[0] == "" || len(c[0]) > 254 {
				continue // the empty field gets the focus, and a cut one differs
			}
			a.Body = strings.ReplaceAll(a.Body, strings.ReplaceAll(c[0], "'", "&#39;"), "ADDRESS")
			if first.Status == 0 {
				first = a
			}
			sameAnswer(t, first, a, c[0])
		}
	})
}

// sameAnswer compares what somebody who guesses could compare.
func sameAnswer(t *testing.T, want, got answer, name string) {
	t.Helper()
	require.Equal(t, want.Status, got.Status, name)
	require.Equal(t, want.Body, got.Body, name)
	require.Equal(t, comparable(want.Header), comparable(got.Header), name)
}

// comparable leaves out what is random or the time in every answer, and the
// random part of cookies, but not its length.
func comparable(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"X-Request-Id", "Date"} {
		if _, ok := h[name]; ok {
			h.Set(name, "present")
		}
	}
	h.Del("Content-Length") // of the address, which is typed
	cookies := h["Set-Cookie"]
	for i, line := range cookies {
		name, rest, _ := strings.Cut(line, "=")
		value, attributes, _ := strings.Cut(rest, ";")
		cookies[i] = fmt.Sprint(name, "=", len(value), ";", attributes)
	}
	return h
}

func TestEveryLoginCostsOneHash(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		invite(w, "invited@acme.example", "Nora New")
		deactivate(w, w.AddUser(w.Acme, "gone@acme.example", "Gregor Gone", access.Member))
		old, err := bcrypt.GenerateFromPassword([]byte(testkit.Passphrase), bcrypt.MinCost)
		require.NoError(t, err)
		importUser(w, "old@acme.example", string(old))
		for _, password := range []string{"a wrong long password", strings.Repeat("x", 100), "Zu\u0308rich and other words"} {
			for _, email := range []string{janeEmail, "old@acme.example", "invited@acme.example", "gone@acme.example", "unknown@acme.example", "no address"} {
				before := w.App.Hasher.Begun()
				require.Equal(t, http.StatusUnprocessableEntity, login(w, email, password).Status)
				require.Equal(t, int64(1), w.App.Hasher.Begun()-before, email)
			}
		}
		for _, password := range []string{"", strings.Repeat("x", 5000)} { // what nobody can have costs nobody a hash
			for _, email := range []string{janeEmail, "unknown@acme.example"} {
				before := w.App.Hasher.Begun()
				require.Equal(t, http.StatusUnprocessableEntity, login(w, email, password).Status)
				require.Equal(t, before, w.App.Hasher.Begun(), email)
			}
		}
	})
}

func TestAnImportedHashIsUpgradedAtTheNextLogin(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		old, err := bcrypt.GenerateFromPassword([]byte(testkit.Passphrase), bcrypt.MinCost)
		require.NoError(t, err)
		u := importUser(w, "old@acme.example", string(old))
		require.False(t, mayLogIn(w, u.Email, "a wrong long password"))
		require.Equal(t, u.PasswordHash, stored(w, u).PasswordHash, "only the right password upgrades")
		require.True(t, mayLogIn(w, u.Email, testkit.Passphrase))
		now := stored(w, u)
		require.True(t, strings.HasPrefix(now.PasswordHash, "$argon2id$"), now.PasswordHash)
		require.Equal(t, w.App.Hasher.Shape(), now.PasswordShape)
		require.True(t, mayLogIn(w, u.Email, testkit.Passphrase))
		require.Equal(t, now.PasswordHash, stored(w, u).PasswordHash, "once is enough")
	})
}

func TestGuessingIsSlowedDownForKnownAndUnknownAlike(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		for _, email := range []string{janeEmail, "unknown@acme.example"} {
			spellings := []string{email, strings.ToUpper(email), " " + email, "\uff4a" + email[1:]}
			if email != janeEmail {
				spellings = spellings[:3]
			}
			for i := range 10 {
				require.Equal(t, http.StatusUnprocessableEntity, login(w, spellings[i%len(spellings)], "a wrong long password").Status, "try %d", i)
			}
			for _, wait := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
				before := w.App.Hasher.Begun()
				a := login(w, email, testkit.Passphrase)
				require.Equal(t, http.StatusTooManyRequests, a.Status)
				require.Equal(t, fmt.Sprint(wait), a.Header.Get("Retry-After"))
				require.Contains(t, a.Body, "that stays open")
				require.Equal(t, before, w.App.Hasher.Begun(), "the password is not looked at")
				w.Clock.Advance(time.Duration(wait) * time.Second)
				require.Equal(t, http.StatusUnprocessableEntity, login(w, email, "a wrong long password").Status)
			}
		}
		require.True(t, mayLogIn(w, "admin@acme.example", testkit.Passphrase), "another address is not affected")
		w.Clock.Advance(time.Minute)
		require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase), "the owner is never locked out for ever")
		require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase), "and the right password lifts it")
	})
}

func TestRecoveryStaysOpenAndLiftsTheSlowDown(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		for range 12 {
			login(w, janeEmail, "a wrong long password")
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase).Status)
		require.Equal(t, http.StatusSeeOther, setPassword(w, askFor(w, janeEmail), "x", newPassphrase).Status)
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
	})
}

func TestABrowserThatKnowsTheAddressHasItsOwnCounter(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		known := login(w, janeEmail, testkit.Passphrase).cookie("sparekey.device-acme")
		require.NotNil(t, known)
		device := []string{"Cookie", "sparekey.device-acme=" + known.Value}
		w.Clock.Freeze()
		for range 12 {
			login(w, janeEmail, "a wrong long password")
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase).Status)
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, device...).Status, "strangers cannot raise the owner's counter")
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase).Status, "nor does the owner lift theirs")

		for range 10 {
			login(w, janeEmail, "a wrong long password", device...)
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase, device...).Status, "it is slowed down itself")

		// The cookie of one address is nothing for another, and a forged one is nothing at all.
		for range 10 {
			login(w, "admin@acme.example", "a wrong long password", device...)
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, "admin@acme.example", testkit.Passphrase).Status)
		for i := range 3 {
			value := fmt.Sprintf("sparekey.device-acme=%022d%s", i, known.Value[22:])
			require.Equal(t, http.StatusTooManyRequests, login(w, "admin@acme.example", testkit.Passphrase, "Cookie", value).Status)
		}
	})
}

func TestABrowserThatJustResetIsKnown(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		done := setPassword(w, askFor(w, janeEmail), "x", newPassphrase)
		device := done.cookie("sparekey.device-acme")
		require.NotNil(t, device)
		w.Clock.Freeze()
		for range 12 {
			login(w, janeEmail, "a wrong long password")
		}
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, newPassphrase, "Cookie", "sparekey.device-acme="+device.Value).Status)
	})
}

func TestManyWrongPasswordsAtOnceAreAllCounted(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		var group sync.WaitGroup
		var mu sync.Mutex
		tried := 0
		before := w.App.Hasher.Begun()
		for range 40 {
			group.Go(func() {
				if a := login(w, janeEmail, "a wrong long password"); a.Status == http.StatusUnprocessableEntity {
					mu.Lock()
					defer mu.Unlock()
					tried++
				}
			})
		}
		group.Wait()
		require.Equal(t, 10, tried)
		require.Equal(t, int64(10), w.App.Hasher.Begun()-before)
	})
}

func TestManyRightPasswordsAtOnceAllLogIn(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		atOnce := func(password func(i int) string) map[int]int {
			var group sync.WaitGroup
			var mu sync.Mutex
			answers := map[int]int{}
			for i := range 40 {
				group.Go(func() {
					status := login(w, janeEmail, password(i)).Status
					mu.Lock()
					defer mu.Unlock()
					answers[status]++
				})
			}
			group.Wait()
			return answers
		}
		for range 9 { // one more wrong one would slow the next down
			require.False(t, mayLogIn(w, janeEmail, "a wrong long password"))
		}
		right := func(int) string { return testkit.Passphrase }
		require.Equal(t, map[int]int{http.StatusSeeOther: 40}, atOnce(right))

		// Guesses beside them are worth no more than before.
		wrong := func(int) string { return "a wrong long password" }
		require.Equal(t, map[int]int{http.StatusUnprocessableEntity: 10, http.StatusTooManyRequests: 30}, atOnce(wrong))
		require.Equal(t, map[int]int{http.StatusTooManyRequests: 40}, atOnce(right), "while it is slowed down nobody's password is looked at")
		w.Clock.Advance(time.Minute)
		require.Equal(t, map[int]int{http.StatusSeeOther: 40}, atOnce(right))
	})
}

func TestOneNetworkMayFailAHundredTimes(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		from := func(network string) []string { return []string{"X-Forwarded-For", network} }
		for i := range 100 {
			a := login(w, fmt.Sprintf("user%d@acme.example", i), "a wrong long password", from(fmt.Sprintf("2001:db8:1:2::%x", i+1))...)
			require.Equal(t, http.StatusUnprocessableEntity, a.Status)
		}
		blocked := login(w, janeEmail, testkit.Passphrase, from("2001:db8:1:2:ffff::1")...)
		require.Equal(t, http.StatusTooManyRequests, blocked.Status, "a household has a /64")
		require.NotEmpty(t, blocked.Header.Get("Retry-After"))
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, from("2001:db8:1:3::1")...).Status)
		require.Equal(t, http.StatusOK, send(w, http.MethodPost, "/acme/forgot-password", form("email", janeEmail), from("2001:db8:1:2::1")...).Status, "recovery stays open")
		w.SetPolicy(map[string]string{"own_networks": "2001:db8:1::/48"})
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, from("2001:db8:1:2::1")...).Status, "an environment's own network has 20 times as many")
		w.SetPolicy(map[string]string{"own_networks": ""})
		w.Clock.Advance(15*time.Minute + time.Second)
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, from("2001:db8:1:2::1")...).Status)
	}, behindProxy)
}

func TestRightPasswordsDoNotUseUpTheNetworksLimit(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for range 120 {
			require.True(t, mayLogIn(w, janeEmail, testkit.Passphrase))
		}
	})
}

func TestWhereARequestComesFromIsNotForStrangersToSay(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i := range 100 {
			address := fmt.Sprintf("198.51.100.%d", i)
			login(w, fmt.Sprintf("user%d@acme.example", i), "a wrong long password", "X-Forwarded-For", address, "X-Real-IP", address,
				"True-Client-IP", address, "CF-Connecting-IP", address, "Forwarded", "for="+address, "X_Forwarded_For", address)
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", "203.0.113.9").Status)
	})
}

func TestBehindAProxyTheLastUntrustedHopCounts(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i := range 100 {
			chain := fmt.Sprintf("203.0.113.%d, 198.51.100.7", i) // the first hop is hearsay
			if i%2 == 0 {
				chain += ", 127.0.0.9"
			}
			login(w, fmt.Sprintf("user%d@acme.example", i), "a wrong long password", "X-Forwarded-For", chain)
		}
		require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", "::ffff:198.51.100.7").Status, "a mapped address is the plain one")
		for _, other := range []string{"198.51.100.8", "::ffff:198.51.100.8"} {
			require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", other).Status)
		}
		for _, broken := range []string{"198.51.100.8, nonsense", ",", `"198.51.100.8`, strings.Repeat("198.51.100.8,", 100)} {
			require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", broken).Status, "it counts for the proxy")
		}
	}, behindProxy)
}

func TestHearsayLeftOfTheClientChangesNothing(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		lies := []string{"?, ", ", ", "127.0.0.5, nonsense, ", "\", ", strings.Repeat("203.0.113.1,", 200)}
		for i := range 100 { // a proxy appends to whatever the client sent
			login(w, fmt.Sprintf("user%d@acme.example", i), "a wrong long password", "X-Forwarded-For", lies[i%len(lies)]+"198.51.100.7")
		}
		for _, lie := range append(lies, "") {
			require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", lie+"198.51.100.7").Status, lie)
			require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase, "Forwarded", `for="`+lie+`, for=198.51.100.7`).Status, lie)
		}
		require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, "X-Forwarded-For", "198.51.100.8").Status)
	}, behindProxy)
}

func TestTheHeaderThatTheProxyDoesNotWriteIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, headers := range [][2]string{{"X-Forwarded-For", "Forwarded"}, {"Forwarded", "X-Forwarded-For"}} {
		onSQLite(t, func(t *testing.T, w *testkit.World) {
			stranger, proxy := headers[0], headers[1]
			says := func(header, address string) string {
				if header == "Forwarded" {
					return "for=" + address
				}
				return address
			}
			for i := range 100 {
				login(w, fmt.Sprintf("user%d@acme.example", i), "a wrong long password",
					stranger, says(stranger, fmt.Sprintf("203.0.113.%d", i)), proxy, says(proxy, "198.51.100.7"))
			}
			require.Equal(t, http.StatusTooManyRequests, login(w, janeEmail, testkit.Passphrase,
				stranger, says(stranger, "203.0.113.200"), proxy, says(proxy, "198.51.100.7")).Status, "all of them count for the proxy")
			require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase, proxy, says(proxy, "198.51.100.7")).Status)
			require.Equal(t, http.StatusSeeOther, login(w, janeEmail, testkit.Passphrase,
				stranger, says(stranger, "198.51.100.9"), proxy, says(proxy, "198.51.100.9")).Status, "they agree")
		}, behindProxy)
	}
}

func TestTheNextPageIsOneOfOurs(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		secondEnvironment(w)
		after := func(next string) string {
			a := send(w, http.MethodPost, "/acme/login", form("email", janeEmail, "password", testkit.Passphrase, "next", next))
			require.Equal(t, http.StatusSeeOther, a.Status, next)
			return a.Header.Get("Location")
		}
		require.Equal(t, "/acme/account", after("/acme/account"))
		require.Equal(t, "/acme/users?q=a+b", after("/acme/users?q=a%20b"))
		for _, bad := range []string{
			"", "//evil.example", "//evil.example/acme/account", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/acme/\r\nSet-Cookie: a=b",
			"http://evil.example/acme/account", "https:evil.example", "http:\\\\\\evil.example", "///evil.example/acme/", "/..//evil.example", "/acme/../evil",
			"/acme//evil.example", "/acme/..%2f..%2f/evil.example", "javascript:alert(1)", "http:999999999", "https://good@evil.example/acme/", "/umbrella/account",
			"/acmeevil/account", "acme/account", "/acme", "/acme/login", " /acme/account", "/%09/evil.example", "//acme/account", "/acme/%5c../x\x00", "data:text/html,x",
			"/acme/" + strings.Repeat("a", 2000),
		} {
			if strings.ContainsRune(bad, 0) {
				require.Equal(t, http.StatusBadRequest, send(w, http.MethodPost, "/acme/login", form("email", janeEmail, "password", testkit.Passphrase, "next", bad)).Status)
				continue
			}
			require.Equal(t, "/acme/account", after(bad), bad)
		}
		// The way there: a page that needs a session leads back to itself.
		b := w.Browser()
		require.Equal(t, "/acme/account", b.Get("/acme/account").Fill("Email", janeEmail).Fill("Password", testkit.Passphrase).Press("Log in").URL.Path)
		require.Equal(t, "/acme/account", b.Get("/acme/login?next=//evil.example").URL.Path)
	})
}

func TestThePublicAddressComesFromTheConfigurationAlone(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i, hostile := range [][]string{
			{"Host", "evil.example"},
			{"Host", "evil.example:8443"},
			{"Host", "good.example@evil.example"},
			{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil2.example"},
			{"Forwarded", `host=evil.example;proto=https;for="127.0.0.1;host=evil.example"`},
			{"X-Forwarded-Prefix", "//evil.example", "X-Original-URL", "//evil.example", "X-Rewrite-URL", "/evil", "X-Forwarded-Server", "evil.example", "Origin", w.URL},
		} {
			email := fmt.Sprintf("user%d@acme.example", i)
			w.AddUser(w.Acme, email, "Somebody Else", access.Member)
			a := send(w, http.MethodPost, "/acme/forgot-password", form("email", email), hostile...)
			if a.Status != http.StatusOK {
				require.Equal(t, http.StatusBadRequest, a.Status, hostile) // refused outright
				continue
			}
			require.NotContains(t, a.Body, "evil")
			m := w.Mail(email, "Reset your password")
			require.True(t, strings.HasPrefix(m.LinkTo("/reset-password/"), w.URL+"/acme/reset-password/"))
			require.NotContains(t, string(m.Raw), "evil")
			in := send(w, http.MethodPost, "/acme/login", form("email", email, "password", testkit.Passphrase), hostile...)
			require.Equal(t, "/acme/account", in.Header.Get("Location"))
		}
		for _, path := range []string{"//evil.example/", "/acme//login", "/acme/./login", "/%5cevil.example/", "/acme/login/", "//evil.example/acme/login"} {
			a := send(w, http.MethodGet, w.URL+path, "", "Host", "evil.example")
			to := a.Header.Get("Location")
			require.False(t, strings.HasPrefix(to, "//") || strings.Contains(to, "://"), "%s leads to %s", path, to)
		}
	})
}
