package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/testkit"
)

func TestCreatingInvites(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		form := ada.Get("/acme/users").Follow("New user")
		made := form.Fill("Name", "  Nina New ").Fill("Email", " nina@ACME.example").Press("Create user")
		require.Contains(t, made.Text(), "Nina New is invited: a mail is on its way to nina@acme.example.")
		require.Equal(t, "Nina New", made.Heading())
		require.Contains(t, made.Text(), "Invited by you")

		accept := w.Browser().Get(w.Mail("nina@acme.example", "You are invited to Acme").LinkTo("/reset-password/"))
		login := accept.Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "nina@acme.example", login.Value("Email"))
		require.Equal(t, "/acme/account", login.Fill("Password", newPassphrase).Press("Log in").URL.Path)

		quiet := ada.Post("/acme/users/new", fields("name", "Quinn Quiet", "email", "quinn@acme.example", "role", "helpdesk"))
		require.Contains(t, quiet.Text(), "No invitation was sent")
		require.Empty(t, mailsTo(w, "quinn@acme.example"))
		goTo(ada, "Quinn Quiet", "Resend invitation")
		require.Equal(t, []string{"You are invited to Acme"}, mailsTo(w, "quinn@acme.example"))
	})
}

func TestAFormThatCameTwiceLeadsToTheUserItMade(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		create := func(name, role string) *testkit.Page {
			return ada.Post("/acme/users/new", fields("name", name, "email", " Nina@acme.example", "role", role, "invite", "yes"))
		}
		first, second := create("Nina New ", "member"), create("Nina New ", "member")
		require.Equal(t, first.URL.Path, second.URL.Path)
		require.Contains(t, second.Text(), "Nina New is invited: a mail is on its way to Nina@acme.example.")
		require.Equal(t, 1, strings.Count(second.Text(), "Invited by you"))
		idle(w)
		require.Len(t, mailsTo(w, "Nina@acme.example"), 1)

		require.Equal(t, http.StatusConflict, create("Nina Newer", "member").Status, "another form")
		require.Equal(t, http.StatusConflict, create("Nina New", "helpdesk").Status)
		w.Clock.Advance(time.Minute + 10*time.Second) // PostgreSQL has a clock of its own, which is measured
		require.Equal(t, http.StatusConflict, create("Nina New", "member").Status, "no double click")
	})
}

func TestAFormSentAgainTellsWhatTheFirstOneDid(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		create := func(email, invite string) string {
			return ada.Post("/acme/users/new", fields("name", "Nina New", "email", email, "role", "member", "invite", invite)).Text()
		}
		invited := "Nina New is invited: a mail is on its way to nina@acme.example."
		require.Contains(t, create("nina@acme.example", "yes"), invited)
		require.Contains(t, create("nina@acme.example", ""), invited, "the box was unticked too late")
		require.Len(t, mailsTo(w, "nina@acme.example"), 1)

		quiet := "No invitation was sent; choose Resend invitation"
		require.Contains(t, create("quiet@acme.example", ""), quiet)
		require.Contains(t, create("quiet@acme.example", "yes"), quiet, "the box was ticked too late")
		require.Empty(t, mailsTo(w, "quiet@acme.example"))
	})
}

func TestAnInvitationToAStoppedAddressIsNotPromised(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			return suppression.Add(tx, w.Acme.ID, suppression.Entry{AddressKey: "nina@acme.example", Class: "no-such-mailbox", Since: tx.Now()})
		}))
		made := signedInAdmin(w).Get("/acme/users").Follow("New user").Fill("Name", "Nina New").Fill("Email", "nina@acme.example").Press("Create user")
		require.Contains(t, made.Text(), "Nina New is created. No mail goes to nina@acme.example at the moment, so nothing was sent.")
		require.NotContains(t, made.Text(), "on its way")

		again := goTo(signedInAdmin(w), "Nina New", "Resend invitation")
		require.Contains(t, again.Text(), "nothing was sent. Correct the address, or allow mail to it again.")
		require.NotContains(t, again.Text(), "choose Reset Password", "which is not offered for who has no account yet")
	})
}

