package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

const newPassphrase = "three unrelated words fit"

// ask types an address into "I forgot my password".
func ask(b *testkit.Browser, email string) *testkit.Page {
	return b.Get("/acme/login").Follow("I forgot my password").Fill("Email", email).Press("Send password reset link")
}

func TestTheArticlesWholeWay(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		admin := w.Browser()
		users := admin.SignIn("admin@acme.example", testkit.Passphrase)
		require.Equal(t, "User Manager", users.Heading())
		found := users.Fill("Search users", "jane").Press("Search")
		require.True(t, found.Has("Jane Doe"))

		none := found.Choose("Action for Jane Doe", "Reset Password").PressBeside("Action for Jane Doe", "Go")
		require.Contains(t, none.Text(), "This user does not have a password reset token.")

		window := w.Browser()
		require.Contains(t, ask(window, "jane@acme.example").Text(), "jane@acme.example")

		page := admin.Get("/acme/users?q=jane").Choose("Action for Jane Doe", "Reset Password").PressBeside("Action for Jane Doe", "Go")
		require.Equal(t, "Reset Password Link", page.Heading())
		require.Equal(t, "no-store", page.Header.Get("Cache-Control"))
		link := page.Value("Reset Password Link")
		require.True(t, strings.HasPrefix(link, w.URL+"/acme/reset-password/"), link)

		jane := w.Browser()
		form := jane.Get(link)
		require.Equal(t, http.StatusOK, form.Status)
		login := form.Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", login.URL.Path)
		require.Equal(t, "jane@acme.example", login.Value("Email"))
		in := login.Fill("Password", newPassphrase).Press("Log in")
		require.Equal(t, "/acme/account", in.URL.Path)

		used := jane.Get(link)
		require.Equal(t, http.StatusGone, used.Status)
		require.Equal(t, "This link was already used", used.Heading())
		w.Mail("jane@acme.example", "An administrator made a password reset link for you")
		w.Mail("jane@acme.example", "Your password was changed")
	})
}

func TestTheMailedLinkAndTheCode(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		jane := w.Browser()
		waiting := ask(jane, "jane@acme.example")
		mail := w.Mail("jane@acme.example", "Reset your password")
		require.NotEmpty(t, mail.LinkTo("/reset-password/"))

		form := waiting.Fill("Code", mail.Code()).Press("Continue")
		require.Contains(t, form.URL.Path, "/acme/reset-password/")
		login := form.Fill("New password", newPassphrase).Press("Set new password")
		require.Equal(t, "/acme/login", login.URL.Path)
		require.Equal(t, "/acme/account", login.Fill("Password", newPassphrase).Press("Log in").URL.Path)

		dead := jane.Get(mail.LinkTo("/reset-password/"))
		require.Equal(t, http.StatusGone, dead.Status, "the code used the token, and with it the link")
	})
}
