package lockouts

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// askings: with another address, too often, not at all, or not allowed to.
var askings = []lockout{
	{Cause: "Asked with an old address", Run: func(s *scene) {
		s.is("Mary Miller", "mary@acme.example")
		s.asksAs("mary@old-company.example")
		s.readsTheWaitingPage()
		d := s.adminFindsTheCase("Case " + stillCase + ": a reset link was asked for mary@old-company.example")
		d.reads("Perhaps Mary Miller: same name at acme.example").presses("Send to mary@acme.example")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Asked without the dot in a Gmail address", Run: func(s *scene) {
		s.is("Mary Miller", "mary.miller@gmail.com")
		s.asksAs("marymiller@gmail.com")
		s.readsTheWaitingPage()
		s.adminPresses("Somebody asked for marymiller@gmail.com at TIME. Mary Miller’s address here is mary.miller@gmail.com.", "Send to mary.miller@gmail.com")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Asked with another ending of the domain", Run: func(s *scene) {
		s.asksAs("jane@acme.com")
		s.readsTheWaitingPage()
		s.adminPresses("Somebody asked for jane@acme.com at TIME. Jane Doe’s address here is jane@acme.example.", "Send to jane@acme.example")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Asked with a typo that looks alike", Run: func(s *scene) {
		s.is("Mary Summers", "mary.summers@acme.example")
		s.asksAs("mary.surnmers@acme.example")
		s.readsTheWaitingPage()
		d := s.adminFindsTheCase("Case " + stillCase + ": a reset link was asked for mary.surnmers@acme.example")
		d.reads("Perhaps Mary Summers: reads the same").presses("Send to mary.summers@acme.example")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Jane calls and says her case number", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		d := s.adminFindsTheCase("Case " + stillCase + ": a reset link was asked for jane@acme.example")
		s.getsInBy(d.chooses("Reset Password").goes().copies())
	}},
	{Cause: "Jane never asked, and calls", Run: func(s *scene) {
		d := s.admin().searches(s.name).goes().reads("This user does not have a password reset token.")
		s.getsInBy(d.presses("Send password reset link to Jane Doe now").copies())
	}},
	{Cause: "Asked for more than five mails in an hour", Run: func(s *scene) {
		for range 5 {
			s.asks()
			s.getsTheMail() // she deletes them unread
		}
		s.asks()
		s.readsTheWaitingPage()
		s.quiet()
		d := s.admin().searches(s.name).follows(s.name).reads("Five mails within an hour are the most, cancelled ones included, so no further one was sent.")
		s.getsInBy(d.presses("Give a link by phone").copies())
	}},
	{Cause: "The account is deactivated", Run: func(s *scene) {
		_, _, err := s.App.UserManager.Deactivate(s.Ctx(), access.Operator(), s.Acme, s.Jane.ID)
		require.NoError(s.T, err)
		s.asks()
		s.readsTheWaitingPage()
		s.getsNoMail()
		s.admin().searches(s.name).follows(s.name).reads("Asked for a reset link; no mail, the account is deactivated")
		s.isRefused()
	}},
	{Cause: "The account was deactivated by mistake", Run: func(s *scene) {
		_, _, err := s.App.UserManager.Deactivate(s.Ctx(), access.Operator(), s.Acme, s.Jane.ID)
		require.NoError(s.T, err)
		s.asks()
		s.readsTheWaitingPage()
		s.getsNoMail()
		s.admin().searches(s.name).reads("State: Deactivated").chooses("Activate").goes().reads("Jane Doe is activated.")
		s.asks()
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Invited, and the invitation is too old", Run: func(s *scene) {
		s.name, s.email = "Nora New", "nora@acme.example"
		_, err := s.App.UserManager.Create(s.Ctx(), access.Operator(), s.Acme, usermanager.New{Email: s.email, Name: s.name, Role: access.Member})
		require.NoError(s.T, err)
		link := s.gets("You are invited").LinkTo("/reset-password/")
		s.waits(8 * 24 * time.Hour)
		s.opens(link, "This link has expired")
		s.admin().searches(s.name).reads("State: Invited").chooses("Resend invitation").goes().reads("The invitation is on its way to nora@acme.example.")
		welcome := s.browser.Get(s.gets("You are invited").LinkTo("/reset-password/"))
		s.sees(welcome, "Welcome, Nora New")
		welcome.Fill("New password", newPassphrase).Press("Set new password")
		s.isIn()
	}},
	{Cause: "The whole environment is paused", Run: func(s *scene) {
		require.NoError(s.T, s.App.Settings.Suspend(s.Ctx(), access.Operator(), s.Acme))
		s.sees(s.browser.Get("/acme/login"), "Acme is paused. Nobody can sign in for now. Nothing is lost: accounts, passwords and links are kept.")
		s.isRefused()
	}},
}

// adminFindsTheCase types the number the person says into the search field.
func (s *scene) adminFindsTheCase(sentence string) *desk {
	s.T.Helper()
	return s.admin().finds(s.number, sentence)
}
