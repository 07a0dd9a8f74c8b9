package delivery_test

import (
	"fmt"
	"html"
	"net/smtp"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/testkit/effort"
	"github.com/sparekey/sparekey/internal/user"
)

const bounceDomain = "bounce.sparekey.example"

// eachReturning runs a test on both engines, with one mail server and a place for
// returned mail.
func eachReturning(t *testing.T, test func(t *testing.T, w *testkit.World, s *mailServer), options ...func(*config.Config)) {
	t.Helper()
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		s := startServer(t, "")
		all := append([]func(*config.Config){func(c *config.Config) {
			c.SMTP, c.BounceListen, c.BounceDomain = "smtp://"+s.addr+"?tls=none", "127.0.0.1:0", bounceDomain
		}}, options...)
		test(t, testkit.New(t, testkit.Database(t, engine), all...), s)
	})
}

var mailFrom = regexp.MustCompile(`MAIL FROM:<(r-[^@]+)@` + regexp.QuoteMeta(bounceDomain) + `>`)

// paths gives the return paths that the server heard of, oldest first.
func (s *mailServer) paths() []string {
	var all []string
	for _, m := range mailFrom.FindAllStringSubmatch(s.commands(), -1) {
		all = append(all, m[1])
	}
	return all
}

// mailed asks for Jane and gives the return path of her mail.
func mailed(w *testkit.World, s *mailServer) string {
	w.T.Helper()
	before := len(s.paths())
	askForJane(w)
	require.Eventually(w.T, func() bool { return len(s.paths()) > before }, patience, 10*time.Millisecond)
	until(w, "sent", 1)
	return s.paths()[before]
}

// report writes a delivery report (RFC 3464).
func report(action, status, recipient, diagnostic string, more ...string) string {
	return "From: MAILER-DAEMON@mx.acme.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n\r\n" +
		"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.acme.example\r\n\r\n" +
		fmt.Sprintf("Final-Recipient: rfc822; %s\r\nAction: %s\r\nStatus: %s\r\nDiagnostic-Code: smtp; %s\r\n", recipient, action, status, diagnostic) +
		strings.Join(more, "") + "\r\n--b--\r\n"
}

const (
	unknownUser = "550 5.1.1 <jane@acme.example>: Recipient address rejected: User unknown in virtual mailbox table"
	fullBox     = "552 5.2.2 <jane@acme.example>: mailbox is over quota"
)

func hardBounce() string { return report("failed", "5.1.1", "jane@acme.example", unknownUser) }

const abuse = "From: fbl@isp.example\r\nSubject: FW: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nAn abuse report.\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: X/1\r\nVersion: 1\r\n\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nTo: jane@acme.example\r\n\r\nx\r\n--b--\r\n"

const outOfOffice = "From: jane@acme.example\r\nSubject: Out of office: Reset\r\nAuto-Submitted: auto-replied\r\n\r\nI am away until Monday.\r\n"

func take(w *testkit.World, path, raw string) delivery.Took {
	w.T.Helper()
	took, err := w.App.Delivery.TakeReturned(w.Ctx(), path, []byte(raw))
	require.NoError(w.T, err)
	return took
}

// standing tells what follows from news about Jane's mail.
type standing struct {
	Suppressed string // its class
	Case       cases.Why
	Reports    int
}

func standingOf(w *testkit.World, who user.User) standing {
	w.T.Helper()
	var s standing
	w.View(func(tx *db.Tx) error {
		e, ok, err := suppression.Of(tx, w.Acme.ID, who.EmailKey)
		if ok {
			s.Suppressed = e.Class
		}
		require.NoError(w.T, err)
		open, err := db.All[cases.Why](tx, "SELECT why FROM cases WHERE environment_id = $1 AND user_id = $2", w.Acme.ID, who.ID)
		if len(open) > 0 {
			s.Case = open[0]
		}
		require.NoError(w.T, err)
		s.Reports, err = db.One[int](tx, "SELECT count(*) FROM reports")
		return err
	})
	return s
}

func TestEachMailHasAReturnPathOfItsOwn(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		first, second := mailed(w, s), mailed(w, s)
		require.NotEqual(t, first, second)
		ours, err := w.App.Delivery.OurReturnPath(t.Context(), strings.ToUpper(first))
		require.NoError(t, err)
		require.True(t, ours)
		ours, err = w.App.Delivery.OurReturnPath(t.Context(), first[:len(first)-4]+"0000")
		require.NoError(t, err)
		require.False(t, ours)
		log := w.Browser()
		log.SignIn(w.Admin.Email, testkit.Passphrase)
		require.NotContains(t, log.Get("/acme/users/"+string(w.Jane.ID)).Body, first, "who could read it could forge")
	})
}

