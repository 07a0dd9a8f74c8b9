package returns_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/returns"
	"github.com/sparekey/sparekey/internal/testkit"
)

const domain = "bounce.sparekey.example"

// door is a listener on a running product whose Jane was mailed.
type door struct {
	*testkit.World
	listener *returns.Listener
	path     string // of Jane's mail, with its domain

	mu     sync.Mutex
	took   []string // kind and verdict of each mail
	alarms int
}

func open(t *testing.T) *door {
	t.Helper()
	d := &door{World: testkit.New(t, testkit.Database(t, "sqlite"), func(c *config.Config) {
		c.BounceListen, c.BounceDomain = "127.0.0.1:0", domain
	})}
	_, err := d.App.Recovery.Ask(t.Context(), d.Acme, d.Jane.Email, access.From{Network: "192.0.2.7", Agent: testkit.Firefox})
	require.NoError(t, err)
	d.path = d.Mail(d.Jane.Email, "Reset").From
	require.Regexp(t, `^r-[0-9a-z]{53}@`+regexp.QuoteMeta(domain)+`$`, d.path)
	d.listener, err = returns.Listen("127.0.0.1:0", returns.Options{
		Delivery: d.App.Delivery, Domain: domain, Sender: "no-reply@sparekey.example", Clock: d.Clock.Now, Log: slog.New(slog.NewTextHandler(d.Log, nil)),
		Observe: func(kind, verdict string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.took = append(d.took, kind+" "+verdict)
		},
		Alarm: func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.alarms++
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.NoError(t, d.listener.Close(ctx))
	})
	return d
}

func (d *door) seen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.took...)
}

func (d *door) reports() int {
	n := 0
	d.View(func(tx *db.Tx) (err error) {
		n, err = db.One[int](tx, "SELECT count(*) FROM reports")
		return err
	})
	return n
}

// talk opens a conversation and says hello.
func (d *door) talk() *smtp.Client {
	d.T.Helper()
	c, err := smtp.Dial(d.listener.Addr())
	require.NoError(d.T, err)
	d.T.Cleanup(func() { _ = c.Close() })
	require.NoError(d.T, c.Hello("mx.acme.example"))
	return c
}

// hand gives a mail to the listener; the error is its answer.
func (d *door) hand(from, text string, to ...string) error {
	d.T.Helper()
	c := d.talk()
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(one); err != nil {
			return err
		}
	}
	body, err := c.Data()
	require.NoError(d.T, err)
	if _, err := io.WriteString(body, text); err != nil {
		return err
	}
	return body.Close()
}

func code(err error) int {
	if e, ok := err.(*textproto.Error); ok { //nolint:errorlint // net/smtp gives it as it is
		return e.Code
	}
	return 0
}

const delayed = "From: MAILER-DAEMON@mx.acme.example\r\nSubject: Delayed\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nStill trying.\r\n\r\n" +
	"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.acme.example\r\n\r\n" +
	"Final-Recipient: rfc822; jane@acme.example\r\nAction: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: smtp; 451 4.4.1 timed out\r\n\r\n--b--\r\n"

func TestOnlyOurReturnPathsTakeMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	local, _, _ := strings.Cut(d.path, "@")
	require.NoError(t, d.hand("", delayed, d.path))
	require.NoError(t, d.hand("", delayed, strings.ToUpper(d.path)), "the same again")
	require.NoError(t, d.hand("mailer@mx.acme.example", "From: jane@acme.example\r\nSubject: Out of office: Reset\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n", local+"@"+strings.ToUpper(domain)+"."), "not every server sends reports from nobody")
	require.Equal(t, []string{"delay taken", "delay replayed", "auto-reply taken"}, d.seen())
	require.Equal(t, 2, d.reports())

	for name, refused := range map[string]string{
		"forged": local[:len(local)-3] + "zzz@" + domain, "of nobody": "jane@" + domain, "another purpose": "r-x@" + domain,
	} {
		require.Equal(t, 550, code(d.hand("", delayed, refused)), name)
	}
	for _, elsewhere := range []string{"jane@acme.example", local + "@elsewhere.example"} {
		err := d.hand("spammer@spam.example", "Subject: x\r\n\r\nx\r\n", elsewhere)
		require.Equal(t, 550, code(err), "it passes nothing on")
		require.ErrorContains(t, err, "5.7.1")
	}
	require.Equal(t, 2, d.reports())
}

