package web_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// postAsk asks for an address once, in no browser.
func postAsk(w *testkit.World, email string, headers ...string) answer {
	w.T.Helper()
	return send(w, http.MethodPost, "/acme/forgot-password", form("email", email), headers...)
}

// caseOf gives the case number on the page that follows an asking.
func caseOf(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`Case <strong class="case">([0-9A-HJKMNP-TV-Z]{6})</strong>`).FindStringSubmatch(page)
	require.NotNil(t, found, "the page has no case number")
	return found[1]
}

func TestAskingNeverTellsWhetherAnAddressIsKnown(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		invite(w, "invited@acme.example", "Nora New")
		deactivate(w, w.AddUser(w.Acme, "gone@acme.example", "Gregor Gone", access.Member))
		w.AddUser(secondEnvironment(w), "elsewhere@acme.example", "Else Where", access.Member)
		importUser(w, "without@acme.example", "")
		for range 12 {
			login(w, "helpdesk@acme.example", "a wrong long password")
		}
		emails := []string{
			"unknown@acme.example", janeEmail, "invited@acme.example", "gone@acme.example", "elsewhere@acme.example", "without@acme.example",
			"helpdesk@acme.example", "nobody@unknown.example",
		}
		settled(w)
		w.Inbox.Clear()
		numbers := map[string]bool{}
		for round := range 7 { // past the limit of mails, too
			var first answer
			for _, email := range emails {
				a := postAsk(w, email)
				require.Equal(t, http.StatusOK, a.Status)
				number := caseOf(t, a.Body)
				require.False(t, numbers[number], "a case number came twice: %s", number)
				numbers[number] = true
				a.Body = strings.NewReplacer(email, "ADDRESS", number, "NUMBER").Replace(a.Body)
				if first.Status == 0 {
					first = a
				}
				sameAnswer(t, first, a, fmt.Sprint(email, " in round ", round))
			}
			settled(w) // or the jump of the clock ends the lease of a mail under way
			w.Clock.Advance(20 * time.Second)
		}
		settled(w)
		mails, seen := map[string]int{}, map[string]bool{}
		for _, m := range w.Inbox.Mails() {
			require.Len(t, m.To, 1)
			if !seen[m.MessageID] { // a second copy is known by it
				mails[m.To[0]]++
			}
			seen[m.MessageID] = true
		}
		require.Equal(t, map[string]int{janeEmail: 5, "helpdesk@acme.example": 5, "invited@acme.example": 5, "without@acme.example": 5}, mails)

		// The waiting page, the page for codes and a code that does not fit are alike, too.
		var first answer
		for _, email := range emails {
			a := send(w, http.MethodPost, "/acme/reset-password", form("email", email, "code", "00000000"))
			a.Body = strings.ReplaceAll(a.Body, email, "ADDRESS")
			if first.Status == 0 {
				first = a
			}
			sameAnswer(t, first, a, email)
		}
	})
}

// The users table is out of the way while people ask: the answers are the same,
// so nothing on that path can have read it.
func TestAskingReadsNoUser(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		change := func(statement string) {
			require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error { _, err := tx.Exec(statement); return err }))
		}
		change("ALTER TABLE users RENAME TO users_away")
		for _, email := range []string{janeEmail, "unknown@acme.example"} {
			require.Equal(t, http.StatusOK, postAsk(w, email).Status)
		}
		change("ALTER TABLE users_away RENAME TO users")
		w.Mail(janeEmail, "Reset your password") // nothing that was asked is lost
	})
}

