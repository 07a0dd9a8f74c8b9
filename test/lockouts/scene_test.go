package lockouts

import (
	"net/http"
	netsmtp "net/smtp"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
)

const (
	newPassphrase = "three unrelated words fit"
	bounceDomain  = "bounce.sparekey.example"
	// patience bounds what is waited for on a busy machine.
	patience = 30 * time.Second
	// mostClicks is what an administrator may need at most.
	mostClicks = 3
)

// The ways a lock-out ends.
const (
	loggedIn = "logged in"
	refused  = "refused, and told why"
)

// scene is one lock-out under way: the running product, the person who is
// locked out, the mail server between them, and the administrator.
type scene struct {
	*testkit.World
	starts *testing.T // the test, also before the world stands
	office *office    // the mail server in use, the first of them
	second *office    // the next one, where there are two

	name, email string // of the person
	browser     *testkit.Browser
	waiting     *testkit.Page // Check your e-mail
	number      string        // of the case
	last        inbox.Mail    // the newest mail the person got
	seen        int           // id of it
	returns     string        // address of the listener for returned mail

	desk *desk
	told record
}

// record is what the document says about a lock-out.
type record struct {
	user, admin []string // what they read
	presses     []string
	clicks      int
	waited      time.Duration
	end         string
}

// begin starts the product for a lock-out.
func begin(t *testing.T, l lockout, engine string) *scene {
	t.Helper()
	s := &scene{starts: t, office: (&office{}), name: "Jane Doe", email: jane}
	if l.Server != nil {
		s.office = l.Server(t)
	}
	s.office.open(t)
	s.World = testkit.New(t, testkit.Database(t, engine), func(c *config.Config) {
		box := strings.TrimSuffix(strings.TrimPrefix(c.SMTP, "smtp://"), "?tls=none")
		s.office.inbox = box
		c.SMTP = s.office.url()
		c.BounceListen, c.BounceDomain = "127.0.0.1:0", bounceDomain
		if l.Config != nil {
			l.Config(s, c)
		}
	})
	s.browser = s.Browser()
	return s
}

// is makes somebody else the one who is locked out.
func (s *scene) is(name, email string) user.User {
	s.T.Helper()
	s.name, s.email = name, email
	return s.AddUser(s.Acme, email, name, access.Member)
}

// --- the person

// asks types the person's address into "I forgot my password".
func (s *scene) asks() { s.T.Helper(); s.asksAs(s.email) }

// asksAs types any address there.
func (s *scene) asksAs(email string) {
	s.T.Helper()
	s.waiting = s.browser.Get("/acme/login").Follow("I forgot my password").Fill("Email", email).Press("Send password reset link")
	require.Equal(s.T, "Check your e-mail", s.waiting.Heading(), s.waiting.Text())
	found := caseWritten.FindStringSubmatch(s.waiting.Text())
	require.NotNil(s.T, found, "no case number on the page")
	s.number = found[1]
}

// readsTheWaitingPage records what everybody reads there, known or not.
func (s *scene) readsTheWaitingPage() {
	s.T.Helper()
	s.sees(s.waiting, "Still nothing? Tell your administrator this number. Case "+stillCase)
}

// sees finds words on a page of the person and keeps them for the document.
func (s *scene) sees(p *testkit.Page, text string) {
	s.T.Helper()
	require.Contains(s.T, words(p), text)
	if len(s.told.user) == 0 || s.told.user[len(s.told.user)-1] != text {
		s.told.user = append(s.told.user, text)
	}
}

// gets waits for the person's next mail whose subject begins so.
func (s *scene) gets(subject string) inbox.Mail {
	s.T.Helper()
	return s.getsAt(s.email, subject)
}

// getsAt is gets in another mailbox.
func (s *scene) getsAt(email, subject string) inbox.Mail {
	s.T.Helper()
	s.last = s.mailAfter(s.seen, email, subject)
	s.seen = s.last.ID
	return s.last
}

func (s *scene) mailAfter(id int, to, subject string) inbox.Mail {
	s.T.Helper()
	ctx, cancel := contextFor(s.T, patience)
	defer cancel()
	m, err := s.Inbox.Wait(ctx, func(m inbox.Mail) bool {
		return m.ID > id && len(m.To) == 1 && m.To[0] == to && strings.HasPrefix(m.Subject, subject)
	})
	require.NoError(s.T, err, "no mail %q to %s", subject, to)
	return m
}

// getsTheMail waits for the next reset mail and gives its link.
func (s *scene) getsTheMail() (link string) {
	s.T.Helper()
	return s.gets("Reset your password").LinkTo("/reset-password/")
}

// getsNoMail: nothing arrived for the person, and nothing is on its way.
func (s *scene) getsNoMail() {
	s.T.Helper()
	s.quiet()
	for _, m := range s.Inbox.Mails() {
		require.NotEqual(s.T, []string{s.email}, m.To, m.Subject)
	}
}

