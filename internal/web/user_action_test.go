package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// goTo picks an action in the row of somebody and presses Go.
func goTo(b *testkit.Browser, name, action string) *testkit.Page {
	label := "Action for " + name
	return b.Get("/acme/users?q="+url.QueryEscape(name)).Choose(label, action).PressBeside(label, "Go")
}

// linkOn gives the link that a page shows.
func linkOn(t *testing.T, p *testkit.Page) string {
	t.Helper()
	require.Equal(t, "Reset Password Link", p.Heading(), p.Text())
	return p.Value("Reset Password Link")
}

// countOf counts rows, for what no page shows.
func countOf(w *testkit.World, query string, args ...any) int {
	w.T.Helper()
	n := 0
	w.View(func(tx *db.Tx) (err error) {
		n, err = db.One[int](tx, query, args...)
		return err
	})
	return n
}

// mailsTo gives the subjects of the mails that have arrived for an address.
func mailsTo(w *testkit.World, address string) []string {
	idle(w)
	var subjects []string
	for _, m := range w.Inbox.Mails() {
		if m.To[0] == address {
			what, _, _ := strings.Cut(m.Subject, " ·")
			subjects = append(subjects, what)
		}
	}
	return subjects
}

// otherAdmin signs a second Client Admin in.
func otherAdmin(w *testkit.World) (*testkit.Browser, user.User) {
	u := w.AddUser(w.Acme, "bert@acme.example", "Bert Boss", access.ClientAdmin)
	b := w.Browser()
	b.SignIn(u.Email, testkit.Passphrase)
	return b, u
}

func TestPressingAgainShowsTheSameLinkToTheSameAdmin(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		ada := signedInAdmin(w)
		first := goTo(ada, "Jane Doe", "Reset Password")
		link := linkOn(t, first)
		require.NotContains(t, first.Text(), "This is the link you made before")
		second := goTo(ada, "Jane Doe", "Reset Password")
		require.Equal(t, link, linkOn(t, second))
		require.Contains(t, second.Text(), "This is the link you made before")

		bert, _ := otherAdmin(w)
		other := linkOn(t, goTo(bert, "Jane Doe", "Reset Password"))
		require.NotEqual(t, link, other, "another admin gets a link of their own")

		notice := "An administrator made a password reset link for you"
		require.Equal(t, []string{"Reset your password", notice, notice}, mailsTo(w, "jane@acme.example"), "one for each admin, none for pressing again")
		log := ada.Get("/acme/users/" + string(w.Jane.ID)).Text()
		require.Contains(t, log, "Reset Password Link made by you")
		require.Contains(t, log, "Reset Password Link shown to you again")
		require.Contains(t, log, "Reset Password Link made by Bert Boss")

		require.Contains(t, second.Text(), "Made by you")
		require.Contains(t, goTo(ada, "Jane Doe", "Reset Password").Text(), "Made by Bert Boss")
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)
		require.Equal(t, http.StatusOK, w.Browser().Get(other).Status)
	})
}

func TestAnAdminsLinkEndsWithTheLastOfTheOthers(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		w.Clock.Advance(6 * time.Hour)
		askAndResolve(w, "jane@acme.example") // 24 hours from here
		w.Clock.Advance(6 * time.Hour)
		link := linkOn(t, goTo(signedInAdmin(w), "Jane Doe", "Reset Password"))
		ends := func(channel string) int {
			return countOf(w, "SELECT max(ends_at) FROM links WHERE user_id = $1 AND channel = $2", w.Jane.ID, channel)
		}
		require.Equal(t, ends("mail-again"), ends("admin"), "to the microsecond")
		w.Clock.Advance(17 * time.Hour)
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)
		w.Clock.Advance(2 * time.Hour)
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status)
		require.Contains(t, goTo(signedInAdmin(w), "Jane Doe", "Reset Password").Text(), "This user does not have a password reset token.")
	})
}

