package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
)

// reset picks Reset Password for somebody and presses Go.
func reset(b *testkit.Browser, name string) *testkit.Page {
	label := "Action for " + name
	return b.Get("/acme/users").Choose(label, "Reset Password").PressBeside(label, "Go")
}

func TestASecondClientAdminAgreesWherePolicyWantsIt(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.AddUser(w.Acme, "bert@acme.example", "Bert Boss", access.ClientAdmin)
		w.AddUser(w.Acme, "cleo@acme.example", "Cleo Chief", access.ClientAdmin)
		w.SetPolicy(map[string]string{"second_admin": "on", "admin_links": "mint"})
		ada, bert, cleo := w.Browser(), w.Browser(), w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		bert.SignIn("bert@acme.example", testkit.Passphrase)
		cleo.SignIn("cleo@acme.example", testkit.Passphrase)

		require.Equal(t, "Reset Password Link", reset(ada, "Jane Doe").Heading(), "members need nobody's agreement")

		waits := reset(ada, "Bert Boss")
		require.Equal(t, http.StatusConflict, waits.Status)
		require.Equal(t, "A second Client Admin has to agree", waits.Heading())
		reset(ada, "Bert Boss") // asking twice is one question

		require.NotContains(t, ada.Get("/acme/users").Text(), "Your agreement is asked for", "nobody agrees to their own question")
		require.NotContains(t, bert.Get("/acme/users").Text(), "Your agreement is asked for", "nor to one about themselves")
		question := cleo.Get("/acme/users")
		require.Contains(t, question.Text(), "Ada Admin wants to reset Bert Boss")
		answered := question.Press("Agree to Ada Admin about Bert Boss")
		require.Contains(t, answered.Text(), "You agreed.")
		require.Contains(t, question.Press("Agree to Ada Admin about Bert Boss").Text(), "it was answered, or its time is over. Who asked can ask again.")
		require.NotContains(t, answered.Text(), "Your agreement is asked for")

		require.Equal(t, "Reset Password Link", reset(ada, "Bert Boss").Heading())
		require.Equal(t, http.StatusConflict, reset(cleo, "Bert Boss").Status, "the agreement is Ada's alone")

		w.Clock.Advance(61 * time.Minute)
		require.Equal(t, http.StatusConflict, reset(ada, "Bert Boss").Status, "it holds for an hour")
	})
}

func TestOneClientAdminCannotUndoTheSecond(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		label := "Action for Jane Doe"
		change := fields("second_admin", "on")
		require.Contains(t, ada.Post("/acme/settings", change).Text(), "The settings are saved")
		require.Contains(t, ada.Post("/acme/settings", change).Text(), "Nothing was different.")

		change.Set("second_admin", "off")
		change.Set("link_life", "1h")
		refused := ada.Post("/acme/settings", change)
		require.Equal(t, http.StatusForbidden, refused.Status)
		require.Equal(t, "Settings", refused.Heading())
		require.Contains(t, refused.Text(), "Only an operator switches this off again")
		require.Equal(t, "24h", ada.Get("/acme/settings").Value("A reset link works for"), "refused as a whole")

		for _, form := range []string{"/acme/users/new", "/acme/users/" + string(w.Jane.ID) + "/edit"} {
			page := ada.Get(form)
			require.Contains(t, page.Text(), "Help desk", form)
			require.NotContains(t, page.Text(), "Also creates, edits and deletes users", form)
			require.Contains(t, page.Text(), "an operator adds a Client Admin", form)
		}
		bert := w.AddUser(w.Acme, "bert@acme.example", "Bert Boss", access.ClientAdmin)
		require.Contains(t, ada.Get("/acme/users/"+string(bert.ID)+"/edit").Text(), "Also creates, edits and deletes users", "who is one may stay one")

		sock := fields("email", "sock@acme.example", "name", "Sock Puppet", "role", "client-admin", "invite", "yes")
		made := ada.Post("/acme/users/new", sock)
		require.Equal(t, http.StatusForbidden, made.Status)
		require.Contains(t, made.Text(), "an operator adds a Client Admin")
		edit := ada.Get("/acme/users").Choose(label, "Edit").PressBeside(label, "Go")
		raised := ada.Post(edit.URL.Path, fields("name", "Jane Doe", "email", "jane@acme.example", "role", "client-admin"))
		require.Equal(t, http.StatusForbidden, raised.Status)
		require.Contains(t, raised.Text(), "an operator adds a Client Admin")
		sock.Set("role", "helpdesk")
		require.Contains(t, ada.Post("/acme/users/new", sock).Text(), "Sock Puppet is invited")

		w.SetPolicy(map[string]string{"second_admin": "off"})
		require.Contains(t, ada.Get("/acme/users/new").Text(), "Also creates, edits and deletes users")
		sock.Set("email", "other@acme.example")
		sock.Set("role", "client-admin")
		require.Contains(t, ada.Post("/acme/users/new", sock).Text(), "is invited")
	})
}

func TestADeclinedQuestionGivesNothing(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.AddUser(w.Acme, "bert@acme.example", "Bert Boss", access.ClientAdmin)
		w.AddUser(w.Acme, "cleo@acme.example", "Cleo Chief", access.ClientAdmin)
		w.SetPolicy(map[string]string{"second_admin": "on"})
		ada, cleo := w.Browser(), w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		cleo.SignIn("cleo@acme.example", testkit.Passphrase)

		label := "Action for Bert Boss"
		edit := ada.Get("/acme/users").Choose(label, "Edit").PressBeside(label, "Go")
		waits := edit.Fill("Email", "ada-too@acme.example").Press("Save")
		require.Equal(t, http.StatusConflict, waits.Status, "an address is as strong as a link")

		cleo.Get("/acme/users").Press("Decline Ada Admin about Bert Boss")
		require.Equal(t, http.StatusConflict, reset(ada, "Bert Boss").Status)
		require.Contains(t, cleo.Get("/acme/users").Text(), "Your agreement is asked for", "she asked again")
	})
}