func TestMailGoesOnlyToTheAddressOnFile(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.AddUser(w.Acme, "Mike.Miller@Acme.Example", "Mike Miller", access.Member)
		for _, same := range []string{" JANE@ACME.EXAMPLE\t", "jane\uff20acme\uff0eexample.", "\uff2aane@acme.example", "jane@\u24d0cme.example"} {
			w.Inbox.Clear()
			if a := postAsk(w, same); a.Status == http.StatusOK {
				require.Equal(t, []string{janeEmail}, w.Mail(janeEmail, "Reset your password").To, same)
			}
		}
		w.Inbox.Clear()
		postAsk(w, "mike.miller@acme.example")
		require.Equal(t, []string{"Mike.Miller@acme.example"}, w.Mail("Mike.Miller@acme.example", "Reset your password").To)
		w.Inbox.Clear()
		for _, other := range []string{
			"m\u0131ke.miller@acme.example", "jan\u00e9@acme.example", "jane@acm\u00e9.example", "jane@xn--acm-dma.example", "j\u0430ne@acme.example", "jane+x@acme.example",
			"jane@acme.example.evil.example", "%@acme.example", "_ane@acme.example", "j%ne@acme.example", "jane@%.example",
		} {
			a := postAsk(w, other)
			require.Contains(t, []int{http.StatusOK, http.StatusUnprocessableEntity}, a.Status, other)
			w.Clock.Advance(10 * time.Second)
		}
		for _, bad := range []string{
			"jane@acme.example,evil@evil.example", "jane@acme.example evil@evil.example", "jane@acme.example|evil@evil.example", "jane@acme.example;evil@evil.example",
			"jane@acme.example\r\ncc:evil@evil.example", "jane@acme.example\nbcc:evil@evil.example", "jane", "", "@", "jane@", "@acme.example", "jane@acme..example",
			"Jane <jane@acme.example>", "John (evil@evil.example) <jane@acme.example>", "jane@acme.example (evil@evil.example)", `"jane"@acme.example`,
			"=?utf-8?q?=6a=61ne?=@acme.example", "evil!jane@acme.example", "jane%evil.example@acme.example", "@evil.example:jane@acme.example", "jane@[127.0.0.1]",
			"jane@acme.example@evil.example", "ja\u200dne\u00ad@acme.example", strings.Repeat("j", 65) + "@acme.example", "jane@" + strings.Repeat("a.", 130) + "example",
			"admin" + strings.Repeat(" ", 60) + "x@acme.example",
		} {
			a := postAsk(w, bad)
			require.Equal(t, http.StatusUnprocessableEntity, a.Status, bad)
			require.Empty(t, a.Header.Values("Set-Cookie"))
			w.Clock.Advance(10 * time.Second)
		}
		for _, body := range []string{
			"email=jane@acme.example&email=evil@evil.example", "email=evil@evil.example&email=jane@acme.example",
		} {
			require.Equal(t, http.StatusBadRequest, send(w, http.MethodPost, "/acme/forgot-password", body).Status)
		}
		for _, body := range []string{"email[]=jane@acme.example&email[]=evil@evil.example", "email[0]=jane@acme.example", "user[email]=jane@acme.example", "x=y"} {
			require.NotEqual(t, http.StatusOK, send(w, http.MethodPost, "/acme/forgot-password", body).Status, body)
		}
		ignored := send(w, http.MethodPost, "/acme/forgot-password?email=evil@evil.example", form("email", "nobody@acme.example"))
		require.Equal(t, http.StatusOK, ignored.Status)
		settled(w)
		require.Empty(t, w.Inbox.Mails(), "none of these is an address of anybody here")
	})
}

func TestPastFiveMailsAnHourTheAdminStillFindsAToken(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for range 5 {
			postAsk(w, janeEmail)
		}
		settled(w)
		require.Len(t, w.Inbox.Mails(), 5)
		_, err := w.App.Recovery.CancelToken(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)

		require.Equal(t, http.StatusOK, postAsk(w, janeEmail).Status)
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		page := admin.Get("/acme/users?q=jane").Choose("Action for Jane Doe", "Reset Password").PressBeside("Action for Jane Doe", "Go")
		require.Equal(t, "Reset Password Link", page.Heading())
		settled(w)
		for _, m := range w.Inbox.Mails()[5:] {
			require.NotContains(t, m.Subject, "Reset your password")
		}
		require.Equal(t, http.StatusSeeOther, setPassword(w, page.Value("Reset Password Link"), "x", newPassphrase).Status)

		w.Clock.Advance(time.Hour + time.Second)
		w.Inbox.Clear()
		postAsk(w, janeEmail)
		w.Mail(janeEmail, "Reset your password")
	})
}