func TestWithoutATokenTheRemedyIsOneClick(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.Clock.Advance(w.Clock.Now().Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(w.Clock.Now())) // noon
		ada := signedInAdmin(w)
		none := goTo(ada, "Jane Doe", "Reset Password")
		require.Equal(t, http.StatusOK, none.Status)
		require.Equal(t, "This user does not have a password reset token.", none.Heading())
		require.Contains(t, none.Text(), "Jane has never asked for one.")
		require.Zero(t, countOf(w, "SELECT count(*) FROM tokens"), "looking makes nothing")

		shown := none.Press("Send password reset link to Jane Doe now")
		link := linkOn(t, shown)
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)
		mail := w.Mail("jane@acme.example", "Reset your password")
		require.Contains(t, mail.Text, "Ada Admin", "the mail says who had it sent")

		login := w.Browser().Get(mail.LinkTo("/reset-password/")).Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", login.URL.Path)
		again := goTo(ada, "Jane Doe", "Reset Password")
		day := w.Clock.Now().UTC().Format("2006-01-02T")
		for _, page := range []*testkit.Page{again, ada.Get("/acme/users/" + string(w.Jane.ID))} {
			require.Regexp(t, "The last one was used today at [0-9]{2}:[0-9]{2} UTC ?, from ", page.Text())
			require.Regexp(t, `The last one was used <time datetime="`+day+`[^"]*"[^>]* data-moment[^>]*>today`, page.Body)
		}
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status, "using one uses all")
	})
}

func TestAnExpiredTokenSaysWhenItExpired(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		ends := time.UnixMicro(int64(countOf(w, "SELECT ends_at FROM links WHERE channel = 'mail'"))).UTC()
		pages := func() []*testkit.Page {
			ada := signedInAdmin(w)
			return []*testkit.Page{ada.Get("/acme/users/" + string(w.Jane.ID)), goTo(ada, "Jane Doe", "Reset Password")}
		}
		pages() // the second shows a link, which ends with the mailed one
		w.Clock.Advance(25 * time.Hour)
		for _, p := range pages() {
			require.Contains(t, p.Body, `The last one expired <time datetime="`+ends.Format(time.RFC3339)+`"`)
		}
		askAndResolve(w, "jane@acme.example")
		signedInAdmin(w).Get("/acme/users/" + string(w.Jane.ID)).Press("End this link: Mailed again")
		w.Clock.Advance(25 * time.Hour)
		for _, p := range pages() {
			require.NotContains(t, p.Text(), "The last one expired", "an administrator ended it")
		}
	})
}

// TestAnOutdatedFormSaysWhatToDo: the page was opened, and another administrator
// was faster.
func TestAnOutdatedFormSaysWhatToDo(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		twice := func(page *testkit.Page, button, words string) {
			t.Helper()
			require.Equal(t, http.StatusOK, page.Press(button).Status)
			late := page.Press(button)
			require.Equal(t, http.StatusConflict, late.Status)
			require.Contains(t, late.Text(), words)
			require.Equal(t, "Jane Doe", late.Follow("To the user’s page").Heading())
		}
		askAndResolve(w, "jane@acme.example")
		jane := func() *testkit.Page { return ada.Get("/acme/users/" + string(w.Jane.ID)) }
		twice(jane(), "End this link: Mailed", "This link has already ended. The user’s page shows those that still work.")
		twice(goTo(ada, "Jane Doe", "Deactivate"), "Deactivate Jane Doe", "Jane Doe is already deactivated. There is nothing left to do.")
		twice(jane().Choose("Action for Jane Doe", "Activate"), "Go", "Jane Doe is not deactivated. There is nothing left to do.")

		invited := invite(w, "nora@acme.example", "Nora New")
		late := ada.Get("/acme/users/"+string(invited.ID)).Choose("Action for Nora New", "Resend invitation")
		setPassword(w, w.Mail("nora@acme.example", "You are invited").LinkTo("/reset-password/"), "x", newPassphrase)
		require.Contains(t, late.Press("Go").Text(), "Nora New has already accepted the invitation. To help with the password choose Send password reset link.")
	})
}

