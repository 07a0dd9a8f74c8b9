package web_test

import (
	"bufio"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
)

// refuse lets the mail server answer so for one address.
func refuse(w *testkit.World, email string, code int, status smtp.EnhancedCode, words string) {
	w.Inbox.SetFate(func(_, to string, _ []byte) error {
		if to == email {
			return &smtp.SMTPError{Code: code, EnhancedCode: status, Message: words}
		}
		return nil
	})
}

func TestARefusedMailPutsItsUserInTheQueue(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		refuse(w, janeEmail, 550, smtp.EnhancedCode{5, 1, 1}, "no such user here")
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		home := ada.Get("/acme/users")
		require.True(t, home.Has("Needs help"))
		require.NotContains(t, home.Text(), "waiting")

		askAndResolve(w, janeEmail)
		settled(w)
		home = ada.Get("/acme/users")
		require.Contains(t, home.Text(), "Needs help 1 waiting")
		require.Contains(t, home.Text(), "No such mailbox")

		queue := ada.Get("/acme/needs-help")
		require.Equal(t, "Needs help", queue.Heading())
		require.Contains(t, queue.Text(), "acme.example says there is no mailbox jane@acme.example.")
		require.Equal(t, "Reset Password", queue.Options("Action for Jane Doe")[0])

		// Nothing more is mailed there, and the asking page shows nothing of it.
		refusedOnce := len(w.Inbox.Mails())
		asked := ask(w.Browser(), janeEmail)
		require.Equal(t, http.StatusOK, asked.Status)
		settled(w)
		require.Len(t, w.Inbox.Mails(), refusedOnce)

		link := queue.Choose("Action for Jane Doe", "Reset Password").PressBeside("Action for Jane Doe", "Go").Value("Reset Password Link")
		done := w.Browser().Get(strings.TrimPrefix(link, w.URL)).Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", done.URL.Path)
		require.Contains(t, ada.Get("/acme/needs-help").Text(), "Nobody is stuck")
		page := ada.Get("/acme/users/" + string(w.Jane.ID))
		require.Contains(t, page.Text(), "Jane Doe set a new password")
	})
}

func TestTheQueueIsForThoseWhoMayHelp(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.AddUser(w.Acme, "second@acme.example", "Second Admin", access.ClientAdmin)
		w.Inbox.SetFate(func(_, _ string, _ []byte) error {
			return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox full"}
		})
		for _, email := range []string{janeEmail, "second@acme.example"} {
			postAsk(w, email)
		}
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM cases") == 2 }, 20*time.Second, 5*time.Millisecond)
		henry := w.Browser()
		henry.SignIn("helpdesk@acme.example", testkit.Passphrase)
		queue := henry.Get("/acme/needs-help")
		require.Contains(t, queue.Text(), "Needs help 1 waiting", "a help desk helps members only")
		require.Contains(t, queue.Text(), "Jane Doe’s mailbox has been full since")
		require.NotContains(t, queue.Text(), "Second Admin")
		found := henry.Get("/acme/users?q=second")
		require.Contains(t, found.Text(), "Second Admin")
		require.NotContains(t, found.Text(), "full", "a help desk sees the mail of members only")

		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		queue = ada.Get("/acme/needs-help")
		require.Contains(t, queue.Text(), "2 people are stuck")
		require.Contains(t, queue.Press("Done with Jane Doe").Text(), "Jane Doe is taken off the list.")
		require.NotContains(t, henry.Get("/acme/needs-help").Text(), "Jane Doe’s mailbox")
		require.Contains(t, ada.Get("/acme/users/"+string(w.Jane.ID)).Text(), "Taken off the list of those who need help by you")
	})
}

// TestTimesOfADiagnosisAreElements: a script writes them in the reader's zone. What
// is no page has the same sentence in plain words and UTC.
func TestTimesOfADiagnosisAreElements(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Advance(w.Clock.Now().Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(w.Clock.Now())) // noon
		for range 3 {
			askAndResolve(w, janeEmail)
		}
		ada := w.Browser()
		w.Clock.Advance(11 * time.Minute)
		for _, on := range []string{"", " on [0-9]{1,2} [A-Z][a-z]+"} {
			ada.SignIn("admin@acme.example", testkit.Passphrase)
			shown, err := w.App.UserManager.Show(w.Ctx(), access.Operator(), w.Acme, janeEmail)
			require.NoError(t, err)
			found := regexp.MustCompile("^Their server took it at (12:[0-9]{2} UTC" + on + "); nobody has opened the link\\. It may be in spam or quarantine\\.$").FindStringSubmatch(*shown.Mail.Sentence)
			require.NotNil(t, found, *shown.Mail.Sentence)
			element := `took it at <time datetime="` + shown.Mail.Since.UTC().Format(time.RFC3339) + `"[^>]* data-moment="at"[^>]*>` + found[1] + `</time>; nobody has`
			for _, path := range []string{"/acme/needs-help", "/acme/users?q=jane", "/acme/users/" + string(w.Jane.ID)} {
				require.Regexp(t, element, ada.Get(path).Body, path)
			}
			w.Clock.Advance(24 * time.Hour)
		}
	})
}

