package lockouts

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

// forms: the page is open, and the last step fails.
var forms = []lockout{
	{Cause: "The new password is too short, then a leaked one, then a good one", Run: func(s *scene) {
		s.asks()
		form := s.browser.Get(s.getsTheMail())
		form = form.Fill("New password", "short").Press("Set new password")
		require.Equal(s.T, http.StatusUnprocessableEntity, form.Status)
		s.sees(form, "This password is too short: use at least 15 characters. Three unrelated words are long enough.")
		form = form.Fill("New password", "passwordpassword").Press("Set new password")
		require.Equal(s.T, http.StatusUnprocessableEntity, form.Status)
		s.sees(form, "This password is in the list of leaked passwords, which are tried first. Please choose another one.")
		d := s.adminReads("Jane Doe was refused twice, the last time: This password is in the list of leaked passwords, which are tried first. Nothing is broken.")
		d.follows(s.name).copiesTheText("Explain the rule", "Three unrelated words with spaces between them are long enough")
		s.setsAPassword(form)
		s.isIn()
	}},
	{Cause: "The button is pressed twice", Run: func(s *scene) {
		s.asks()
		form := s.browser.Get(s.getsTheMail()).Fill("New password", newPassphrase)
		for range 2 {
			s.sees(form.Press("Set new password"), "Your password is set.")
		}
		s.isIn()
	}},
	{Cause: "The back button, and the form once more with another password", Run: func(s *scene) {
		s.asks()
		form := s.browser.Get(s.getsTheMail())
		s.setsAPassword(form)
		s.sees(form.Fill("New password", "lantern orchard violin").Press("Set new password"), "This link was already used")
		s.isIn()
	}},
	{Cause: "The link cannot be opened on this device: Jane types the code", Run: func(s *scene) {
		s.asks()
		s.sees(s.waiting, "The 8 digits in the mail, for when the link cannot be opened on this device.")
		s.gets("Reset your password")
		desktop := s.Browser()
		s.setsAPassword(desktop.Get("/acme/forgot-password").Follow("I have a code").Fill("Email", s.email).Fill("Code", s.last.Code()).Press("Continue"))
		s.isIn()
	}},
	{Cause: "A stranger uses up the tries of the code", Run: func(s *scene) {
		s.asks()
		code := s.gets("Reset your password").Code()
		s.sees(s.waiting, "The 8 digits in the mail, for when the link cannot be opened on this device.")
		stranger := s.Browser()
		for range 5 {
			stranger.Get("/acme/reset-password").Fill("Email", s.email).Fill("Code", "00000000").Press("Continue")
		}
		theirs := stranger.Get("/acme/reset-password").Fill("Email", s.email).Fill("Code", code).Press("Continue")
		require.Contains(s.T, theirs.Text(), "This code does not fit, or can no longer be used.")
		s.quiet()
		s.setsAPassword(s.waiting.Fill("Code", code).Press("Continue"))
		s.isIn()
	}},
	{Cause: "Jane mistypes the code five times", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		page := s.waiting
		for range 6 {
			page = page.Fill("Code", "00000000").Press("Continue")
		}
		s.sees(page, "A code takes five tries; the link in the mail works as well.")
		s.getsInBy(link)
	}},
	{Cause: "Ten wrong passwords, and the login is slowed down", Run: func(s *scene) {
		page := s.browser.Get("/acme/login")
		for range 12 {
			page = s.browser.SignIn(s.email, "the wrong long password")
		}
		require.Equal(s.T, http.StatusTooManyRequests, page.Status)
		s.sees(page, "You need not wait to set a new password: that stays open.")
		s.waiting = page.Follow("that stays open").Fill("Email", s.email).Press("Send password reset link")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Somebody else set the password with a stolen link", Run: func(s *scene) {
		s.asks()
		thief := s.Browser()
		thief.Get(s.getsTheMail()).Fill("New password", "lantern orchard violin").Press("Set new password")
		notMe := s.gets("Your password was changed").LinkTo("/not-me/")
		page := s.browser.Get(notMe)
		s.sees(page, "This wasn’t me")
		page.Press("This wasn’t me")
		s.getsInBy(s.getsTheMail())
		require.Equal(s.T, http.StatusUnauthorized, thief.Get("/acme/session").Status)
	}},
}