// TestAnOutdatedEditChangesOnlyWhatWasChanged: the form was opened, then another
// administrator was faster.
func TestAnOutdatedEditChangesOnlyWhatWasChanged(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		bert := w.AddUser(w.Acme, "bert@acme.example", "Bert Boss", access.ClientAdmin)
		ada := signedInAdmin(w)
		at := "/acme/users/" + string(bert.ID)
		edit := func() *testkit.Page { return ada.Get(at + "/edit") }
		is := func(name string, role access.Role) {
			t.Helper()
			page := edit()
			require.Equal(t, name, page.Value("Name"))
			require.Contains(t, page.Body, `value="`+string(role)+`" checked`)
		}
		early := edit()
		_, err := w.App.UserManager.Edit(w.Ctx(), access.Operator(), w.Acme, bert.ID, usermanager.Change{Name: bert.Name, Email: bert.Email, Role: access.Member})
		require.NoError(t, err)
		early.Fill("Name", "Bert Best").Press("Save")
		is("Bert Best", access.Member)

		early = edit()
		edit().Fill("Name", "Albert Best").Press("Save")
		late := early.Fill("Email", "nonsense").Press("Save")
		require.Equal(t, http.StatusUnprocessableEntity, late.Status)
		late.Fill("Email", "bert@acme.example").Press("Save")
		is("Albert Best", access.Member) // also after a mistake
	})
}

func TestMintAlwaysYieldsALink(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"admin_links": "mint", "link_life": "30m"})
		ada := signedInAdmin(w)
		link := linkOn(t, goTo(ada, "Jane Doe", "Reset Password"))
		require.Equal(t, link, linkOn(t, goTo(ada, "Jane Doe", "Reset Password")))
		require.Equal(t, []string{"An administrator made a password reset link for you"}, mailsTo(w, "jane@acme.example"))
		w.Clock.Advance(29 * time.Minute)
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)
		w.Clock.Advance(2 * time.Minute)
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status, "a full life, and no more")
		require.NotEqual(t, link, linkOn(t, goTo(ada, "Jane Doe", "Reset Password")))
	})
}

// TestNoReadShowsALink looks everywhere for the secret part.
func TestNoReadShowsALink(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		mailed := w.Mail("jane@acme.example", "Reset your password")
		ada := signedInAdmin(w)
		page := goTo(ada, "Jane Doe", "Reset Password")
		link := linkOn(t, page)
		require.Equal(t, "no-store", page.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", page.Header.Get("Referrer-Policy"))
		require.NotContains(t, page.URL.String(), "reset-password", "the answer to the POST is the page itself")
		w.Browser().Get(link)

		at := "/acme/users/" + string(w.Jane.ID)
		shown, err := w.App.UserManager.Show(w.Ctx(), access.Operator(), w.Acme, "jane@acme.example")
		require.NoError(t, err)
		all := fmt.Sprintf("%+v", shown) + w.Log.String() + strings.Join(flat(everyRow(w)), "\n")
		for _, address := range []string{"/acme/users", "/acme/users?q=jane", at, at + "?only=mail", at + "?only=security", at + "/edit", "/acme/session", "/acme/account"} {
			got := ada.Get(address)
			require.Equal(t, http.StatusOK, got.Status, address)
			all += got.Body
		}
		for what, secret := range map[string]string{"the admin's link": last(link), "the mailed link": last(mailed.LinkTo("/reset-password/")), "the not-me link": last(mailed.LinkTo("/not-me/"))} {
			require.NotEmpty(t, secret, what)
			require.NotContains(t, all, secret, what)
			require.NotContains(t, all, secret[16:], "nor its proof: %s", what)
		}
		require.NotContains(t, all, mailed.Code())
	})
}

func last(address string) string { return address[strings.LastIndexByte(address, '/')+1:] }

func flat(rows map[string][]string) []string {
	var all []string
	for _, lines := range rows {
		all = append(all, lines...)
	}
	return all
}