func TestAskingThreeTimesWithoutOpeningIsACase(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		for range 2 {
			askAndResolve(w, janeEmail)
			require.Contains(t, ada.Get("/acme/needs-help").Text(), "Nobody is stuck")
		}
		askAndResolve(w, janeEmail)
		require.Contains(t, ada.Get("/acme/needs-help").Text(), "asked three times and opened nothing")
		w.Clock.Advance(11 * time.Minute)
		page := ada.Get("/acme/users/" + string(w.Jane.ID))
		require.Contains(t, page.Text(), "nobody has opened the link. It may be in spam or quarantine.")
		require.Contains(t, page.Text(), "Subject: Reset your password · Acme")

		// Whoever logs in with the old password after all needs no help.
		w.Browser().SignIn(janeEmail, testkit.Passphrase)
		require.Contains(t, ada.Get("/acme/needs-help").Text(), "Nobody is stuck")
	})
}

func TestACaseNumberFindsTheAsking(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		known := caseOf(t, postAsk(w, janeEmail).Body)
		unknown := caseOf(t, postAsk(w, "jane@acme.exampel").Body)
		settled(w)
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		for _, typed := range []string{known, strings.ToLower(known), " case " + known[:3] + "-" + known[3:]} {
			found := ada.Get("/acme/users").Fill("Search users", typed).Press("Search")
			require.Contains(t, found.Text(), "Case "+known+" : a reset link was asked for jane@acme.example", typed)
			require.Equal(t, "Reset Password", found.Options("Action for Jane Doe")[0])
		}
		found := ada.Get("/acme/users").Fill("Search users", unknown).Press("Search")
		require.Contains(t, found.Text(), "asked for jane@acme.exampel")

		henry := w.Browser()
		henry.SignIn("helpdesk@acme.example", testkit.Passphrase)
		found = henry.Get("/acme/users").Fill("Search users", unknown).Press("Search")
		require.Contains(t, found.Text(), "an address that no user has")
		require.NotContains(t, found.Text(), "exampel")

		// Once it is settled whom it meant, the case is that person's.
		found = ada.Get("/acme/users").Fill("Search users", unknown).Press("Search")
		require.Contains(t, found.Press("Send to jane@acme.example").Text(), "A password reset link is on its way to jane@acme.example.")
		found = ada.Get("/acme/users").Fill("Search users", unknown).Press("Search")
		require.Equal(t, "Reset Password", found.Options("Action for Jane Doe")[0])
		require.False(t, found.Has("Send to jane@acme.example"))
		require.Contains(t, ada.Get("/acme/users?q=ZZZZZ2").Text(), "No case has this number either.")

		umbrella := secondEnvironment(w)
		other := w.AddUser(umbrella, "root@umbrella.example", "Other Admin", access.ClientAdmin)
		stranger := w.Browser()
		stranger.Get("/umbrella/login").Fill("Email", other.Email).Fill("Password", testkit.Passphrase).Press("Log in")
		require.NotContains(t, stranger.Get("/umbrella/users?q="+known).Text(), "a reset link was asked for", "of another environment")
	})
}

func TestMailIsAllowedAgain(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		refuse(w, janeEmail, 550, smtp.EnhancedCode{5, 1, 1}, "User unknown")
		askAndResolve(w, janeEmail)
		settled(w)
		w.Inbox.SetFate(nil)
		askAndResolve(w, janeEmail)
		settled(w)
		require.Empty(t, w.Inbox.Mails(), "the address gets no mail")

		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		page := ada.Get("/acme/users/" + string(w.Jane.ID))
		page = page.Press("Allow mail to this address again")
		require.Contains(t, page.Text(), "Mail may go to jane@acme.example again.")
		require.False(t, page.Has("Allow mail to this address again"))
		page.Choose("Action for Jane Doe", "Send password reset link").PressBeside("Action for Jane Doe", "Go")
		w.Mail(janeEmail, "Reset your password")
	})
}

func TestAPageThatIsWatchedHearsWhatHappens(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		r, err := http.NewRequestWithContext(w.Ctx(), http.MethodGet, w.URL+"/acme/users/"+string(w.Jane.ID)+"/live", nil)
		require.NoError(t, err)
		for _, c := range ada.Cookies() {
			r.AddCookie(c)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
		lines := bufio.NewScanner(res.Body)
		askAndResolve(w, janeEmail)
		heard := false
		for lines.Scan() {
			if heard = lines.Text() == "event: changed"; heard {
				break
			}
		}
		require.True(t, heard)

		// The line ends with the session.
		require.Equal(t, http.StatusOK, ada.Post("/acme/logout", url.Values{}).Status)
		for lines.Scan() {
		}
		require.NoError(t, lines.Err())
	})
}

