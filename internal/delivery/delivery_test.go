package delivery_test

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/testkit"
)

func TestAServerThatIsDownGetsTheMailLater(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		askForJane(w)
		first := until(w, "deferred", 1)
		require.Equal(t, "connect", lines(first)[0])
		require.Equal(t, servers[0].addr, *first.Attempts[0].Server)

		up := startServer(t, servers[0].addr)
		pause(w)
		sent := until(w, "sent", 2)
		require.Equal(t, []string{"connect", "data 250 2.0.0"}, lines(sent), "both on the timeline")
		require.Equal(t, first.MessageID, sent.MessageID)
		require.Len(t, up.mails(), 1)
		require.Equal(t, "<"+*sent.MessageID+">", header(up.mails()[0], "Message-ID"))
		require.Equal(t, "auto-generated", header(up.mails()[0], "Auto-Submitted"))

		admin := w.Browser()
		admin.SignIn(w.Admin.Email, testkit.Passphrase)
		log := admin.Get("/acme/users/" + string(w.Jane.ID)).Text()
		require.Contains(t, log, "Reset mail not taken yet by "+up.addr)
		require.Contains(t, log, "Reset mail taken by "+up.addr)
	}, "down")
}

func TestWhatTheServerSaysAboutTheRecipientCounts(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.answer("RCPT", always("550 5.1.1 no such user"))
		askForJane(w)
		refused := until(w, "refused", 1)
		require.Equal(t, []string{"rcpt 550 5.1.1"}, lines(refused))
		require.Equal(t, "550 5.1.1 no such user", *refused.Attempts[0].Reply)
		require.Zero(t, count(w, "SELECT count(*) FROM jobs"), "it is not tried again")
		allowMail(w) // which the refusal stopped

		s.answer("RCPT", always("450 4.2.1 later please"))
		askForJane(w)
		deferred := until(w, "deferred", 1)
		require.Equal(t, []string{"rcpt 450 4.2.1"}, lines(deferred))
		require.Empty(t, s.mails())
		s.answer("RCPT", nil)
		pause(w)
		require.Equal(t, []string{"rcpt 450 4.2.1", "data 250 2.0.0"}, lines(until(w, "sent", 2)))
		require.Len(t, s.mails(), 1)
	}, "up")
}

func TestARetryComesAfterAPause(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		servers[0].answer("MAIL", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		due := time.UnixMicro(int64(count(w, "SELECT due_at FROM jobs")))
		after := due.Sub(w.Clock.Now())
		require.LessOrEqual(t, after, 2*time.Second)
		later(w, after+time.Millisecond)
		until(w, "deferred", 2)
		due = time.UnixMicro(int64(count(w, "SELECT due_at FROM jobs")))
		require.Greater(t, due.Sub(w.Clock.Now()), 1500*time.Millisecond, "the second pause is longer")
	}, "up")
}

// TestAnUnknownOutcomeIsTriedAgain: better twice with one Message-ID than never.
func TestAnUnknownOutcomeIsTriedAgain(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.answer(".", always(hangUp))
		askForJane(w)
		first := until(w, "deferred", 1)
		require.Equal(t, []string{"data"}, lines(first))
		require.Equal(t, 1, count(w, "SELECT count(*) FROM attempts WHERE outcome = 'unknown'"))
		s.answer(".", nil)
		pause(w)
		until(w, "sent", 2)
		mails := s.mails()
		require.Len(t, mails, 2)
		require.NotEmpty(t, header(mails[0], "Message-ID"))
		require.Equal(t, mails[0], mails[1], "the same mail, to the octet, with the same link")
	}, "up")
}

func TestAServerThatHangsUpInTheMessage(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.answer("text", always(hangUp))
		askForJane(w)
		first := until(w, "deferred", 1)
		s.answer("text", nil)
		pause(w)
		require.Equal(t, first.MessageID, until(w, "sent", 2).MessageID)
		require.Len(t, s.mails(), 1)
	}, "up")
}