func TestSendItAgainSaysThatEarlierLinksWork(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		first := ask(w.Browser(), janeEmail)
		require.NotContains(t, first.Text(), "Earlier links keep working.")
		link := w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")
		require.Contains(t, first.Press("Send it again").Text(), "Earlier links keep working.")
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status)
	})
}

func TestAskingIsLimitedPerNetwork(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Freeze()
		from := func(network string) []string { return []string{"X-Forwarded-For", network} }
		for i := range 30 {
			require.Equal(t, http.StatusOK, postAsk(w, fmt.Sprintf("user%d@acme.example", i), from("198.51.100.7")...).Status)
		}
		for _, email := range []string{janeEmail, "unknown@acme.example"} {
			a := postAsk(w, email, from("198.51.100.7")...)
			require.Equal(t, http.StatusTooManyRequests, a.Status)
			require.Equal(t, "60", a.Header.Get("Retry-After"))
		}
		require.Equal(t, http.StatusOK, postAsk(w, janeEmail, from("198.51.100.8")...).Status)
		w.SetPolicy(map[string]string{"own_networks": "198.51.100.0/24"})
		require.Equal(t, http.StatusOK, postAsk(w, janeEmail, from("198.51.100.7")...).Status, "one's own network has more")
		w.SetPolicy(map[string]string{"own_networks": ""})
		w.Clock.Advance(time.Minute)
		require.Equal(t, http.StatusOK, postAsk(w, janeEmail, from("198.51.100.7")...).Status)
	}, behindProxy)
}

func TestADeactivatedOrInvitedUserGetsNoResetMail(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		deactivate(w, w.Jane)
		postAsk(w, janeEmail)
		settled(w)
		require.Empty(t, w.Inbox.Mails())
		require.Equal(t, 0, count(w, "SELECT count(*) FROM tokens"))
		require.Equal(t, 1, count(w, "SELECT count(*) FROM events WHERE kind = 'asked deactivated'"), "the timeline says so")
	})
}

func TestDeactivatedBetweenMailAndClick(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		link := askFor(w, janeEmail)
		code := w.Mail(janeEmail, "Reset your password").Code()
		form1 := w.Browser().Get(link)
		deactivate(w, w.Jane)
		require.Equal(t, http.StatusGone, send(w, http.MethodGet, link, "").Status)
		require.Equal(t, "This link was cancelled", form1.Fill("New password", newPassphrase).Press("Set new password").Heading())
		require.Equal(t, http.StatusUnprocessableEntity, send(w, http.MethodPost, "/acme/reset-password", form("email", janeEmail, "code", code)).Status)
		require.False(t, mayLogIn(w, janeEmail, newPassphrase))
	})
}