// TestWhoIsNoLongerAnAdminHasNoLiveLink: their links end with the right to make them.
func TestWhoIsNoLongerAnAdminHasNoLiveLink(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"admin_links": "mint"})
		ada := signedInAdmin(w)
		for i, how := range []struct {
			name string
			end  func(u user.User)
		}{
			{"deactivated", func(u user.User) {
				ada.Post("/acme/users/"+string(u.ID), fields("action", "deactivate", "confirm", "yes"))
			}},
			{"demoted", func(u user.User) {
				ada.Post("/acme/users/"+string(u.ID)+"/edit", fields("name", u.Name, "role", "helpdesk"))
			}},
			{"deleted", func(u user.User) { ada.Post("/acme/users/"+string(u.ID), fields("action", "delete", "confirm", "yes")) }},
			{"reset", func(u user.User) {
				own := linkOn(t, goTo(ada, u.Name, "Reset Password"))
				w.Browser().Get(own).Fill("New password", newPassphrase).Press("Set new password")
			}},
		} {
			u := w.AddUser(w.Acme, fmt.Sprintf("boss%d@acme.example", i), "Boss "+how.name, access.ClientAdmin)
			b := w.Browser()
			b.SignIn(u.Email, testkit.Passphrase)
			link := linkOn(t, goTo(b, "Jane Doe", "Reset Password"))
			require.Equal(t, http.StatusOK, w.Browser().Get(link).Status, how.name)
			how.end(u)
			dead := w.Browser().Get(link)
			require.Equal(t, http.StatusGone, dead.Status, how.name)
			require.Contains(t, dead.Text(), "the administrator who made it may no longer do so", how.name)
			require.Equal(t, "/acme/login", b.Get("/acme/users").URL.Path, "%s: the session is over, too", how.name)
		}
	})
}

func TestASuspendedEnvironmentShowsNoLinks(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		ada := signedInAdmin(w)
		link := linkOn(t, goTo(ada, "Jane Doe", "Reset Password"))
		require.NoError(t, w.App.Settings.Suspend(w.Ctx(), access.Operator(), w.Acme))
		idle(w)
		before := everyRow(w)
		require.Equal(t, "/acme/login", ada.Post("/acme/users/"+string(w.Jane.ID), fields("action", "reset-password")).URL.Path)
		require.Equal(t, http.StatusServiceUnavailable, w.Browser().Get(link).Status)
		require.Empty(t, differences(before, everyRow(w)))
		require.NoError(t, w.App.Settings.Resume(w.Ctx(), access.Operator(), w.Acme))
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)
		require.Equal(t, link, linkOn(t, goTo(ada, "Jane Doe", "Reset Password")), "nothing was rewritten")
	})
}

// TestGoResolvesWhatStillWaits: on a server whose jobs do not run, the asking is
// answered and the admin finds the token at once.
func TestGoResolvesWhatStillWaits(t *testing.T) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		w := withoutJobs(t, engine)
		require.Equal(t, http.StatusOK, ask(w.Browser(), "jane@acme.example").Status)
		require.Zero(t, countOf(w, "SELECT count(*) FROM tokens"), "nobody has resolved it yet")
		link := linkOn(t, goTo(signedInAdmin(w), "Jane Doe", "Reset Password"))
		require.Equal(t, http.StatusOK, w.Browser().Get(link).Status)

		stop := w.App.StartJobs()
		defer stop()
		idle(w)
		require.Equal(t, 1, countOf(w, "SELECT count(*) FROM tokens"), "the job found it done")
		require.Equal(t, 1, countOf(w, "SELECT count(*) FROM messages WHERE kind = 'reset'"), "and mailed no second link")
	})
}