func TestServersAreTriedInOrder(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		servers[1].answer("MAIL", always("421 4.3.2 going down"))
		askForJane(w)
		sent := until(w, "sent", 3)
		require.Equal(t, []string{"connect", "mail 421 4.3.2", "data 250 2.0.0"}, lines(sent))
		for i, s := range servers {
			require.Equal(t, s.addr, *sent.Attempts[i].Server)
		}
		require.Empty(t, servers[1].mails())
		require.Len(t, servers[2].mails(), 1)
	}, "down", "up", "up")
}

func TestADeadLinkIsNotMailed(t *testing.T) {
	for name, kill := range map[string]func(w *testkit.World){
		"cancelled": func(w *testkit.World) {
			_, err := w.App.Recovery.CancelToken(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
			require.NoError(w.T, err)
		},
		"expired":     func(w *testkit.World) { later(w, 25*time.Hour) },
		"key revoked": func(w *testkit.World) { require.NoError(w.T, w.App.Ring.Revoke(w.Ctx(), 1)) },
		"deactivated": func(w *testkit.World) {
			_, _, err := w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
			require.NoError(w.T, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
				servers[0].answer("MAIL", always("451 4.3.0 busy"))
				askForJane(w)
				until(w, "deferred", 1)
				kill(w)
				servers[0].answer("MAIL", nil)
				pause(w)
				require.Len(t, until(w, "not needed", 1).Attempts, 1)
				require.Empty(t, servers[0].mails())
				require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
				admin := w.Browser()
				admin.SignIn(w.Admin.Email, testkit.Passphrase)
				require.Contains(t, admin.Get("/acme/users/"+string(w.Jane.ID)).Text(), "not sent: no longer needed")
			}, "up")
		})
	}
}

func TestADeletedUserGetsNoMail(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		servers[0].answer("MAIL", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		_, err := w.App.UserManager.Delete(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		servers[0].answer("MAIL", nil)
		pause(w)
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM jobs") == 0 }, patience, 10*time.Millisecond)
		require.Empty(t, servers[0].mails())
	}, "up")
}

// TestAUserDeletedWhileTheServerThinks: nothing is left to write down, and nothing
// has failed.
func TestAUserDeletedWhileTheServerThinks(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		asked, answer := make(chan struct{}), make(chan struct{})
		servers[0].answer("RCPT", func() string { close(asked); <-answer; return "451 4.3.0 busy" })
		askForJane(w)
		<-asked
		promised(w)
		_, err := w.App.UserManager.Delete(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		close(answer)
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM jobs") == 0 }, patience, 10*time.Millisecond)
		require.NotContains(t, w.Log.String(), "level=ERROR")
	}, "up")
}

// TestAMailIsGivenUpInTheEnd: one without a link after three days; whatever
// cannot be written at all, too.
func TestAMailIsGivenUpInTheEnd(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.answer("MAIL", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		_, err := w.App.Recovery.ResetPassword(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID, false) // queues the notice
		require.NoError(t, err)
		require.Equal(t, "admin-link", until(w, "deferred", 1).Kind)
		later(w, 71*time.Hour)
		until(w, "deferred", 2)
		later(w, 2*time.Hour)
		until(w, "given up", 3)

		s.answer("MAIL", nil)
		_, err = w.App.Recovery.SendResetLink(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		until(w, "sent", 1)
		s.answer("MAIL", always("451 4.3.0 busy"))
		_, err = w.App.Recovery.ResetPassword(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID, false)
		require.NoError(t, err)
		until(w, "deferred", 1)
		change(w, "UPDATE links SET key_id = 77 WHERE purpose = 'not-me'") // there is no such key
		later(w, 73*time.Hour)
		until(w, "given up", 1)
		require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
	}, "up")
}