func TestNothingStoredOrLoggedOpensALink(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		secrets := map[string]string{"password": newPassphrase, "old password": testkit.Passphrase, "wrong password": "a wrong and loud password"}
		postAsk(w, janeEmail)
		mail := w.Mail(janeEmail, "Reset your password")
		link, code := mail.LinkTo("/reset-password/"), mail.Code()
		secrets["link"], secrets["code"], secrets["not me"] = lastOf(link), code, lastOf(mail.LinkTo("/not-me/"))
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		shown := admin.Get("/acme/users?q=jane").Choose("Action for Jane Doe", "Reset Password").PressBeside("Action for Jane Doe", "Go").Value("Reset Password Link")
		secrets["admin's link"] = lastOf(shown)
		for _, c := range admin.Cookies() {
			secrets["cookie "+c.Name] = c.Value
		}
		asked := postAsk(w, janeEmail)
		secrets["asked cookie"] = asked.cookie("sparekey.asked-acme").Value
		byCode := send(w, http.MethodPost, "/acme/reset-password", form("email", janeEmail, "code", code))
		require.Equal(t, http.StatusSeeOther, byCode.Status)
		secrets["link by code"] = lastOf(byCode.Header.Get("Location"))
		login(w, janeEmail, "a wrong and loud password")
		for _, bad := range []string{link[:len(link)-1], link + "x", link + "/more", link + "?password=" + url.QueryEscape(newPassphrase)} {
			send(w, http.MethodGet, bad, "")
			send(w, http.MethodPost, bad, "%zz")
		}
		setPassword(w, link, "x", "short")
		session := login(w, janeEmail, testkit.Passphrase).cookie("sparekey-acme").Value
		require.Equal(t, http.StatusSeeOther, setPassword(w, link, "x", newPassphrase).Status)
		jane := login(w, janeEmail, newPassphrase)
		secrets["session"], secrets["new session"] = session, jane.cookie("sparekey-acme").Value
		settled(w)

		places := map[string]string{"the log": w.Log.String()}
		for table, rows := range dump(w) {
			var all strings.Builder
			for _, row := range rows {
				all.WriteString(strings.Join(row, "\x00") + "\n")
			}
			places["table "+table] = all.String()
		}
		require.Greater(t, len(places), 10)
		require.Contains(t, places["the log"], "/{environment}/reset-password/{link}", "the log is written, but without links")
		require.Contains(t, places["table users"], janeEmail)
		for what, secret := range secrets {
			for where, text := range places {
				for _, written := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), strings.ToLower(secret)} {
					if len(written) < 8 {
						t.Fatalf("%s is too short to look for", what)
					}
					require.NotContains(t, strings.ToLower(text), strings.ToLower(written), "%s in %s", what, where)
				}
				if len(secret) == 40 { // half a link says nothing either
					require.NotContains(t, text, secret[20:], "the MAC of %s in %s", what, where)
				}
			}
		}
		require.NotContains(t, places["the log"], janeEmail)
	})
}

func TestNoStoredValueWorksAsALinkACodeOrASession(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		askFor(w, janeEmail)
		w.Browser().SignIn(janeEmail, testkit.Passphrase)
		tried := 0
		for _, rows := range dump(w) {
			for _, row := range rows {
				for _, value := range row {
					if value == "" || len(value) > 200 {
						continue
					}
					tried++
					require.NotEqual(t, http.StatusOK, send(w, http.MethodGet, "/acme/reset-password/"+url.PathEscape(value), "").Status, value)
					if !strings.ContainsAny(value, "\r\n\x00\"; ,\\") {
						require.NotEqual(t, http.StatusOK, send(w, http.MethodGet, "/acme/session", "", "Cookie", "sparekey-acme="+value).Status, value)
					}
				}
			}
		}
		require.Greater(t, tried, 100)
	})
}

func TestLinksShareNothing(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		var texts []string
		codes := map[string]bool{}
		for i := range 20 {
			email := fmt.Sprintf("user%d@acme.example", i)
			w.AddUser(w.Acme, email, "Somebody Else", access.Member)
			texts = append(texts, lastOf(askFor(w, email)))
			codes[w.Mail(email, "Reset your password").Code()] = true
		}
		require.Len(t, codes, 20)
		seen := map[string]bool{}
		for _, text := range texts {
			require.Len(t, text, 40)
			for i := 2; i+8 <= len(text); i++ { // after the key id
				require.False(t, seen[text[i:i+8]], "eight characters of two links are the same")
				seen[text[i:i+8]] = true
			}
		}
	})
}

// TestAnAskingWithoutAMailIsExplained: past five mails an hour none goes out, and
// administrators read so.
func TestAnAskingWithoutAMailIsExplained(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		const why = "Five mails within an hour are the most, cancelled ones included, so no further one was sent."
		ada, page := signedInAdmin(w), "/acme/users/"+string(w.Jane.ID)
		for range 5 {
			askAndResolve(w, janeEmail)
		}
		require.NotContains(t, ada.Get(page).Text(), why)
		askAndResolve(w, janeEmail)
		require.Len(t, mailsTo(w, janeEmail), 5)
		require.Contains(t, ada.Get(page).Text(), "Jane Doe asked again")
		require.Contains(t, ada.Get(page).Text(), why)
		require.Contains(t, ada.Get("/acme/users?q=jane").Text(), "Asked too often for more mails")
		w.Clock.Advance(61 * time.Minute)
		require.NotContains(t, signedInAdmin(w).Get(page).Text(), why)
	})
}