// TestCancelResolvesWhatStillWaits: what is cancelled does not come back a moment later.
func TestCancelResolvesWhatStillWaits(t *testing.T) {
	t.Parallel()
	w := withoutJobs(t, "sqlite")
	require.Equal(t, http.StatusOK, ask(w.Browser(), "jane@acme.example").Status)
	ada := signedInAdmin(w)
	require.Contains(t, ada.Post("/acme/users/"+string(w.Jane.ID), fields("action", "cancel-token", "confirm", "yes")).Text(), "is cancelled")
	stop := w.App.StartJobs()
	defer stop()
	idle(w)
	require.Zero(t, countOf(w, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL"))
	require.Equal(t, 1, countOf(w, "SELECT count(*) FROM messages WHERE state = 'not needed'"), "its mail is not sent")
}

// withoutJobs is a world in which nobody works on the outbox.
func withoutJobs(t *testing.T, engine string) *testkit.World {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	public, err := url.Parse(at)
	require.NoError(t, err)
	w := &testkit.World{T: t, Engine: engine, Clock: &testkit.Clock{}, URL: at}
	w.Config = config.Config{URL: public, Database: testkit.Database(t, engine), KeyFile: filepath.Join(t.TempDir(), "sparekey.key")}
	box, err := inbox.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = box.Close() })
	w.Config.SMTP, w.Config.MailFrom.Address = "smtp://"+box.Addr()+"?tls=none", "no-reply@sparekey.example"
	w.App, err = app.New(t.Context(), w.Config, testkit.Options(w.Clock))
	require.NoError(t, err)
	server.Config.Handler = w.App.Handler()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		_ = w.App.Close()
	})
	w.Acme, err = w.App.Settings.Create(w.Ctx(), access.Operator(), "acme", "Acme")
	require.NoError(t, err)
	w.Admin = w.AddUser(w.Acme, "admin@acme.example", "Ada Admin", access.ClientAdmin)
	w.Jane = w.AddUser(w.Acme, "jane@acme.example", "Jane Doe", access.Member)
	return w
}

func TestDeactivateAndActivate(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		jane, ada := w.Browser(), signedInAdmin(w)
		jane.SignIn("jane@acme.example", testkit.Passphrase)
		question := goTo(ada, "Jane Doe", "Deactivate")
		require.Equal(t, "Deactivate Jane Doe", question.Heading())
		require.Contains(t, question.Text(), "Ends 1 session of Jane Doe.")
		require.Equal(t, "/acme/users/"+string(w.Jane.ID)+"/deactivate", question.URL.Path, "where the back button leads")
		require.Equal(t, http.StatusNotFound, ada.Get("/acme/users/"+string(w.Jane.ID)+"/promote").Status)
		require.Equal(t, "/acme/account", jane.Get("/acme/account").URL.Path, "asking back does nothing yet")
		require.Contains(t, question.Press("Deactivate Jane Doe").Text(), "Jane Doe is deactivated.")

		require.Equal(t, "/acme/login", jane.Get("/acme/account").URL.Path)
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status)
		require.Equal(t, http.StatusUnprocessableEntity, w.Browser().SignIn("jane@acme.example", testkit.Passphrase).Status)
		w.Inbox.Clear()
		askAndResolve(w, "jane@acme.example")
		require.Empty(t, mailsTo(w, "jane@acme.example"))
		require.Contains(t, ada.Get("/acme/users/"+string(w.Jane.ID)).Text(), "no mail, the account is deactivated")

		require.Contains(t, goTo(ada, "Jane Doe", "Activate").Text(), "Jane Doe is activated.")
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status, "what ended stays ended")
		require.Equal(t, "/acme/account", w.Browser().SignIn("jane@acme.example", testkit.Passphrase).URL.Path)
	})
}