func TestWhatCannotBeCreated(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		idle(w)
		before := everyRow(w)
		for _, test := range []struct {
			name, email, role string
			status            int
			says              []string
		}{
			{"", "", "member", 422, []string{"Enter a name.", "This is not a complete e-mail address."}},
			{"", "x@acme.example", "root", 422, []string{"Enter a name.", "The role is one of"}},
			{strings.Repeat("ü", 101), "x@acme.example", "member", 422, []string{"A name has at most 100 characters"}},
			{"Line\nBreak", "x@acme.example", "member", 422, []string{"all of them printable"}},
			{"X", strings.Repeat("x", 300) + "@acme.example", "member", 422, []string{"This address is too long"}},
			{"X", "x@acme.example, y@acme.example", "member", 422, []string{"a character that an e-mail address cannot have"}},
			{"X", "jane@acme.example", "member", 409, []string{"Another user of this environment has this address"}},
			{"X", "JANE@Acme.Example", "member", 409, []string{"or one that reads the same"}},
			{"X", "ｊａｎｅ@acme.example", "member", 409, []string{"or one that reads the same"}},
		} {
			page := ada.Post("/acme/users/new", fields("name", test.name, "email", test.email, "role", test.role, "invite", "yes"))
			require.Equal(t, test.status, page.Status, "%+v", test)
			require.Equal(t, "New user", page.Heading())
			for _, words := range test.says {
				require.Contains(t, page.Text(), words)
			}
			if len(test.email) < 200 {
				require.Equal(t, test.email, page.Value("Email"), "what was typed stays")
			}
		}
		require.Empty(t, differences(before, everyRow(w)))
		require.Equal(t, http.StatusRequestEntityTooLarge, ada.Post("/acme/users/new", fields("name", strings.Repeat("x", 10<<20))).Status)
	})
}

func TestANewNameIsSavedAndFound(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		form := goTo(ada, "Jane Doe", "Edit")
		require.Equal(t, "Edit Jane Doe", form.Heading())
		saved := form.Fill("Name", "Jane Smith-Doe").Press("Save")
		require.Contains(t, saved.Text(), "The name is saved.")
		require.Equal(t, "Jane Smith-Doe", saved.Heading())
		require.Equal(t, []string{"Jane Smith-Doe"}, namesOf(ada.Get("/acme/users?q=smith")))
		require.Contains(t, goTo(ada, "Jane Smith-Doe", "Edit").Press("Save").Text(), "Nothing was different.")
		refused := goTo(ada, "Jane Smith-Doe", "Edit").Fill("Name", " ").Press("Save")
		require.Equal(t, http.StatusUnprocessableEntity, refused.Status)
		require.Contains(t, refused.Text(), "Enter a name.")
	})
}

func TestAChangedRoleCountsAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		jane, ada := w.Browser(), signedInAdmin(w)
		require.Equal(t, "/acme/account", jane.SignIn("jane@acme.example", testkit.Passphrase).URL.Path)
		at := "/acme/users/" + string(w.Jane.ID)
		saved := ada.Post(at+"/edit", fields("name", "Jane Doe", "email", "jane@acme.example", "role", "helpdesk"))
		require.Contains(t, saved.Text(), "Jane Doe is now Help desk.")
		require.Contains(t, saved.Text(), "from member")

		require.Equal(t, "/acme/login", jane.Get("/acme/account").URL.Path)
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status)
		require.Equal(t, "/acme/users", jane.SignIn("jane@acme.example", testkit.Passphrase).URL.Path)
		require.Equal(t, http.StatusUnprocessableEntity, ada.Post(at+"/edit", fields("name", "Jane Doe", "role", "operator")).Status)

		help := w.Browser()
		help.SignIn(w.Help.Email, testkit.Passphrase)
		other := w.AddUser(w.Acme, "mia@acme.example", "Mia Member", access.Member)
		require.Equal(t, http.StatusForbidden, help.Post("/acme/users/"+string(other.ID)+"/edit", fields("name", "X", "role", "client-admin")).Status)
		require.Equal(t, http.StatusForbidden, help.Get("/acme/users/"+string(other.ID)+"/edit").Status)
	})
}

