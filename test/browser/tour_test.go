package browser_test

import (
	"net/http/httptest"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// look is what is done with every screen of a tour.
type look func(name string, b *Tab)

// outside walks over the screens of somebody who is not signed in.
func (s *Stage) outside(see look) {
	b := s.profile(safariOnIPhone, 70)
	b.Open("/acme/login")
	see("login", b)
	b.Fill("Email", "amara.okafor@acme.example")
	b.Fill("Password", "not the right one")
	b.Press("Log in")
	see("login-refused", b)
	for range 12 {
		s.person(edgeOnWindows, 71).SignIn("amara.okafor@acme.example", "not the right one")
	}
	b.Fill("Password", "not the right one")
	b.Press("Log in")
	see("login-slowed-down", b)

	b.Open("/acme/forgot-password")
	see("forgot-password", b)
	eval[any](b, `() => { document.getElementById("email").removeAttribute("pattern"); return null }`)
	b.Fill("Email", "leila.haddad")
	b.Press("Send password reset link")
	see("forgot-password-refused", b)
	b.Fill("Email", "leila.haddad@acme.example")
	b.Press("Send password reset link")
	see("check-your-mail", b)
	mail := s.Mail("leila.haddad@acme.example", "Reset your password")
	b.Fill("Code", "00000000")
	b.Press("Continue")
	see("code-refused", b)
	b.Open("/acme/reset-password")
	see("code", b)
	s.links(see, b, mail.LinkTo("/reset-password/"), mail.LinkTo("/not-me/"))
	b.Open("/acme/nowhere")
	see("no-such-page", b)
	b.Open("/elsewhere/login")
	see("no-such-environment", b)
}

// links walks over what a link can lead to.
func (s *Stage) links(see look, b *Tab, link, notMe string) {
	b.Open(link[:len(link)-4])
	see("link-incomplete", b)
	last := "0"
	if strings.HasSuffix(link, last) {
		last = "2"
	}
	b.Open(link[:len(link)-1] + last)
	see("link-damaged", b)
	b.Open(notMe)
	see("not-me", b)
	b.Open(link)
	see("reset-password", b)
	b.Fill("New password", "leila leila")
	b.Press("Set new password")
	see("reset-password-refused", b)
	b.Fill("New password", newPassphrase)
	b.Press("Set new password")
	see("login-password-set", b)
	b.Open(link)
	see("link-used", b)
	changed := s.Mail("leila.haddad@acme.example", "Your password was changed").LinkTo("/not-me/")
	b.Open(changed)
	see("not-me-password-set", b)
	b.Press("This wasn’t me")
	see("not-me-done", b)
	b.Open(changed)
	see("not-me-over", b)

	require.NoError(s.t, s.invite("otto.krueger@acme.example", "Otto Krüger"))
	b.Open(s.Mail("otto.krueger@acme.example", "You are invited").LinkTo("/reset-password/"))
	see("welcome", b)
}

func (s *Stage) invite(email, name string) error {
	_, err := s.App.UserManager.Create(s.Ctx(), access.Operator(), s.Acme, usermanager.New{Email: email, Name: name})
	return err
}

// member walks over what a member sees.
func (s *Stage) member(see look) {
	b := s.profile(firefoxOnWindows, 42)
	b.SignIn("jane@acme.example", testkit.Passphrase+" 2")
	see("account", b)
	b.Fill("Name", " ")
	b.Press("Save name")
	see("account-refused", b)
	b.Open("/acme/account")
	b.Fill("Email", "jane.doe@home.example")
	b.Fill("Current password, to change the address", testkit.Passphrase+" 2")
	b.Press("Change address")
	see("account-address-asked", b)
	b.Open("/acme/users")
	see("not-allowed", b)
	confirm := s.Mail("jane.doe@home.example", "Confirm").LinkTo("/confirm-address/")
	b.Open(confirm)
	see("address-confirm", b)
	b.Open("/acme/account")
	b.Press("Keep the old address")
	b.Press("Log out")
	see("login-signed-out", b)
	b.Open(confirm)
	see("address-confirm-over", b)
}

// admin walks over what a Client Admin sees.
func (s *Stage) admin(see look) {
	b := s.profile(firefoxOnWindows, 1)
	b.SignIn("admin@acme.example", testkit.Passphrase)
	see("user-manager", b)
	b.Open("/acme/users?q=jane")
	see("user-manager-search", b)
	b.Open("/acme/users?q=zebra")
	see("user-manager-nobody", b)
	s.tokens(see, b)
	b.Open(s.user("Amara Okafor"))
	see("user-mail", b)
	b.Open(s.user("Daniel O’Connor"))
	see("user-refused-mail", b)
	b.Open(s.user("Nina Petrović"))
	see("user-invited", b)
	b.Open(s.user("Jane Doe") + "/edit")
	see("user-edit", b)
	s.confirmations(see, b)
	b.Open("/acme/users/new")
	see("user-new", b)
	b.Fill("Name", "Jane Doe")
	b.Fill("Email", "jane@acme.example")
	b.Press("Create user")
	see("user-new-refused", b)
	b.Open("/acme/settings")
	see("settings", b)
	b.Fill("Accent colour", "#ffee00")
	b.Press("Save settings")
	see("settings-refused", b)
	b.Open("/acme/users/0198a8a0-0000-7000-8000-000000000000")
	see("no-such-user", b)
	b.Open("/acme/account")
	see("account-admin", b)
}

// tokens walks over Reset Password -> Go, without a token and with one.
func (s *Stage) tokens(see look, b *Tab) {
	reset := func() {
		b.Open("/acme/users?q=jane@")
		b.Choose("Action for Jane Doe", "Reset Password")
		b.PressBeside("Action for Jane Doe", "Go")
	}
	reset()
	see("no-token", b)
	s.ask("jane@acme.example", 41)
	s.settled("Jane Doe", 4)
	s.Clock.Advance(3 * time.Minute)
	reset()
	see("reset-password-link", b)
	s.settled("Jane Doe", 5)
	s.Clock.Advance(2 * time.Minute)
	b.Open(s.user("Jane Doe"))
	see("user", b)
	b.Open(s.user("Jane Doe") + "?only=security")
	see("user-security", b)
}

func (s *Stage) confirmations(see look, b *Tab) {
	s.profile(firefoxOnWindows, 42).SignIn("jane@acme.example", testkit.Passphrase+" 2") // sessions to end
	for words, name := range map[string]string{
		"Cancel reset token": "confirm-cancel-token", "End sessions": "confirm-end-sessions", "Deactivate": "confirm-deactivate", "Delete": "confirm-delete",
	} {
		b.Open(s.user("Jane Doe"))
		b.Choose("Action for Jane Doe", words)
		b.Press("Go")
		see(name, b)
	}
}

// later walks over what has ended by time or by others, and ends the stage.
func (s *Stage) later(see look) {
	b := s.profile(chromeOnAndroid, 72)
	s.ask("wei.chen@acme.example", 72)
	expired := s.Mail("wei.chen@acme.example", "Reset your password").LinkTo("/reset-password/")
	s.ask("elodie.marchand@acme.example", 72)
	cancelled := s.Mail("elodie.marchand@acme.example", "Reset your password").LinkTo("/reset-password/")
	_, err := s.App.Recovery.CancelToken(s.Ctx(), access.Operator(), s.Acme, s.ids["Élodie Marchand"])
	require.NoError(s.t, err)
	b.Open(cancelled)
	see("link-cancelled", b)
	s.settled("Wei Chen", 1)
	s.settled("Élodie Marchand", 1)
	s.Clock.Advance(25 * time.Hour)
	b.Open(expired)
	see("link-expired", b)
	b.Press("Send a new link")
	see("link-sent-again", b)

	inbox := httptest.NewServer(s.Inbox.Handler("/"))
	s.t.Cleanup(inbox.Close)
	b.Open(inbox.URL + "/")
	see("inbox", b)

	require.NoError(s.t, s.App.Settings.Suspend(s.Ctx(), access.Operator(), s.Acme))
	b.Open("/acme/login")
	see("login-paused", b)
	b.Open("/acme/forgot-password")
	see("closed", b)
}

// tours are all of them; each needs a stage of its own.
var tours = map[string]func(*Stage, look){
	"outside": (*Stage).outside, "later": (*Stage).later, "member": (*Stage).member, "admin": (*Stage).admin, "operator": (*Stage).operator,
}