// TestACallBackIsAnswered: receivers that check whether our sender exists ask
// like this, and refuse our mail if we refuse them.
func TestACallBackIsAnswered(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.talk()
	require.NoError(t, c.Mail(""))
	require.NoError(t, c.Rcpt(d.path))
	require.NoError(t, c.Reset())
	require.NoError(t, c.Mail("postmaster@mx.acme.example"))
	require.NoError(t, c.Rcpt(d.path))
	require.NoError(t, c.Quit())
	require.Empty(t, d.seen())
}

// TestMailToTheSenderIsTakenAndDropped: refusing would make noise, and what comes
// there proves nothing.
func TestMailToTheSenderIsTakenAndDropped(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, to := range []string{"no-reply@sparekey.example", "NO-REPLY@sparekey.example", "postmaster@" + domain, "abuse@sparekey.example", "postmaster@sparekey.example"} {
		require.NoError(t, d.hand("", delayed, to), to)
	}
	require.Equal(t, "none to the sender", d.seen()[0])
	require.Len(t, d.seen(), 5)
	require.Zero(t, d.reports())
	require.Len(t, d.Inbox.Mails(), 1, "and nobody is answered: no loop can run")
}

// TestMailToThePostmasterIsLogged, without its content; what comes to the sender's
// address is mostly automatic, and not.
func TestMailToThePostmasterIsLogged(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.NoError(t, d.hand("jane@acme.example", "Subject: Hello\r\n\r\nYour mails are late.\r\n", "no-reply@sparekey.example"))
	require.NotContains(t, d.Log.String(), "somebody wrote")
	for _, to := range []string{"postmaster", "abuse@" + domain, "Postmaster@sparekey.example"} {
		require.NoError(t, d.hand("jane@acme.example", "Subject: Hello\r\n\r\nYour mails are late.\r\n", to))
		require.Contains(t, d.Log.String(), `level=INFO msg="somebody wrote to the postmaster; the mail is not kept" to=`+to+` sender=jane@acme.example network=127.0.0.1`)
	}
	require.NotContains(t, d.Log.String(), "late")
	require.NotContains(t, d.Log.String(), "Hello")
	require.Equal(t, 3, strings.Count(d.Log.String(), "somebody wrote"))
}

// TestRecipientsWithoutADomain: the postmaster is known by that name alone (RFC
// 5321 section 4.5.1), nobody else is, and neither is a mistake of syntax.
func TestRecipientsWithoutADomain(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, to := range []string{"postmaster", "Postmaster", "POSTMASTER"} {
		require.NoError(t, d.hand("", delayed, to), to)
	}
	require.Equal(t, []string{"none to the sender", "none to the sender", "none to the sender"}, d.seen())
	for _, to := range []string{"jane", "x", `"post master"`, "r-0"} {
		err := d.hand("", delayed, to)
		require.Equal(t, 550, code(err), "%s: %v", to, err)
		require.ErrorContains(t, err, "5.1.1", to)
	}
	for _, to := range []string{"", "@", "a b"} {
		require.Equal(t, 501, code(d.hand("", delayed, to)), to)
	}
	require.Len(t, d.seen(), 3, "whoever guesses names forges no return path")

	c := d.talk()
	id, err := c.Text.Cmd("MAIL FROM:<>\r\nRCPT TO: <postmaster>\r\nrcpt to:<%s>\r\nBDAT 22 LAST\r\nRCPT TO:<postmaster>", d.path)
	require.NoError(t, err)
	c.Text.StartResponse(id)
	defer c.Text.EndResponse(id)
	for range 4 {
		_, _, err := c.Text.ReadResponse(250)
		require.NoError(t, err, "many commands at once, and a mail that holds one")
	}
}