func TestDeleteLeavesNoPerson(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		jane, ada := w.Browser(), signedInAdmin(w)
		jane.SignIn("jane@acme.example", testkit.Passphrase)
		gone := goTo(ada, "Jane Doe", "Delete").Press("Delete Jane Doe")
		require.Equal(t, "/acme/users", gone.URL.Path)
		require.Contains(t, gone.Text(), "Jane Doe is deleted.")
		require.False(t, gone.Has("Jane Doe"))
		require.Equal(t, "/acme/login", jane.Get("/acme/account").URL.Path)
		require.Equal(t, http.StatusNotFound, ada.Get("/acme/users/"+string(w.Jane.ID)).Status)
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status)
		idle(w)
		require.Positive(t, countOf(w, "SELECT count(*) FROM events WHERE user_id = $1", w.Jane.ID), "what happened stays")
		rows := everyRow(w)
		delete(rows, "throttle") // limits on asking hold for whoever types the address, and end by themselves
		for table, rows := range rows {
			for _, row := range rows {
				require.NotContains(t, row, "Jane Doe", table)
				require.NotContains(t, row, "jane@acme.example", table)
			}
		}
		again := invited(w, "jane@acme.example", "Jane Doe", access.Member)
		require.NotEqual(t, w.Jane.ID, again.ID, "the address is free")
	})
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		here, there, help := w.Browser(), w.Browser(), w.Browser()
		here.SignIn("jane@acme.example", testkit.Passphrase)
		there.SignIn("jane@acme.example", testkit.Passphrase)
		help.SignIn(w.Help.Email, testkit.Passphrase)
		other := goTo(help, "Jane Doe", "End sessions") // a second tab
		question := goTo(help, "Jane Doe", "End sessions")
		require.Contains(t, question.Text(), "Ends 2 sessions of Jane Doe.")
		require.Contains(t, question.Press("End the sessions of Jane Doe").Text(), "Jane Doe is signed out: 2 sessions ended.")
		require.Equal(t, "/acme/login", here.Get("/acme/account").URL.Path)
		require.Equal(t, "/acme/login", there.Get("/acme/account").URL.Path)
		require.NotContains(t, help.Get("/acme/users").Options("Action for Jane Doe"), "End sessions", "there are none")
		require.NotContains(t, help.Get("/acme/users/"+string(w.Jane.ID)).Options("Action for Jane Doe"), "End sessions")
		require.Contains(t, other.Press("End the sessions of Jane Doe").Text(), "Jane Doe was not signed in anywhere.")
		here.SignIn("jane@acme.example", testkit.Passphrase)
		require.Contains(t, goTo(help, "Jane Doe", "End sessions").Press("End the sessions of Jane Doe").Text(), "1 session ended.")
	})
}

func TestCancelTheTokenAndEndOneLink(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		mail := w.Mail("jane@acme.example", "Reset your password")
		mailed := mail.LinkTo("/reset-password/")
		ada := signedInAdmin(w)
		made := linkOn(t, goTo(ada, "Jane Doe", "Reset Password"))

		at := "/acme/users/" + string(w.Jane.ID)
		ended := ada.Get(at).Press("End this link: Made by Ada Admin")
		require.Contains(t, ended.Text(), "The link is ended.")
		require.Equal(t, http.StatusGone, w.Browser().Get(made).Status)
		require.Equal(t, http.StatusOK, w.Browser().Get(mailed).Status, "the other goes on")
		fresh := linkOn(t, goTo(ada, "Jane Doe", "Reset Password"))
		require.NotEqual(t, made, fresh)

		question := goTo(ada, "Jane Doe", "Cancel reset token")
		require.Contains(t, question.Text(), "Ends all live links of Jane Doe.")
		require.Contains(t, question.Press("Cancel the reset token of Jane Doe").Text(), "None of its links work any more.")
		for _, link := range []string{mailed, made, fresh} {
			require.Equal(t, http.StatusGone, w.Browser().Get(link).Status)
		}
		code := w.Browser().Post("/acme/reset-password", fields("email", "jane@acme.example", "code", mail.Code()))
		require.Equal(t, http.StatusUnprocessableEntity, code.Status)
		none := goTo(ada, "Jane Doe", "Reset Password")
		require.Contains(t, none.Text(), "an administrator cancelled it")
		require.Equal(t, http.StatusConflict, ada.Post(at, fields("action", "cancel-token", "confirm", "yes")).Status)
		require.Equal(t, http.StatusBadRequest, ada.Post(at, fields("action", "explode")).Status)
	})
}

