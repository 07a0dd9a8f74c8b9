package lockouts

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// links: the mail is there, and its link does not do.
var links = []lockout{
	{Cause: "A mail program wrapped the link at column 76", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		require.Greater(s.T, len(link), 76)
		dead := s.opens(link[:76], "This link was cut off")
		s.setsAPassword(dead.Fill("Link", link[:76]+"\r\n"+link[76:]).Press("Open this link"))
		s.isIn()
	}},
	{Cause: "The link was cut off, and its end is lost", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		dead := s.opens(link[:len(link)-7], "It is incomplete: mail programs sometimes break long lines, so the end is missing.")
		code := dead.Follow("Type the code instead").Fill("Email", s.email).Fill("Code", s.last.Code()).Press("Continue")
		s.setsAPassword(code)
		s.isIn()
	}},
	{Cause: "One character of the link is wrong", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		wrong := "2"
		if link[len(link)-5:len(link)-4] == wrong {
			wrong = "3"
		}
		dead := s.opens(link[:len(link)-5]+wrong+link[len(link)-4:], "A character in it is wrong, or it belongs to another address. The link in the mail itself is fine.")
		s.setsAPassword(dead.Fill("Link", link).Press("Open this link"))
		s.isIn()
	}},
	{Cause: "The link took a full stop and a bracket along", Run: func(s *scene) {
		s.asks()
		s.setsAPassword(s.opens(s.getsTheMail()+"%3E.", "Set a new password"))
		s.isIn()
	}},
	{Cause: "The link was typed from paper: lower case, O for 0, l for 1", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		at := strings.LastIndexByte(link, '/') + 1
		typed := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(link[at:]))
		s.setsAPassword(s.opens(link[:at]+typed, "Set a new password"))
		s.isIn()
	}},
	{Cause: "The link has expired", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		s.waits(25 * time.Hour)
		dead := s.opens(link, "It stopped working TIME. Your password is unchanged.")
		s.sees(dead.Press("Send a new link"), "A new link is on its way to the address of this account, usually within a minute.")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "The link was used already", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		s.setsAPassword(s.browser.Get(link))
		dead := s.opens(link, "With it, or with another link of the same request, a new password was set TIME, from Firefox on Linux. A link works once.")
		in := dead.Follow("Log in").Fill("Email", s.email).Fill("Password", newPassphrase).Press("Log in")
		require.Equal(s.T, "/acme/account", in.URL.Path)
		s.isIn()
	}},
	{Cause: "An administrator cancelled the link", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		_, err := s.App.Recovery.CancelToken(s.Ctx(), access.Operator(), s.Acme, s.Jane.ID)
		require.NoError(s.T, err)
		dead := s.opens(link, "It ended because an administrator cancelled it.")
		s.waiting = dead.Follow("I forgot my password").Fill("Email", s.email).Press("Send password reset link")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "The address was changed while the mail was under way", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		change := usermanager.Change{Name: s.name, Email: "jane.doe@acme.example", Role: access.Member}
		_, err := s.App.UserManager.Edit(s.Ctx(), access.Operator(), s.Acme, s.Jane.ID, change)
		require.NoError(s.T, err)
		s.Browser().Get(s.mailAfter(0, change.Email, "Confirm").LinkTo("/acme/")).Press("Use this address")
		dead := s.opens(link, "It ended because the e-mail address changed.")
		s.email = change.Email
		s.waiting = dead.Follow("I forgot my password").Fill("Email", s.email).Press("Send password reset link")
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Two mails, and Jane takes the older one", Run: func(s *scene) {
		s.asks()
		first := s.getsTheMail()
		s.waiting = s.waiting.Press("Send it again")
		s.sees(s.waiting, "another mail is on its way. Earlier links keep working.")
		s.getsTheMail()
		s.getsInBy(first)
	}},
	{Cause: "The mail program opens the link in another browser, without cookies", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		s.browser = s.Browser()
		s.browser.Header.Set("Origin", "null")
		s.browser.Header.Set("Sec-Fetch-Site", "cross-site")
		s.opens(link, "Set a new password")
		s.getsInBy(link)
	}},
	{Cause: "Jane is on the phone without a mailbox at hand: the link goes to her other device as a QR code", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		link := s.adminGivesALink()
		require.Contains(s.T, s.admin().page.Body, `aria-label="QR code of the link for Jane Doe"`)
		s.browser = s.Browser()
		s.browser.Agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
		s.opens(link, "Set a new password")
		s.getsInBy(link)
	}},
}

// opens a link in the person's browser and reads so.
func (s *scene) opens(link, reads string) *testkit.Page {
	s.T.Helper()
	p := s.browser.Get(link)
	s.sees(p, reads)
	return p
}