func TestADigestNamesThoseWhoNeedHelp(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		refuse(w, janeEmail, 550, smtp.EnhancedCode{5, 1, 1}, "User unknown")
		askAndResolve(w, janeEmail)
		settled(w)
		require.NoError(t, w.App.Digests(w.Ctx()))
		settled(w)
		require.Empty(t, w.Inbox.Mails(), "nobody wished for it")

		w.SetPolicy(map[string]string{"help_digest": "daily"})
		for range 2 {
			require.NoError(t, w.App.Digests(w.Ctx()))
			settled(w)
		}
		m := w.Mail("admin@acme.example", "People need help signing in · Acme")
		require.Contains(t, m.Text, "- Jane Doe: No such mailbox\n")
		require.Contains(t, m.Text, w.URL+"/acme/needs-help")
		require.Len(t, w.Inbox.Mails(), 1, "once a day, and not to the help desk")
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		require.Contains(t, admin.Get("/acme/users/"+string(w.Admin.ID)).Text(), "List of those who need help taken by")

		w.Clock.Advance(25 * time.Hour)
		w.Browser().SignIn(janeEmail, testkit.Passphrase)
		w.Inbox.Clear()
		require.NoError(t, w.App.Digests(w.Ctx()))
		settled(w)
		for _, m := range w.Inbox.Mails() {
			require.NotContains(t, m.Subject, "help signing in", "nobody is stuck")
		}
	})
}

func TestTheCaseNumberStaysWithTheBrowserThatAsked(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for _, email := range []string{janeEmail, "nobody@acme.example"} {
			b := w.Browser()
			require.NotContains(t, b.Get("/acme/forgot-password").Text(), "Still nothing?")
			number := caseOf(t, ask(b, email).Body)
			for _, page := range []string{"/acme/forgot-password", "/acme/reset-password"} {
				require.Equal(t, number, caseOf(t, b.Get(page).Body), "a phone forgets the page it stood on")
				require.NotContains(t, w.Browser().Get(page).Text(), "Still nothing?", "another browser is told nothing")
			}
		}
		b := w.Browser()
		ask(b, janeEmail)
		b.Get(w.Mail(janeEmail, "Reset your password").LinkTo("/reset-password/")).Fill("New password", newPassphrase).Press("Set new password")
		require.NotContains(t, b.Get("/acme/forgot-password").Text(), "Still nothing?", "who is back in needs it no more")
	})
}

func TestAnInvitationThatDoesNotArriveHasANextStep(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		refuse(w, "new@acme.example", 552, smtp.EnhancedCode{5, 2, 2}, "mailbox full")
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		invite(w, "new@acme.example", "Nora New")
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM cases") == 1 }, 20*time.Second, 5*time.Millisecond)
		require.Equal(t, "resend-invitation", ada.Get("/acme/needs-help").Value("Action for Nora New"), "not Cancel reset token, the first")
		page := ada.Get("/acme/users").Follow("Nora New")
		require.Contains(t, page.Text(), "Nora New’s mailbox has been full")
		w.Inbox.SetFate(nil)
		require.Contains(t, page.Press("Resend invitation").Text(), "The invitation is on its way to new@acme.example.")
		w.Mail("new@acme.example", "You are invited to Acme")
	})
}

func TestALikelyAddressIsCarriedToTheForm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		wrong := w.AddUser(w.Acme, "henriete.muster@acme.example", "Henriette Muster", access.Member)
		refuse(w, wrong.Email, 550, smtp.EnhancedCode{5, 1, 1}, "User unknown")
		askAndResolve(w, wrong.Email)
		settled(w)
		// A stranger's slip does not hide what is the matter.
		postAsk(w, "henriete.muster@acme.exampel")
		settled(w)
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		page := ada.Get("/acme/users/" + string(wrong.ID))
		require.Contains(t, page.Text(), "there is no mailbox henriete.muster@acme.example. Did you mean henriette.muster@acme.example?")
		form := page.Follow("Correct the address")
		require.Equal(t, "henriette.muster@acme.example", form.Value("Email"))
		require.Equal(t, "henriete.muster@acme.example", ada.Get("/acme/users/"+string(wrong.ID)+"/edit?email=nonsense").Value("Email"))
		page = form.Press("Save")
		require.Contains(t, page.Text(), "A new address, henriette.muster@acme.example, counts once the link mailed to it is used.")
	})
}