func TestInvitingAndAccepting(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		_, err := w.App.UserManager.Create(w.Ctx(), access.Operator(), w.Acme, usermanager.New{Email: "ivy@acme.example", Name: "Ivy Invited"})
		require.NoError(t, err)
		first := w.Mail("ivy@acme.example", "You are invited to Acme").LinkTo("/reset-password/")
		w.Inbox.Clear()
		help := w.Browser()
		help.SignIn(w.Help.Email, testkit.Passphrase)
		require.Contains(t, goTo(help, "Ivy Invited", "Resend invitation").Text(), "The invitation is on its way to ivy@acme.example.")
		again := w.Mail("ivy@acme.example", "You are invited to Acme")
		require.Empty(t, again.Code(), "an invitation has no code")
		second := again.LinkTo("/reset-password/")
		require.NotEqual(t, first, second)
		require.Equal(t, http.StatusUnprocessableEntity, w.Browser().SignIn("ivy@acme.example", newPassphrase).Status)

		w.Clock.Advance(6 * 24 * time.Hour)
		login := w.Browser().Get(first).Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", login.URL.Path, "a second mail does not break the first")
		require.Equal(t, "/acme/account", login.Fill("Password", newPassphrase).Press("Log in").URL.Path)
		require.Equal(t, http.StatusGone, w.Browser().Get(second).Status)
		help = w.Browser()
		help.SignIn(w.Help.Email, testkit.Passphrase)
		require.NotContains(t, help.Get("/acme/users?q=ivy").Options("Action for Ivy Invited"), "Resend invitation")
	})
}

func TestTheLastClientAdminStays(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		bert, boss := otherAdmin(w)
		at := "/acme/users/" + string(w.Admin.ID)
		require.Equal(t, http.StatusOK, bert.Post(at, fields("action", "deactivate", "confirm", "yes")).Status)
		// Bert is the last; an operator takes nobody's word for it either.
		_, _, err := w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, boss.ID)
		require.ErrorContains(t, err, "Bert Boss is the last active Client Admin of Acme.")
		_, err = w.App.UserManager.Delete(w.Ctx(), access.Operator(), w.Acme, boss.ID)
		require.ErrorContains(t, err, "last active Client Admin")
		_, err = w.App.UserManager.Edit(w.Ctx(), access.Operator(), w.Acme, boss.ID, usermanager.Change{Name: boss.Name, Email: boss.Email, Role: access.Member})
		require.ErrorContains(t, err, "last active Client Admin")
		require.Equal(t, http.StatusOK, bert.Post(at, fields("action", "delete", "confirm", "yes")).Status, "a deactivated one is not the last")
	})
}

// TestTwoAdminsWhoRemoveEachOther at once: one stays.
func TestTwoAdminsWhoRemoveEachOther(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		bert, boss := otherAdmin(w)
		ada := signedInAdmin(w)
		done := make(chan int, 2)
		remove := func(b *testkit.Browser, who user.User) {
			done <- sendRaw(w, http.MethodPost, "/acme/users/"+string(who.ID), fields("action", "deactivate", "confirm", "yes"), b.Cookies()).StatusCode
		}
		go remove(ada, boss)
		go remove(bert, w.Admin)
		first, second := <-done, <-done
		require.True(t, first == http.StatusSeeOther || second == http.StatusSeeOther, "%d %d", first, second)
		require.Equal(t, 1, countOf(w, "SELECT count(*) FROM users WHERE role = 'client-admin' AND state = 'active'"))
	})
}

func TestAdminsSendFiveLinksAnHour(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		at := "/acme/users/" + string(w.Jane.ID)
		for range 5 {
			require.Equal(t, http.StatusOK, ada.Post(at, fields("action", "send-reset-link")).Status)
		}
		refused := ada.Post(at, fields("action", "send-reset-link"))
		require.Equal(t, http.StatusTooManyRequests, refused.Status)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
		require.Contains(t, refused.Text(), "Choose Reset Password to give the link another way.")
		require.Equal(t, "Reset Password Link", goTo(ada, "Jane Doe", "Reset Password").Heading())
		w.Clock.Advance(61 * time.Minute)
		require.Equal(t, http.StatusOK, ada.Post(at, fields("action", "send-reset-link")).Status)
	})
}