func TestWithoutAListenerTheSenderIsTheReturnPath(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		askForJane(w)
		until(w, "sent", 1)
		require.Contains(t, s.commands(), "MAIL FROM:<no-reply@sparekey.example>")
	}, func(c *config.Config) { c.BounceListen = "" })
}

func TestAHardBounceStopsMailAndOpensACase(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		require.Equal(t, delivery.Took{Kind: dsn.Bounce, Verdict: delivery.Taken}, take(w, path, hardBounce()))
		require.Equal(t, standing{"no-such-mailbox", cases.Bounced, 1}, standingOf(w, w.Jane))
		require.Equal(t, "sent", newest(w).State, "the state stays; the report tells the rest")

		// The next one is held back, and who asks cannot tell.
		askForJane(w)
		until(w, "held back", 0)
		require.Len(t, s.mails(), 1)
		require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
		allowMail(w)
		mailed(w, s)
		require.Len(t, s.mails(), 2)
	})
}

func TestAReportCountsOnceAndForgedOnesNever(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		forged := "r-" + strings.Repeat("0", 53)
		for name, local := range map[string]string{"made up": forged, "altered": path[:len(path)-1] + map[bool]string{true: "8", false: "0"}[path[len(path)-1] == '0'], "the sender": "no-reply", "nothing": "", "another part": path[:20] + path[2:35]} {
			require.Equal(t, delivery.Forged, take(w, local, hardBounce()).Verdict, name)
		}
		require.Equal(t, standing{}, standingOf(w, w.Jane))

		full := report("failed", "5.2.2", "jane@acme.example", fullBox)
		require.Equal(t, delivery.Taken, take(w, strings.ToUpper(path), full).Verdict)
		require.Equal(t, delivery.Replayed, take(w, path, full).Verdict)
		require.Equal(t, delivery.Replayed, take(w, path, "Received: from another.example\r\n"+full).Verdict, "by another way")
		require.Equal(t, standing{"", cases.Bounced, 1}, standingOf(w, w.Jane), "a full mailbox may be emptied")

		// A key that leaked proves nothing any more.
		require.NoError(t, w.App.Ring.Revoke(w.Ctx(), 1))
		require.Equal(t, delivery.Forged, take(w, path, hardBounce()).Verdict)
		require.Equal(t, 1, standingOf(w, w.Jane).Reports)
	})
}

func TestWhatSaysNothingDoesNothing(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		for _, text := range []string{"", "hello", "Subject: Re: your mail\r\n\r\nThanks!\r\n", strings.Repeat("x", 1<<20), "\x00\xff"} {
			require.Equal(t, delivery.Ignored, take(w, path, text).Verdict)
		}
		require.Equal(t, delivery.Took{Kind: dsn.AutoReply, Verdict: delivery.Taken}, take(w, path, outOfOffice))
		require.Equal(t, dsn.Delivered, take(w, path, report("delivered", "2.0.0", "jane@acme.example", "250 ok")).Kind)
		require.Equal(t, standing{Reports: 2}, standingOf(w, w.Jane))
	})
}

// TestADeliveryAfterASoftBounceIsTheTruth; after a hard one it is about a copy.
func TestADeliveryAfterASoftBounceIsTheTruth(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		arrived := report("delivered", "2.0.0", "jane@acme.example", "250 2.0.0 ok")
		take(w, path, report("failed", "5.2.2", "jane@acme.example", fullBox))
		require.Equal(t, cases.Bounced, standingOf(w, w.Jane).Case)
		w.Clock.Advance(time.Second)
		take(w, path, arrived)
		require.Equal(t, standing{Reports: 2}, standingOf(w, w.Jane))
		require.Equal(t, "delivered", told(w))
		admin := w.Browser()
		admin.SignIn(w.Admin.Email, testkit.Passphrase)
		page := admin.Get("/acme/users/" + string(w.Jane.ID) + "?only=security").Body
		require.NotContains(t, page, "Came back")
		require.Contains(t, page, "Reported delivered")

		path = mailed(w, s)
		take(w, path, hardBounce())
		w.Clock.Advance(time.Second)
		take(w, path, arrived)
		require.Equal(t, standing{"no-such-mailbox", cases.Bounced, 4}, standingOf(w, w.Jane))
	})
}