func TestAChangedAddressCountsOnceItIsConfirmed(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada, jane := signedInAdmin(w), w.Browser()
		jane.SignIn("jane@acme.example", testkit.Passphrase)
		saved := goTo(ada, "Jane Doe", "Edit").Fill("Email", "jd@acme.example").Press("Save")
		require.Contains(t, saved.Text(), "We sent a link to jd@acme.example; the new address counts once it is opened.")
		require.Contains(t, saved.Text(), "jd@acme.example not confirmed")
		told := w.Mail("jane@acme.example", "Your e-mail address is to be changed")
		require.Contains(t, told.Text, "jd@acme.example")
		require.NotEmpty(t, told.LinkTo("/not-me/"))
		confirm := w.Mail("jd@acme.example", "Confirm your new e-mail address").LinkTo("/confirm-address/")

		require.Equal(t, "/acme/account", jane.Get("/acme/account").URL.Path, "nothing counts yet")
		require.Equal(t, http.StatusUnprocessableEntity, w.Browser().SignIn("jd@acme.example", testkit.Passphrase).Status)
		w.Inbox.Clear()
		askAndResolve(w, "jd@acme.example")
		require.Empty(t, mailsTo(w, "jd@acme.example"), "nor in recovery")
		askAndResolve(w, "jane@acme.example")
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")

		page := w.Browser().Get(confirm)
		require.Equal(t, http.StatusOK, page.Status)
		require.Equal(t, http.StatusUnprocessableEntity, w.Browser().SignIn("jd@acme.example", testkit.Passphrase).Status, "opening alone changes nothing")
		login := page.Press("Use this address")
		require.Equal(t, "/acme/login", login.URL.Path)
		require.Equal(t, "jd@acme.example", login.Value("Email"))
		require.Equal(t, "/acme/account", login.Fill("Password", testkit.Passphrase).Press("Log in").URL.Path)
		require.Equal(t, http.StatusUnprocessableEntity, w.Browser().SignIn("jane@acme.example", testkit.Passphrase).Status)
		require.Equal(t, "/acme/login", jane.Get("/acme/account").URL.Path, "sessions end")
		require.Equal(t, http.StatusGone, w.Browser().Get(link).Status, "and the live token")
		require.Contains(t, w.Browser().Get(confirm).Text(), "Your address is confirmed already")
		require.Equal(t, []string{"Jane Doe"}, namesOf(ada.Get("/acme/users?q=jd@acme.example")))
	})
}

func TestOnlyTheLastAddressAskedForCanBeConfirmed(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		at := "/acme/users/" + string(w.Jane.ID) + "/edit"
		ada.Post(at, fields("name", "Jane Doe", "email", "first@acme.example"))
		first := w.Mail("first@acme.example", "Confirm").LinkTo("/confirm-address/")
		ada.Post(at, fields("name", "Jane Doe", "email", "second@acme.example"))
		second := w.Mail("second@acme.example", "Confirm").LinkTo("/confirm-address/")
		require.Equal(t, http.StatusGone, w.Browser().Get(first).Status)

		taken := ada.Post(at, fields("name", "Jane Doe", "email", "Helpdesk@acme.example"))
		require.Equal(t, http.StatusConflict, taken.Status)
		require.Contains(t, taken.Text(), "Another user of this environment has this address")
		w.AddUser(w.Acme, "second@acme.example", "Sven Second", access.Member) // somebody was quicker
		late := w.Browser().Get(second)
		if late.Has("Use this address") {
			late = late.Press("Use this address")
		}
		require.GreaterOrEqual(t, late.Status, 400)
		require.Equal(t, []string{"Jane Doe"}, namesOf(ada.Get("/acme/users?q=jane@acme.example")), "nothing changed")

		w.Clock.Advance(73 * time.Hour)
		require.Equal(t, http.StatusGone, w.Browser().Get(second).Status)
	})
}

// TestAnInvitedPersonsAddressMayChange, since the first one is often the mistake.
func TestAnInvitedPersonsAddressMayChange(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ivy := invited(w, "ivy@acme.exmaple", "Ivy Invited", access.Member)
		ada := signedInAdmin(w)
		ada.Post("/acme/users/"+string(ivy.ID)+"/edit", fields("name", "Ivy Invited", "email", "ivy@acme.example"))
		page := w.Browser().Get(w.Mail("ivy@acme.example", "Confirm").LinkTo("/confirm-address/")).Press("Use this address")
		require.Contains(t, page.Text(), "The invitation is on its way")
		link := w.Mail("ivy@acme.example", "You are invited").LinkTo("/reset-password/")
		require.Equal(t, "/acme/login", w.Browser().Get(link).Fill("New password", newPassphrase).Press("Set new password").URL.Path)
	})
}