// setsAPassword does so on the page behind a link and lands on the login page.
func (s *scene) setsAPassword(form *testkit.Page) {
	s.T.Helper()
	require.Equal(s.T, "Set a new password", form.Heading(), form.Text())
	login := form.Fill("New password", newPassphrase).Press("Set new password")
	require.Equal(s.T, "/acme/login", login.URL.Path, login.Text())
	require.Contains(s.T, login.Text(), "Your password is set.")
}

// getsInBy opens a link, sets a password and is in.
func (s *scene) getsInBy(link string) {
	s.T.Helper()
	s.setsAPassword(s.browser.Get(link))
	s.isIn()
}

// isIn logs in with the new password: the end of most lock-outs.
func (s *scene) isIn() {
	s.T.Helper()
	b := s.Browser()
	in := b.SignIn(s.email, newPassphrase)
	require.Equal(s.T, http.StatusOK, b.Get("/acme/session").Status, in.Text())
	s.told.end = loggedIn
}

// isRefused: the person is not in, and a page said why.
func (s *scene) isRefused() {
	s.T.Helper()
	b := s.Browser()
	b.Post("/acme/login", url.Values{"email": {s.email}, "password": {testkit.Passphrase}})
	require.Equal(s.T, http.StatusUnauthorized, b.Get("/acme/session").Status)
	require.NotEmpty(s.T, append(s.told.user, s.told.admin...))
	s.told.end = refused
}

// --- the mail

// mailServerSays so about mails to the person, at a step, until told otherwise.
func (s *scene) mailServerSays(step string, code int, enhanced, text string) {
	said, email := reply(code, enhanced, text), s.email
	s.office.answers(func(at, to, _ string) error {
		if at == step && (to == email || to == "") {
			return said
		}
		return nil
	})
}

// mailServerIsFine again.
func (s *scene) mailServerIsFine() { s.office.answers(nil) }

// comesBack brings a mail to the listener for returned mail, to the return path
// of the person's newest mail, as a mail server does.
func (s *scene) comesBack(raw string) { s.T.Helper(); s.comesBackTo(s.last.From, raw) }

// comesBackTo brings it to any address there.
func (s *scene) comesBackTo(path, raw string) {
	s.T.Helper()
	s.quiet() // the answer to the mail itself comes first
	c, err := netsmtp.Dial(s.listener())
	require.NoError(s.T, err)
	defer func() { _ = c.Close() }()
	require.NoError(s.T, c.Hello("mx.acme.example"))
	require.NoError(s.T, c.Mail(""))
	require.NoError(s.T, c.Rcpt(path))
	body, err := c.Data()
	require.NoError(s.T, err)
	_, err = body.Write([]byte(strings.ReplaceAll(raw, "\n", "\r\n")))
	require.NoError(s.T, err)
	require.NoError(s.T, body.Close())
	require.NoError(s.T, c.Quit())
}

func (s *scene) listener() string {
	s.T.Helper()
	if s.returns == "" {
		address, stop, err := s.App.ListenForReturned()
		require.NoError(s.T, err)
		s.T.Cleanup(stop)
		s.returns = address
	}
	return s.returns
}

// --- time

// waits sets the clock forward, once nothing is under way, and lets the workers
// look for what fell due.
func (s *scene) waits(d time.Duration) {
	s.T.Helper()
	s.quiet()
	s.hurries(d)
}

// hurries sets the clock forward whatever is under way.
func (s *scene) hurries(d time.Duration) {
	s.T.Helper()
	s.Clock.Advance(d)
	s.told.waited += d
	require.NoError(s.T, s.App.DB.Update(s.Ctx(), func(tx *db.Tx) error {
		tx.Notify("jobs:" + string(outbox.Send))
		tx.Notify("jobs:" + string(outbox.Resolve))
		return nil
	}))
}

// quiet waits until no job is due or under way: a jump of the clock would end
// its lease, and a mail would go out twice.
func (s *scene) quiet() {
	s.T.Helper()
	s.until(func() (bool, string) {
		n := 0
		s.View(func(tx *db.Tx) (err error) {
			n, err = db.One[int](tx, "SELECT count(*) FROM jobs WHERE due_at <= $1 OR leased_until > $1", tx.Now())
			return err
		})
		return n == 0, "jobs are under way"
	})
}

// until looks again and again until something holds.
func (s *scene) until(holds func() (bool, string)) {
	s.T.Helper()
	end := time.Now().Add(patience)
	for again := time.NewTicker(10 * time.Millisecond); ; <-again.C {
		ok, why := holds()
		if ok {
			again.Stop()
			return
		}
		require.True(s.T, time.Now().Before(end), why)
	}
}
