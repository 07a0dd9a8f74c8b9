package browser_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/usermanager"
)

const (
	firefoxOnWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	safariOnIPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	chromeOnAndroid  = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36"
	edgeOnWindows    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"
)

// Stage is an environment with people who have a past: the screens of the
// documentation, and those that axe looks at, are full of what happened here.
type Stage struct {
	*testkit.World
	t   *testing.T
	ids map[string]id.User // by name
}

var people = []struct{ email, name string }{
	{"amara.okafor", "Amara Okafor"},
	{"bjorn.lindqvist", "Björn Lindqvist"},
	{"camila.rodriguez", "Camila Rodríguez"},
	{"daniel.oconnor", "Daniel O’Connor"},
	{"elodie.marchand", "Élodie Marchand"},
	{"fatima.alrashid", "Fatima al-Rashid"},
	{"grace.mbeki", "Grace Mbeki"},
	{"hiroshi.tanaka", "Hiroshi Tanaka"},
	{"ines.mueller-hoffmann", "Ines Müller-Hoffmann"},
	{"jane.dough", "Jane Dough"},
	{"leila.haddad", "Leila Haddad"},
	{"linh.nguyen", "Linh Nguyễn"},
	{"mateo.fernandez", "Mateo Fernández"},
	{"priya.raman", "Priya Raman"},
	{"rahul.deshpande", "Rahul Deshpande"},
	{"siobhan.byrne", "Siobhán Byrne"},
	{"tomas.ferreira", "Tomás Ferreira"},
	{"wei.chen", "Wei Chen"},
}

// newStage plays two days: some sign in, some forget, one mailbox is full and
// one does not exist, somebody mistypes an address.
func newStage(t *testing.T) *Stage {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium: left out with -short")
	}
	w := testkit.New(t, testkit.Database(t, "sqlite"), func(c *config.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.SMTP = strings.Replace(c.SMTP, "127.0.0.1", "localhost", 1)
	})
	s := &Stage{World: w, t: t, ids: map[string]id.User{"Jane Doe": w.Jane.ID}}
	w.SetPolicy(map[string]string{"help_line": "Trouble? Call the Acme help desk, 555 0100", "help_email": "help@acme.example"})
	w.Inbox.SetFate(func(_, to string, _ []byte) error {
		switch {
		case strings.HasPrefix(to, "daniel"):
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "The email account that you tried to reach does not exist"}
		case strings.HasPrefix(to, "priya"):
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "The mailbox is over its storage limit"}
		}
		return nil
	})
	s.populate()
	s.monday()
	s.tuesday()
	return s
}

// at sets the clock forward to the next time it is this late, UTC.
func (s *Stage) at(hour, minute int) {
	now := s.Clock.Now().UTC()
	next := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	s.Clock.Advance(next.Sub(now))
}

func (s *Stage) populate() {
	s.at(7, 40)
	agents := []string{firefoxOnWindows, safariOnIPhone, chromeOnAndroid, edgeOnWindows}
	luck := rand.New(rand.NewPCG(1, 2))
	for i, p := range people {
		s.ids[p.name] = s.AddUser(s.Acme, p.email+"@acme.example", p.name, access.Member).ID
		if i%4 != 3 {
			s.Clock.Advance(time.Duration(5+luck.IntN(30)) * time.Minute)
			s.person(agents[i%4], i).SignIn(p.email+"@acme.example", testkit.Passphrase)
		}
	}
	for email, name := range map[string]string{"kwame.mensah": "Kwame Mensah", "nina.petrovic": "Nina Petrović", "yuki.sato": "Yuki Sato"} {
		u, err := s.App.UserManager.Create(s.Ctx(), access.Operator(), s.Acme, usermanager.New{Email: email + "@acme.example", Name: name})
		require.NoError(s.t, err)
		s.ids[name] = u.ID
		s.settled(name, 1)
	}
	_, _, err := s.App.UserManager.Deactivate(s.Ctx(), access.Operator(), s.Acme, s.ids["Rahul Deshpande"])
	require.NoError(s.t, err)
}

// monday: Jane forgets, and comes back in from her phone.
func (s *Stage) monday() {
	s.at(16, 20)
	jane := s.person(safariOnIPhone, 40)
	jane.Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link")
	form := jane.Get(s.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
	s.settled("Jane Doe", 1)
	s.Clock.Advance(2 * time.Minute)
	form = form.Fill("New password", "jane jane jane").Press("Set new password")
	s.Clock.Advance(time.Minute)
	form.Fill("New password", testkit.Passphrase+" 2").Press("Set new password").Fill("Password", testkit.Passphrase+" 2").Press("Log in")
	s.settled("Jane Doe", 2)
	s.at(8, 12)
	s.person(edgeOnWindows, 41).SignIn("jane@acme.example", testkit.Passphrase+" 2")
	s.settled("Jane Doe", 3)
	s.Inbox.Clear()
}

// tuesday: five ask, two of them with a slip of the finger.
func (s *Stage) tuesday() {
	s.at(9, 58)
	for i, name := range []string{"Daniel O’Connor", "Priya Raman", "Amara Okafor", "Björn Lindqvist"} {
		s.ask(strings.NewReplacer("’", "", "ö", "o", " ", ".").Replace(strings.ToLower(name))+"@acme.example", 50+i)
		s.settled(name, 1)
		s.Clock.Advance(7 * time.Minute)
	}
	s.ask("jane.doe@acme.example", 60)
	s.ask("jane@acme.exmaple", 60)
	s.person(safariOnIPhone, 53).Get(s.Mail("bjorn.lindqvist@acme.example", "Reset your password").LinkTo("/reset-password/"))
	s.Clock.Advance(4 * time.Minute)
	s.person(firefoxOnWindows, 2).SignIn("helpdesk@acme.example", testkit.Passphrase)
	s.at(10, 41)
}

// settled waits until so many mails to a user were written and tried: when the
// clock jumps while one is under way, another worker takes it over.
func (s *Stage) settled(name string, mails int) {
	s.t.Helper()
	admin := access.Actor{Environment: s.Acme.ID, User: s.World.Admin.ID, Name: s.World.Admin.Name, Role: access.ClientAdmin}
	require.Eventually(s.t, func() bool {
		details, err := s.App.UserManager.User(s.Ctx(), admin, s.Acme, s.ids[name])
		require.NoError(s.t, err)
		return len(details.Messages) >= mails && !slices.ContainsFunc(details.Messages, func(m usermanager.Message) bool { return len(m.Attempts) == 0 })
	}, patience, 10*time.Millisecond, "the mails to %s", name)
}

// user gives the address of a user's page.
func (s *Stage) user(name string) string { return "/acme/users/" + string(s.ids[name]) }

// person is a browser without script, in a network of its own.
func (s *Stage) person(agent string, network int) *testkit.Browser {
	b := s.Browser()
	b.Agent = agent
	b.Header.Set("X-Forwarded-For", address(network))
	return b
}

func address(n int) string {
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + n)}).String()
}

func (s *Stage) ask(email string, network int) {
	s.person(edgeOnWindows, network).Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
}

// profile opens a Chromium that says it is this browser, in this network.
func (s *Stage) profile(agent string, n int) *Tab {
	b := Profile(s.t, s.URL)
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent})
	call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"X-Forwarded-For": address(n)}})
	return b
}