func TestALateReportIsNotBelieved(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		w.Clock.Advance(6 * 24 * time.Hour)
		require.Equal(t, delivery.Taken, take(w, path, report("delayed", "4.4.1", "jane@acme.example", "connection timed out")).Verdict)
		w.Clock.Advance(2 * 24 * time.Hour)
		require.Equal(t, delivery.Late, take(w, path, hardBounce()).Verdict)
		require.Equal(t, "", standingOf(w, w.Jane).Suppressed)
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			_, err := tx.Exec("DELETE FROM messages")
			return err
		}))
		require.Equal(t, delivery.Unmatched, take(w, path, hardBounce()).Verdict)
	})
}

func TestWhatAPersonOpenedDidArrive(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		w.Clock.Advance(2 * time.Minute)
		person := w.Browser()
		person.Header.Set("Accept-Language", "en")
		page := person.Get(linkIn(s.mails()[0]))
		sheet := sheetOfLook.FindString(page.Body)
		require.NotEmpty(t, sheet)
		require.Equal(t, 200, person.Get(html.UnescapeString(sheet)).Status)
		take(w, path, hardBounce())
		require.Equal(t, standing{Reports: 1}, standingOf(w, w.Jane), "a forward or a copy failed")
		// Who calls it spam has it too, and wants no more.
		take(w, path, abuse)
		require.Equal(t, standing{"complaint", cases.Bounced, 2}, standingOf(w, w.Jane))
	})
}

var sheetOfLook = regexp.MustCompile(`/acme/theme\.css\?look=[^"]+`)

// TestAFilterWithABrowsersNameIsNoPerson: it opens the link and never shows the
// page, so what came back counts.
func TestAFilterWithABrowsersNameIsNoPerson(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		w.Clock.Advance(9 * time.Second)
		filter := w.Browser()
		filter.Header.Set("Accept-Language", "en")
		require.Equal(t, 200, filter.Get(linkIn(s.mails()[0])).Status)
		w.Clock.Advance(20 * time.Second)
		take(w, path, hardBounce())
		require.Equal(t, standing{"no-such-mailbox", cases.Bounced, 1}, standingOf(w, w.Jane))
	})
}

func TestAForwardsDeadEndIsNotThePersonsAddress(t *testing.T) {
	for recipient, stopped := range map[string]string{
		"jane.doe@elsewhere.example": "", "other@acme.example": "", "/G=Jane/S=Doe/": "no-such-mailbox",
		"JANE@acme.example": "no-such-mailbox", "jane@box.acme.example": "no-such-mailbox", "": "no-such-mailbox",
	} {
		t.Run(strings.ReplaceAll(recipient, "/", "|"), func(t *testing.T) {
			eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
				path := mailed(w, s)
				take(w, path, report("failed", "5.1.1", recipient, "550 5.1.1 user unknown"))
				require.Equal(t, standing{stopped, cases.Bounced, 1}, standingOf(w, w.Jane))
			})
		})
	}
}

// TestADomainWrittenInAnotherWayIsNoForward.
func TestADomainWrittenInAnotherWayIsNoForward(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		change(w, "UPDATE messages SET to_email = 'jane@xn--mller-kva.example'")
		take(w, path, report("failed", "5.1.1", "Jane@müller.example", "550 5.1.1 user unknown"))
		require.Equal(t, 1, count(w, "SELECT count(*) FROM suppressions WHERE address_key = 'jane@xn--mller-kva.example'"))
		require.Equal(t, "Jane@xn--mller-kva.example", text(w, "SELECT recipient FROM reports"))
	})
}

func TestWhoIsBackInNeedsNoHelp(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		change(w, "UPDATE tokens SET used_at = made_at")
		take(w, path, report("failed", "5.2.2", "jane@acme.example", fullBox))
		require.Equal(t, standing{Reports: 1}, standingOf(w, w.Jane))
	})
}