func TestForgedReturnPathsRaiseAnAlarmOnceAnHour(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.Clock.Freeze()
	c := d.talk()
	forge := func(n int) {
		require.NoError(t, c.Reset())
		require.NoError(t, c.Mail("who@spam.example"))
		for i := range n {
			require.Error(t, c.Rcpt(fmt.Sprintf("r-%053d@%s", i, domain)))
		}
	}
	forge(20)
	require.Zero(t, d.alarms)
	forge(30)
	require.Equal(t, 1, d.alarms)
	d.Clock.Advance(time.Hour)
	forge(25)
	require.Equal(t, 2, d.alarms)
	require.Contains(t, d.Log.String(), "addresses that we did not make")
	require.Equal(t, "none forged", d.seen()[0])
	require.Len(t, d.seen(), 75)
}

// TestALongMailIsReadToItsEndAndKeptToABound: its report stands at the beginning.
func TestALongMailIsReadToItsEndAndKeptToABound(t *testing.T) {
	t.Parallel()
	d := open(t)
	long := strings.TrimSuffix(delayed, "--b--\r\n") + "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000) + "--b--\r\n"
	require.Greater(t, len(long), 7_000_000)
	require.NoError(t, d.hand("", long, d.path))
	require.Equal(t, []string{"delay taken"}, d.seen())
	endless := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500_000)
	require.Equal(t, 552, code(d.hand("", endless, d.path)))
	oneLine := "Subject: x\r\n\r\n" + strings.Repeat("x", 4<<20) + "\r\n"
	require.Error(t, d.hand("", oneLine, d.path), "no mail has such lines")
	require.Equal(t, []string{"delay taken"}, d.seen())
	require.NoError(t, d.hand("", delayed, d.path), "and the next one is welcome")
}

func TestOneMailNamesOnlySoMany(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := d.talk()
	require.NoError(t, c.Mail(""))
	refused := 0
	for range 150 {
		if err := c.Rcpt(d.path); err != nil {
			require.Equal(t, 452, code(err))
			refused++
		}
	}
	require.Equal(t, 50, refused)
	body, err := c.Data()
	require.NoError(t, err)
	_, err = io.WriteString(body, delayed)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, []string{"delay taken"}, d.seen(), "once for the one mail it is about")
}

func TestTooManyConnectionsAreTurnedAway(t *testing.T) {
	t.Parallel()
	d := open(t)
	var open []net.Conn
	greeting := func() string {
		c, err := net.Dial("tcp", d.listener.Addr())
		require.NoError(t, err)
		open = append(open, c)
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		return line[:3]
	}
	for range 20 {
		require.Equal(t, "220", greeting())
	}
	require.Equal(t, "421", greeting())
	for _, c := range open {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return greeting() == "220" }, 10*time.Second, 10*time.Millisecond)
}

// TestNonsenseEndsTheConversationOnly.
func TestNonsenseEndsTheConversationOnly(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00", "RCPT TO:<>\r\nDATA\r\n.\r\n", strings.Repeat("A", 1<<21) + "\r\n", "MAIL FROM:<" + strings.Repeat("a", 5000) + "@x>\r\n"} {
		c, err := net.Dial("tcp", d.listener.Addr())
		require.NoError(t, err)
		_, _ = io.WriteString(c, text) // it may hang up before it has read all
		require.NoError(t, c.Close())
	}
	require.NoError(t, d.hand("", delayed, d.path))
}

// TestWhatCannotBeKeptIsToComeAgain.
func TestWhatCannotBeKeptIsToComeAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.NoError(t, d.App.DB.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("ALTER TABLE reports RENAME TO gone")
		return err
	}))
	require.Equal(t, 451, code(d.hand("", delayed, d.path)))
	require.NoError(t, d.App.DB.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("ALTER TABLE gone RENAME TO reports")
		return err
	}))
	require.NoError(t, d.hand("", delayed, d.path))
	require.Equal(t, []string{"delay taken"}, d.seen())
}