// TestNoSecretIsStored: not even when the server repeats the mail in its answer.
func TestNoSecretIsStored(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.answer(".", func() string {
			mails := s.mails()
			echo := strings.Join(strings.Fields(mails[len(mails)-1]), " ")
			return "451-4.7.1 I do not like this:\r\n451-" + echo[:min(len(echo), 400)] + "\r\n451-" + linkIn(mails[0]) + " " + codeIn(mails[0]) + "\r\n451 4.7.1 sorry"
		})
		askForJane(w)
		until(w, "deferred", 1)
		link, code := linkIn(s.mails()[0]), codeIn(s.mails()[0])
		require.NotEmpty(t, link)
		require.NotEmpty(t, code)
		var rows []string
		w.View(func(tx *db.Tx) error {
			for _, query := range []string{
				"SELECT id || message_id || link_id || not_me_id || detail || state || to_email FROM messages",
				"SELECT server || stage || enhanced || reply || conversation FROM attempts",
				"SELECT subject || lease_holder FROM jobs", "SELECT detail FROM events", "SELECT address || agent || outcome FROM requests",
			} {
				found, err := db.All[string](tx, query)
				require.NoError(t, err)
				rows = append(rows, found...)
			}
			return nil
		})
		all := strings.Join(rows, "\n") + w.Log.String()
		require.Contains(t, all, "I do not like this")
		require.NotContains(t, all, link[strings.LastIndexByte(link, '/')+1:])
		require.NotContains(t, all, code)
	}, "up")
}

var (
	aloneLink = regexp.MustCompile(`(?m)^http\S+/reset-password/\S+`)
	aloneCode = regexp.MustCompile(`(?m)^[0-9]{8}\r?$`)
)

func linkIn(mail string) string { return strings.TrimSpace(aloneLink.FindString(mail)) }
func codeIn(mail string) string { return strings.TrimSpace(aloneCode.FindString(mail)) }

// TestStartTLSIsDemanded: without it nothing is said in clear text.
func TestStartTLSIsDemanded(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		askForJane(w)
		deferred := until(w, "deferred", 1)
		require.Equal(t, "tls", lines(deferred)[0])
		require.NotContains(t, servers[0].commands(), "MAIL")
		require.NotContains(t, servers[0].commands(), "jane")
	}, "starttls")
}

// TestASlowServerHoldsNobodyUp: it gets the mail once, however long it takes,
// and asking goes on meanwhile.
func TestASlowServerHoldsNobodyUp(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		reached, release := make(chan struct{}, 10), make(chan struct{})
		s.answer(".", func() string { reached <- struct{}{}; <-release; return "250 2.0.0 at last" })
		askForJane(w)
		<-reached
		promised(w)
		// Six seconds twice: no lease of ten lasts so long without being renewed.
		leased := func() int { return count(w, "SELECT max(leased_until) FROM jobs") }
		before := leased()
		w.Clock.Advance(6 * time.Second)
		require.Eventually(t, func() bool { return leased() > before }, patience, 20*time.Millisecond, "the lease is not renewed")
		w.Clock.Advance(6 * time.Second)
		askForJane(w)
		<-reached // the second mail: the workers have looked for work, and left the first alone
		require.Len(t, s.mails(), 2)
		require.Equal(t, 1, count(w, "SELECT max(tries) FROM jobs"))
		close(release)
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM jobs") == 0 }, patience, 20*time.Millisecond)
		mails := s.mails()
		require.Len(t, mails, 2)
		require.NotEqual(t, header(mails[0], "Message-ID"), header(mails[1], "Message-ID"), "two askings, two mails, no copy")
	}, "up")
}

// TestALostLeaseSaysNothing: whoever has the job now has the last word on the mail.
func TestALostLeaseSaysNothing(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		reached, release := make(chan struct{}, 10), make(chan struct{})
		s.answer("RCPT", func() string { reached <- struct{}{}; <-release; return "550 5.1.1 no such user" })
		askForJane(w)
		<-reached
		promised(w)
		// Another node took it over and got it through.
		change(w, "DELETE FROM jobs")
		change(w, "UPDATE messages SET state = 'sent'")
		close(release)
		require.Eventually(t, func() bool { return len(newest(w).Attempts) == 1 }, patience, 10*time.Millisecond)
		require.Equal(t, []string{"rcpt 550 5.1.1"}, lines(newest(w)), "what was said is kept")
		require.Equal(t, "sent", newest(w).State, "the state is theirs")
	}, "up")
}

