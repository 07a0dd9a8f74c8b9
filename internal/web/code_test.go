package web_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

// enter types a code in no browser, or in the one that the headers say.
func enter(w *testkit.World, email, code string, headers ...string) answer {
	w.T.Helper()
	return send(w, http.MethodPost, "/acme/reset-password", form("email", email, "code", code), headers...)
}

// askingBrowser asks for an address and gives the headers of the browser that
// asked, and the code that was mailed.
func askingBrowser(w *testkit.World, email string) (headers []string, code string) {
	w.T.Helper()
	w.Inbox.Clear()
	asked := postAsk(w, email).cookie("sparekey.asked-acme")
	require.NotNil(w.T, asked)
	code = w.Mail(email, "Reset your password").Code()
	settled(w)
	return []string{"Cookie", "sparekey.asked-acme=" + asked.Value}, code
}

// another gives a code that is not this one.
func another(code string) string {
	if code[0] == '9' {
		return "8" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

func TestACodeOpensTheResetPage(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		_, code := askingBrowser(w, janeEmail)
		page := w.Browser().Get("/acme/reset-password").Fill("Email", " Jane@ACME.example").Fill("Code", code[:4]+" "+code[4:]+" ").Press("Continue")
		require.Equal(t, "Set a new password", page.Heading())
		require.Equal(t, "no-referrer", page.Header.Get("Referrer-Policy"))
		require.Equal(t, "/acme/login", page.Fill("New password", newPassphrase).Press("Set new password").URL.Path)
		require.True(t, mayLogIn(w, janeEmail, newPassphrase))
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code).Status, "the token is used, and with it the code")
	})
}

func TestTheLinkOfACodeLivesAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		_, code := askingBrowser(w, janeEmail)
		link := w.URL + enter(w, janeEmail, code).Header.Get("Location")
		w.Clock.Advance(14 * time.Minute)
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "").Status)
		w.Clock.Advance(2 * time.Minute)
		require.Equal(t, http.StatusGone, setPassword(w, link, "x", newPassphrase).Status)
	})
}

func TestTheCodesOfTheTwoNewestMailsFit(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		_, oldest := askingBrowser(w, janeEmail)
		browser, middle := askingBrowser(w, janeEmail)
		_, newest := askingBrowser(w, janeEmail)
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, oldest).Status)
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, middle, browser...).Status)
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, newest, browser...).Status)
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, "admin@acme.example", newest).Status, "it is a code of Jane's")
		settled(w)
		w.Clock.Advance(24*time.Hour + time.Second)
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, newest).Status, "it lives as long as its link")
	})
}

func TestACodeTakesFiveTries(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		own, code := askingBrowser(w, janeEmail)
		var first answer
		for i := range 5 {
			a := enter(w, janeEmail, another(code))
			require.Equal(t, http.StatusUnprocessableEntity, a.Status)
			if i == 0 {
				first = a
			}
			sameAnswer(t, first, a, "a wrong code")
		}
		sameAnswer(t, first, enter(w, janeEmail, code), "a right code past the tries says the same")
		for i, cookie := range []string{"x", own[1][len("sparekey.asked-acme="):] + "x", "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"} {
			require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code, "Cookie", "sparekey.asked-acme="+cookie).Status, "a forged cookie %d", i)
		}
		other := postAsk(w, "unknown@acme.example").cookie("sparekey.asked-acme").Value
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code, "Cookie", "sparekey.asked-acme="+other).Status, "it asked for another address")

		for range 4 {
			require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, another(code), own...).Status)
		}
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, code, own...).Status, "strangers cannot use up the owner's tries")
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code, own...).Status, "there were five")

		// The link in the mail works as well, and a new password opens the tries again.
		link := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status)
		_, code = askingBrowser(w, janeEmail)
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, code).Status)
	})
}

func TestTheTriesOfACodeComeBackAfterADay(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for range 6 {
			enter(w, janeEmail, "00000000")
		}
		w.Clock.Advance(23 * time.Hour)
		_, code := askingBrowser(w, janeEmail)
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code).Status, "asking again does not open them")
		settled(w)
		w.Clock.Advance(time.Hour + time.Second)
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, code).Status)
	})
}

func TestManyCodesAtOnceGetFiveTriesInAll(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for _, email := range []string{janeEmail, "unknown@acme.example"} {
			var group sync.WaitGroup
			for i := range 50 {
				from := fmt.Sprintf("198.51.100.%d", i)
				group.Go(func() { enter(w, email, fmt.Sprintf("%08d", i), "X-Forwarded-For", from) })
			}
			group.Wait()
			require.Equal(t, 50, count(w, "SELECT tries FROM throttle WHERE subject = $1", "code:"+email), "each was counted")
		}
		_, code := askingBrowser(w, janeEmail)
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code).Status, "the five are gone")
	}, behindProxy)
}

func TestFiftyRightCodesAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		_, code := askingBrowser(w, janeEmail)
		var group sync.WaitGroup
		statuses := make([]int, 50)
		for i := range statuses {
			group.Go(func() { statuses[i] = enter(w, janeEmail, code).Status })
		}
		group.Wait()
		fitted := 0
		for _, s := range statuses {
			if s == http.StatusSeeOther {
				fitted++
			}
		}
		require.Equal(t, 5, fitted, "every try is spent before the comparison")
	})
}

func TestWrongCodesAreLimitedPerNetworkAndEnvironment(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		own, code := askingBrowser(w, janeEmail)
		from := func(network string) []string { return append([]string{"X-Forwarded-For", network}, own...) }
		for i := range 20 {
			enter(w, fmt.Sprintf("user%d@acme.example", i), "00000000", "X-Forwarded-For", "198.51.100.7")
		}
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code, from("198.51.100.7")...).Status, "20 an hour from one network")
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, code, from("198.51.100.8")...).Status)
		for i := range 180 {
			enter(w, fmt.Sprintf("other%d@acme.example", i), "00000000", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		}
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, code, from("198.51.100.9")...).Status, "200 an hour in one environment")
		link := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Equal(t, http.StatusOK, send(w, http.MethodGet, link, "").Status, "the link in the mail works as well")
		settled(w)
		w.Clock.Advance(time.Hour + time.Second)
		require.Equal(t, http.StatusSeeOther, enter(w, janeEmail, code, from("198.51.100.9")...).Status)
	}, behindProxy)
}

func TestWhatIsNoCode(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		own, code := askingBrowser(w, janeEmail)
		for i, bad := range []string{"", " ", code[:7], code + "0", "x" + code[1:], "%", "00000000' OR '1'='1", "null", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"} {
			// Each in a fresh browser that asked, so that tries are left.
			browser := []string{"Cookie", "sparekey.asked-acme=" + postAsk(w, janeEmail).cookie("sparekey.asked-acme").Value}
			require.Equal(t, http.StatusUnprocessableEntity, enter(w, janeEmail, bad, browser...).Status, "%d: %q", i, bad)
		}
		for _, bad := range []string{"", "jane", "jane@acme.example,evil@evil.example"} {
			require.Equal(t, http.StatusUnprocessableEntity, enter(w, bad, code, own...).Status, bad)
		}
	})
}

func TestInvitedUsersHaveNoCode(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		invite(w, "new@acme.example", "Nora New")
		require.Empty(t, w.Mail("new@acme.example", "You are invited").Code())
		require.Equal(t, http.StatusUnprocessableEntity, enter(w, "new@acme.example", "00000000").Status)
	})
}
