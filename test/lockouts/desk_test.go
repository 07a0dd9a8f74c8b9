package lockouts

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

// desk is the administrator, signed in, with the User Manager open. It counts
// clicks: following a link, choosing in a dropdown, pressing a button. Typing is
// none, and searching is typing: the list follows while one types.
type desk struct {
	s       *scene
	browser *testkit.Browser
	page    *testkit.Page
}

// admin is the administrator of this scene.
func (s *scene) admin() *desk {
	s.T.Helper()
	if s.desk == nil {
		b := s.Browser()
		page := b.SignIn(s.Admin.Email, testkit.Passphrase)
		require.Equal(s.T, "User Manager", page.Heading())
		s.desk = &desk{s: s, browser: b, page: page}
	}
	return s.desk
}

func (d *desk) click(words string) {
	d.s.told.clicks++
	d.s.told.presses = append(d.s.told.presses, words)
}

// searches types into the search field.
func (d *desk) searches(text string) *desk {
	d.s.T.Helper()
	d.page = d.browser.Get("/acme/users").Fill("Search users", text).Press("Search")
	return d
}

// finds searches until the page says so: mail takes its time.
func (d *desk) finds(text, sentence string) *desk {
	d.s.T.Helper()
	d.s.until(func() (bool, string) {
		read := words(d.searches(text).page)
		return strings.Contains(read, sentence), "the administrator reads nothing of " + sentence + ":\n" + read
	})
	return d.reads(sentence)
}

// reads finds words on the page and keeps them for the document.
func (d *desk) reads(sentence string) *desk {
	d.s.T.Helper()
	require.Contains(d.s.T, words(d.page), sentence)
	if !slices.Contains(d.s.told.admin, sentence) {
		d.s.told.admin = append(d.s.told.admin, sentence)
	}
	return d
}

// follows a link.
func (d *desk) follows(link string) *desk {
	d.s.T.Helper()
	d.page = d.page.Follow(link)
	d.click(link)
	return d
}

// types into a field.
func (d *desk) types(label, text string) *desk {
	d.s.T.Helper()
	d.page.Fill(label, text)
	return d
}

// presses a button.
func (d *desk) presses(button string) *desk {
	d.s.T.Helper()
	d.page = d.page.Press(button)
	d.click(button)
	return d
}

// chooses in the dropdown of the person's row.
func (d *desk) chooses(action string) *desk {
	d.s.T.Helper()
	d.page.Choose("Action for "+d.s.name, action)
	d.click(action)
	return d
}

// goes presses the Go of the person's row.
func (d *desk) goes() *desk {
	d.s.T.Helper()
	d.page = d.page.PressBeside("Action for "+d.s.name, "Go")
	d.click("Go")
	return d
}

// copies presses Copy link and has the link.
func (d *desk) copies() (link string) {
	d.s.T.Helper()
	require.Equal(d.s.T, "Reset Password Link", d.page.Heading(), d.page.Text())
	require.True(d.s.T, d.page.Has("Copy link"))
	d.click("Copy link")
	return d.page.Value("Reset Password Link")
}

// copiesTheText of the button beside the sentence, for the person.
func (d *desk) copiesTheText(button, part string) {
	d.s.T.Helper()
	require.True(d.s.T, d.page.Has(button), d.page.Text())
	require.Contains(d.s.T, d.page.Value("Text to send"), part)
	d.click(button)
}

// adminReads lets the administrator search for the person and read why.
func (s *scene) adminReads(sentence string) *desk {
	s.T.Helper()
	return s.admin().finds(s.name, sentence)
}

// adminGivesALink on the article's way: Reset Password, Go, Copy link.
func (s *scene) adminGivesALink() (link string) {
	s.T.Helper()
	return s.admin().searches(s.name).chooses("Reset Password").goes().copies()
}

// adminHelpsFromTheQueue: the person stands there, the action is already chosen.
func (s *scene) adminHelpsFromTheQueue(sentence string) (link string) {
	s.T.Helper()
	d := s.admin()
	s.until(func() (bool, string) {
		read := words(d.browser.Get("/acme/needs-help"))
		return strings.Contains(read, sentence), sentence + " does not stand in the queue:\n" + read
	})
	d.page = d.browser.Get("/acme/users").Follow("Needs help 1 waiting")
	d.click("Needs help")
	d.reads(sentence)
	require.Equal(s.T, "Reset Password", d.page.Options("Action for " + s.name)[0])
	return d.goes().copies()
}

// adminPresses the one button beside the sentence on the person's page.
func (s *scene) adminPresses(sentence, button string) *desk {
	s.T.Helper()
	return s.adminReads(sentence).follows(s.name).presses(button)
}

// adminGivesALinkByPhone with that button.
func (s *scene) adminGivesALinkByPhone(sentence string) (link string) {
	s.T.Helper()
	return s.adminPresses(sentence, "Give a link by phone").copies()
}

// adminCorrectsTheAddress, and the person confirms it and asks anew.
func (s *scene) adminCorrectsTheAddress(sentence, right string) {
	s.T.Helper()
	d := s.adminReads(sentence).follows(s.name).follows("Correct the address").types("Email", right).presses("Save")
	require.Contains(s.T, words(d.page), "We sent a link to "+right)
	confirm := s.mailAfter(0, right, "Confirm your new e-mail address").LinkTo("/acme/")
	s.Browser().Get(confirm).Press("Use this address")
	s.email = right
	s.asks()
	s.getsInBy(s.getsTheMail())
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