func TestEveryLinkBeginsWithThePublicAddress(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	public, err := url.Parse("https://login.example.com")
	require.NoError(t, err)
	w := testkit.New(t, testkit.Database(t, "sqlite"), func(c *config.Config) {
		c.SMTP, c.URL = "smtp://"+s.addr+"?tls=none", public
	})
	askForJane(w)
	until(w, "sent", 1)
	mail := s.mails()[0]
	require.Contains(t, linkIn(mail), "https://login.example.com/acme/reset-password/")
	require.NotContains(t, mail, "127.0.0.1")
	require.Contains(t, s.commands(), "EHLO login.example.com")
}

func TestWithoutAServerMailsWait(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, _ []*mailServer) {
		askForJane(w)
		deferred := until(w, "deferred", 1)
		require.Equal(t, []string{"connect"}, lines(deferred))
		require.Contains(t, *deferred.Attempts[0].Reply, "no mail server is configured")
	})
}

// TestAServerWithoutANameSends: where the public address is an IP address, so is
// the sender's domain.
func TestAServerWithoutANameSends(t *testing.T) {
	t.Parallel()
	for public, sender := range map[string]string{
		"http://192.0.2.1:8080": "no-reply@[192.0.2.1]", "http://[2001:db8::1]:8080": "no-reply@[IPv6:2001:db8::1]", "http://localhost:8080": "no-reply@localhost",
	} {
		t.Run(public, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "")
			conf, err := config.Load(nil, []string{"SPAREKEY_URL=" + public}, "")
			require.NoError(t, err)
			w := testkit.New(t, testkit.Database(t, "sqlite"), func(c *config.Config) {
				c.SMTP, c.URL, c.MailFrom = "smtp://"+s.addr+"?tls=none", conf.URL, conf.MailFrom
			})
			askForJane(w)
			sent := until(w, "sent", 1)
			require.Contains(t, s.commands(), "MAIL FROM:<"+sender+">")
			require.Equal(t, `"Sparekey" <`+sender+">", header(s.mails()[0], "From"))
			require.Equal(t, "<"+*sent.MessageID+">", header(s.mails()[0], "Message-ID"))
			require.Contains(t, linkIn(s.mails()[0]), public+"/acme/reset-password/")
		})
	}
}

// TestATokenThatIsCancelledOnTheWayIsNotMailed: an asking that still waits is worked
// on by the click that cancels what comes of it.
func TestATokenThatIsCancelledOnTheWayIsNotMailed(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		change(w, `INSERT INTO requests (environment_id, id, case_number, address, address_key, network, agent, made_at)
			VALUES ($1, $2, '7K2Q9M', 'jane@acme.example', 'jane@acme.example', '192.0.2.7', '', $3)`,
			w.Acme.ID, id.New[id.Request](), w.Clock.Now())
		_, err := w.App.Recovery.CancelToken(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
		require.NoError(t, err)
		until(w, "not needed", 0)
		require.Empty(t, servers[0].mails())
		require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
	}, "plain")
}

// TestAMailWhosePromiseComesToNothingIsNotSent, though it was made ready while its
// promise was being committed.
func TestAMailWhosePromiseComesToNothingIsNotSent(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		undone := errors.New("undone")
		for range 20 {
			require.ErrorIs(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
				return errors.Join(undone, notice.NewSignIn(tx, w.Acme, notice.To{User: w.Jane.ID, Name: "Jane Doe", Email: "jane@acme.example"}, access.Actor{}))
			}), undone)
		}
		askForJane(w)
		until(w, "sent", 1)
		require.Len(t, servers[0].mails(), 1)
		require.Equal(t, 1, count(w, "SELECT count(*) FROM attempts"))
	}, "plain")
}