// TestAReportIsAboutItsOwnMail: the return path leads to one mail in one
// environment, whatever the report says.
func TestAReportIsAboutItsOwnMail(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		other, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "other", "Other")
		require.NoError(t, err)
		w.AddUser(other, "jane@acme.example", "Jane Elsewhere", access.Member)
		_, err = w.App.Recovery.Ask(w.Ctx(), other, "jane@acme.example", access.From{Network: "192.0.2.7", Agent: testkit.Firefox})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM messages WHERE state = 'sent'") == 1 }, patience, 10*time.Millisecond)
		take(w, s.paths()[0], hardBounce())
		require.Equal(t, 1, count(w, "SELECT count(*) FROM suppressions WHERE environment_id = $1", other.ID))
		require.Equal(t, standing{Reports: 1}, standingOf(w, w.Jane), "nothing crosses from one environment to another")
		mailed(w, s) // and acme's Jane still gets mail
	})
}

func TestATenThousandfoldReportCostsItsSize(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		var more []string
		for i := range 10_000 {
			more = append(more, fmt.Sprintf("\r\nFinal-Recipient: rfc822; user%d@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", i))
		}
		more = append([]string{"\r\nFinal-Recipient: rfc822; jane@acme.example\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; " + fullBox + "\r\n"}, more...)
		var took delivery.Took
		require.Less(t, effort.Of(func() {
			took = take(w, path, report("failed", "5.1.1", "first@acme.example", "550 5.1.1 no such user", more...))
		}), 5*time.Second)
		require.Equal(t, delivery.Taken, took.Verdict)
		require.Equal(t, standing{"", cases.Bounced, 1}, standingOf(w, w.Jane), "ours is the one that counts")
	})
}

func TestAMessageCollectsOnlySoManyReports(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		for i := range 40 {
			take(w, path, report("delayed", "4.4.1", fmt.Sprintf("x%d@acme.example", i), "timed out"))
		}
		require.Equal(t, 10, standingOf(w, w.Jane).Reports)
		take(w, path, hardBounce())
		require.Equal(t, standing{"no-such-mailbox", cases.Bounced, 11}, standingOf(w, w.Jane), "there is room for the last word")
	})
}

// TestAReportThatQuotesOurMailGivesNothingAway: its link and code still work.
func TestAReportThatQuotesOurMailGivesNothingAway(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		link, code := linkIn(s.mails()[0]), codeIn(s.mails()[0])
		quoted := "550 5.1.1 user unknown, you wrote: " + link + " and " + code
		take(w, path, report("failed", "5.1.1", "jane@acme.example", quoted))
		take(w, path, "From: MAILER-DAEMON@old.example\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at old.example.\r\n\r\n"+
			"<jane@acme.example>:\r\nSorry, no mailbox here by that name. (#5.1.1) "+link+"\r\n"+code+"\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n"+s.mails()[0])
		all := ""
		w.View(func(tx *db.Tx) error {
			rows, err := db.All[string](tx, "SELECT reply || reporter || recipient || fingerprint FROM reports UNION ALL SELECT reply FROM suppressions UNION ALL SELECT detail FROM events")
			all = strings.Join(rows, "\n")
			return err
		})
		require.Contains(t, all, "user unknown")
		require.NotContains(t, all, link[strings.LastIndexByte(link, '/')+1:])
		require.NotContains(t, all, code)
	})
}

// TestALongDelayOpensACase, a short one does not: greylists are usual.
func TestALongDelayOpensACase(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		delay := report("delayed", "4.4.1", "jane@acme.example", "451 4.4.1 connection timed out")
		require.Equal(t, delivery.Taken, take(w, path, delay).Verdict)
		require.Equal(t, standing{Reports: 1}, standingOf(w, w.Jane))
		w.Clock.Advance(6 * time.Minute)
		require.Equal(t, delivery.Replayed, take(w, path, delay).Verdict, "some servers repeat themselves")
		require.Equal(t, standing{"", cases.Waiting, 1}, standingOf(w, w.Jane))
	})
}

// TestReturnedMailComesIn: through the listener, as servers send it.
func TestReturnedMailComesIn(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		address, stop, err := w.App.ListenForReturned()
		require.NoError(t, err)
		defer stop()
		path := mailed(w, s)
		c, err := smtp.Dial(address)
		require.NoError(t, err)
		require.NoError(t, c.Mail(""))
		require.NoError(t, c.Rcpt(path+"@"+bounceDomain), "who checks whether our sender exists gets here")
		body, err := c.Data()
		require.NoError(t, err)
		_, err = body.Write([]byte(hardBounce()))
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.NoError(t, c.Quit())
		require.Equal(t, standing{"no-such-mailbox", cases.Bounced, 1}, standingOf(w, w.Jane))
	})
}
