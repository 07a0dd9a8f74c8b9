package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// wait tells how long the next try is away.
func wait(w *testkit.World) time.Duration {
	w.T.Helper()
	return time.UnixMicro(int64(count(w, "SELECT due_at FROM jobs"))).Sub(w.Clock.Now())
}

// class gives the class of Jane's newest attempt.
func class(w *testkit.World) string {
	w.T.Helper()
	shown := newest(w)
	require.NotEmpty(w.T, shown.Attempts)
	return classes(w)[len(shown.Attempts)-1]
}

func TestARefusalOfTheAddressStopsMailAndOpensACase(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("550 5.1.1 <jane@acme.example>: Recipient address rejected: User unknown in local recipient table"))
		askForJane(w)
		until(w, "refused", 1)
		require.Equal(t, standing{Suppressed: "no-such-mailbox", Case: cases.Refused}, standingOf(w, w.Jane))
		require.Equal(t, "no-such-mailbox", class(w))
		require.Zero(t, count(w, "SELECT count(*) FROM messages WHERE accepted_at IS NOT NULL"))

		s.answer("RCPT", nil)
		askForJane(w)
		until(w, "held back", 0)
		require.Empty(t, s.mails())
		require.Equal(t, 1, count(w, "SELECT count(*) FROM cases"), "one place in the queue")
	})
}

// TestAStoppedAddressStopsEveryMail: notices too, but not those to another address.
func TestAStoppedAddressStopsEveryMail(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("550 5.1.1 user unknown"))
		askForJane(w)
		until(w, "refused", 1)
		s.answer("RCPT", nil)
		_, err := w.App.UserManager.Edit(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID,
			usermanager.Change{Name: w.Jane.Name, Email: "jane.doe@acme.example", Role: w.Jane.Role})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(s.mails()) == 1 }, patience, 10*time.Millisecond)
		require.Contains(t, s.mails()[0], "To: <jane.doe@acme.example>")
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM messages WHERE state = 'held back'") == 1 }, patience, 10*time.Millisecond, "the notice to the old one")
	})
}

// TestOnlyWhatWasMailedIsCalledMailed, in the ledger of a user's links.
func TestOnlyWhatWasMailedIsCalledMailed(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		admin := w.Browser()
		admin.SignIn(w.Admin.Email, testkit.Passphrase)
		ledger := func() string {
			_, after, found := strings.Cut(admin.Get("/acme/users/"+string(w.Jane.ID)).Body, `id="links"`)
			require.True(t, found)
			links, _, _ := strings.Cut(after, "</section>")
			return links
		}
		mailed(w, s)
		require.Contains(t, ledger(), "Mailed")

		s.answer("RCPT", always("450 4.2.0 Greylisted"))
		askForJane(w)
		until(w, "deferred", 1)
		require.Contains(t, ledger(), "Mail waiting")
		require.NotContains(t, ledger(), "Mailed again")

		s.answer("RCPT", always("550 5.1.1 user unknown"))
		askForJane(w)
		until(w, "refused", 1)
		askForJane(w)
		until(w, "held back", 0)
		require.Contains(t, ledger(), "Mail refused")
		require.Contains(t, ledger(), "Not mailed")
		require.NotContains(t, ledger(), "Mailed again")

		shown, err := w.App.Recovery.ResetPassword(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID, true)
		require.NoError(t, err)
		states := map[outbox.State]int{}
		for _, state := range shown.Mails {
			states[state]++
		}
		require.Equal(t, map[outbox.State]int{outbox.Sent: 1, outbox.Deferred: 1, outbox.Refused: 1, outbox.Held: 1}, states)

		take(w, s.paths()[0], hardBounce())
		require.Contains(t, ledger(), "Mailed, came back")
	})
}

// TestWhatTheFilterRefusesGoesOnceMoreAsCode, and not a third time.
func TestWhatTheFilterRefusesGoesOnceMoreAsCode(t *testing.T) {
	for _, refusal := range []string{"554 5.7.1 Message rejected as spam by content filter", "552 5.3.4 Message size exceeds fixed maximum message size"} {
		t.Run(refusal[:3], func(t *testing.T) {
			eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
				s.answer(".", always(refusal))
				askForJane(w)
				until(w, "deferred", 1)
				require.Less(t, wait(w), 5*time.Second)
				later(w, 5*time.Second)
				until(w, "refused", 2)
				mails := s.mails()
				require.Len(t, mails, 2)
				require.NotContains(t, mails[1], "http")
				require.NotContains(t, mails[1], "text/html")
				require.Equal(t, codeIn(mails[0]), codeIn(mails[1]))
				require.Equal(t, header(mails[0], "Message-ID"), header(mails[1], "Message-ID"))
				require.Equal(t, standing{Case: cases.Refused}, standingOf(w, w.Jane), "the address is as good as before")

				s.answer(".", nil)
				askForJane(w)
				until(w, "sent", 1)
				require.NotEmpty(t, linkIn(s.mails()[2]), "the next one is whole again")

				// A mail without a code has no shorter form.
				s.answer(".", always(refusal))
				_, err := w.App.Recovery.ResetPassword(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID, false)
				require.NoError(t, err)
				require.Equal(t, "admin-link", until(w, "refused", 1).Kind)
			})
		})
	}
}

// TestOurOwnServersRefusalWaitsForItsRepair whatever its code.
func TestOurOwnServersRefusalWaitsForItsRepair(t *testing.T) {
	for command, refusal := range map[string]string{
		"MAIL": "530 5.7.0 Authentication required", "RCPT": "554 5.7.1 Email address is not verified. The following identities failed the check in region EU-WEST-1: no-reply@sparekey.example",
	} {
		t.Run(command, func(t *testing.T) {
			eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
				s.answer(command, always(refusal))
				askForJane(w)
				until(w, "deferred", 1)
				require.Equal(t, "own-setup", class(w))
				require.LessOrEqual(t, wait(w), 2*time.Second, "it is tried as soon as it is repaired")
				s.answer(command, nil)
				pause(w)
				until(w, "sent", 2)
				require.Empty(t, standingOf(w, w.Jane).Suppressed)
			})
		})
	}
}

// TestAnUnknownOutcomeGetsTime: the server may have it, so not at once again.
func TestAnUnknownOutcomeGetsTime(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer(".", always(hangUp))
		askForJane(w)
		until(w, "deferred", 1)
		require.Greater(t, wait(w), 9*time.Minute)
		require.LessOrEqual(t, wait(w), 10*time.Minute+time.Second) // the database has a clock of its own
		later(w, 9*time.Minute)
		require.Len(t, s.mails(), 1)
		// It came through after all, and failed later: that is believed.
		take(w, s.paths()[0], report("failed", "5.2.2", "jane@acme.example", fullBox))
		require.Equal(t, 1, standingOf(w, w.Jane).Reports)
		s.answer(".", nil)
		later(w, 2*time.Minute)
		until(w, "sent", 2)
		mails := s.mails()
		require.Len(t, mails, 2)
		require.Equal(t, mails[0], mails[1])
		require.Equal(t, s.paths()[0], s.paths()[1], "greylists key on the return path")
	})
}

// TestAnUnknownOutcomeThatWasADelivery ends the trying: the mail is there.
func TestAnUnknownOutcomeThatWasADelivery(t *testing.T) {
	for name, c := range map[string]struct{ report, class string }{
		"delivered": {report("delivered", "2.0.0", "jane@acme.example", "250 2.0.0 ok"), "delivered"}, "away": {outOfOffice, "auto-reply"},
	} {
		t.Run(name, func(t *testing.T) {
			eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
				s.answer(".", always(hangUp))
				askForJane(w)
				until(w, "deferred", 1)
				require.Equal(t, cases.Waiting, standingOf(w, w.Jane).Case)
				s.answer(".", nil)
				require.Equal(t, delivery.Taken, take(w, s.paths()[0], c.report).Verdict)
				require.Equal(t, "sent", newest(w).State)
				require.Equal(t, c.class, told(w))
				require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
				later(w, time.Hour)
				require.Len(t, s.mails(), 1)
			})
		})
	}
}

// TestADeliveryDuringTheNextTryHasTheLastWord, whatever that try comes to.
func TestADeliveryDuringTheNextTryHasTheLastWord(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer(".", always(hangUp))
		askForJane(w)
		until(w, "deferred", 1)
		s.answer(".", func() string {
			take(w, s.paths()[0], report("delivered", "2.0.0", "jane@acme.example", "250 2.0.0 ok"))
			return "451 4.3.0 busy"
		})
		later(w, wait(w)+time.Second)
		require.Len(t, until(w, "sent", 2).Attempts, 2)
		require.Equal(t, "delivered", told(w))
		require.Zero(t, count(w, "SELECT count(*) FROM jobs"))
	})
}

// TestWhoWaitsTooLongStandsInTheQueue, but not for the usual greylist.
func TestWhoWaitsTooLongStandsInTheQueue(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("450 4.2.0 <jane@acme.example>: Recipient address rejected: Greylisted"))
		askForJane(w)
		until(w, "deferred", 1)
		require.Equal(t, "greylisted", class(w))
		require.Empty(t, standingOf(w, w.Jane).Case)
		for tries := 2; tries <= 3; tries++ {
			later(w, wait(w)+time.Second)
			until(w, "deferred", tries)
		}
		require.Equal(t, cases.Waiting, standingOf(w, w.Jane).Case)
	})
}

// TestOurOwnServersBeingDownOpensACase once the mail is five minutes late.
func TestOurOwnServersBeingDownOpensACase(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("MAIL", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		require.Empty(t, standingOf(w, w.Jane).Case)
		later(w, 6*time.Minute)
		require.Eventually(t, func() bool { return standingOf(w, w.Jane).Case == cases.Waiting }, patience, 10*time.Millisecond)
	})
}

// TestASoftRefusalIsTriedAgainEvenIfItsCodeSaysNever.
func TestASoftRefusalIsTriedAgainEvenIfItsCodeSaysNever(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("552 5.2.2 <jane@acme.example>: mailbox is over quota"))
		askForJane(w)
		until(w, "deferred", 1)
		require.Equal(t, "mailbox-full", class(w))
		require.Equal(t, standing{Case: cases.Waiting}, standingOf(w, w.Jane))
		s.answer("RCPT", nil)
		later(w, wait(w)+time.Second)
		until(w, "sent", 2)
		require.Equal(t, 1, count(w, "SELECT count(*) FROM messages WHERE accepted_at IS NOT NULL"))
	})
}

// TestAnAnswerOutOfStepIsNoDelivery: whatever its code, the server did not take the
// mail, so it is tried again.
func TestAnAnswerOutOfStepIsNoDelivery(t *testing.T) {
	for name, c := range map[string]struct{ command, answer, stage string }{
		"message not asked for": {"DATA", "250 2.0.0 fine", "data"},
		"odd answer to RCPT":    {"RCPT", "354 go on", "rcpt"},
		"endless at RCPT":       {"RCPT", strings.Repeat("250-2.1.5 fine\r\n", 9<<20/16) + "250 2.1.5 fine", "rcpt"},
		"endless no at RCPT":    {"RCPT", strings.Repeat("550-5.1.1 no such user\r\n", 9<<20/24) + "550 5.1.1 no such user", "rcpt"},
		"long line at DATA":     {"DATA", "250 delivered " + strings.Repeat("x", 5000), "data"},
		"words of a report":     {"RCPT", "450 {\"event\":\"delivered\"}", "rcpt"},
		"words of a delay":      {"RCPT", "451 4.4.1 message delayed, it will be retried", "rcpt"},
	} {
		t.Run(name, func(t *testing.T) {
			eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
				s.answer(c.command, always(c.answer))
				askForJane(w)
				m := until(w, "deferred", 1)
				require.Equal(t, c.stage, *m.Attempts[0].Stage)
				require.Equal(t, "receiver-trouble", class(w))
				require.Contains(t, []string{"deferred", "receiver-trouble"}, told(w))
				require.Empty(t, standingOf(w, w.Jane).Suppressed)
				s.answer(c.command, nil)
				later(w, wait(w)+time.Second)
				until(w, "sent", 2)
				require.Len(t, s.mails(), 1)
			})
		})
	}
}

// TestAServerOutOfStepLeavesTheMailToTheNext at once.
func TestAServerOutOfStepLeavesTheMailToTheNext(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		servers[0].answer("DATA", always("250 2.0.0 fine"))
		askForJane(w)
		until(w, "sent", 2)
		require.Len(t, servers[1].mails(), 1)
		require.Equal(t, []string{"receiver-trouble", ""}, classes(w))
	}, "up", "up")
}

// classes gives those of Jane's newest mail, in order.
func classes(w *testkit.World) []string {
	w.T.Helper()
	var all []string
	for n := range len(newest(w).Attempts) {
		all = append(all, text(w, fmt.Sprintf(`SELECT class FROM attempts WHERE number = %d
			AND message = (SELECT id FROM messages WHERE user_id = $1 ORDER BY made_at DESC, id DESC LIMIT 1)`, n+1), w.Jane.ID))
	}
	return all
}

// TestASlowServerDoesNotMakeAMailStuck: while it is handed over it waits for nobody
// of ours.
func TestASlowServerDoesNotMakeAMailStuck(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		taken, release := make(chan struct{}), make(chan struct{})
		answer := sync.OnceFunc(func() { close(release) })
		t.Cleanup(answer)
		s.answer("RCPT", nil)
		s.answer(".", func() string { close(taken); <-release; return "250 2.0.0 taken" })
		later(w, wait(w)+time.Second)
		<-taken
		change(w, "UPDATE messages SET next_try_at = $1", w.Clock.Now().Add(-4*time.Minute))
		require.Equal(t, "queued", told(w))
		require.Contains(t, sentence(w), "is being handed to a mail server")
		answer()
		until(w, "sent", 2)
	})
}

// TestABrokenConnectionBrokeAtItsEnd, not when it began.
func TestABrokenConnectionBrokeAtItsEnd(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer(".", func() string { w.Clock.Advance(5 * time.Minute); return hangUp })
		began := w.Clock.Now()
		askForJane(w)
		until(w, "deferred", 1)
		require.Contains(t, sentence(w), "may have arrived")
		since := *shownMail(w).Since
		require.Greater(t, since.Sub(began), 5*time.Minute-time.Second)
		admin := w.Browser()
		admin.SignIn(w.Admin.Email, testkit.Passphrase)
		require.Contains(t, admin.Get("/acme/users/"+string(w.Jane.ID)).Body, "Reset mail perhaps taken by 127.0.0.1")
	})
}

// TestWhatOurOwnServerSaidCountsForNoPauseOfTheRecipients: its first "later" is the first.
func TestWhatOurOwnServerSaidCountsForNoPauseOfTheRecipients(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		pauseAfter := func(attempts int) time.Duration {
			until(w, "deferred", attempts)
			return wait(w)
		}
		s.answer("RCPT", always("451 4.3.0 Temporary system problem"))
		askForJane(w)
		first := pauseAfter(1)
		change(w, "DELETE FROM attempts")
		change(w, "DELETE FROM jobs")
		change(w, "DELETE FROM messages")

		s.answer("RCPT", nil)
		s.answer("MAIL", always("451 4.3.0 busy"))
		askForJane(w)
		pauseAfter(1)
		s.answer("MAIL", nil)
		s.answer("RCPT", always("451 4.3.0 Temporary system problem"))
		later(w, wait(w)+time.Second)
		require.InDelta(t, first.Seconds(), pauseAfter(2).Seconds(), first.Seconds()/3)
	})
}

// TestAHandOverThatIsCutShortIsWrittenDown: the server stops while another one has
// the whole mail and has not answered.
func TestAHandOverThatIsCutShortIsWrittenDown(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		s.answer("RCPT", nil)
		ctx, stop := context.WithCancel(t.Context())
		s.answer(".", func() string { stop(); <-t.Context().Done(); return hangUp })
		message := text(w, "SELECT id FROM messages")
		j := outbox.Job{Environment: w.Acme.ID, Subject: message, Tries: 2}
		require.NoError(t, w.App.DB.View(ctx, func(tx *db.Tx) (err error) { j.Loaded, err = w.App.Delivery.Load(tx, j); return err }))
		require.NoError(t, w.App.Delivery.Send(ctx, j))
		require.Equal(t, []string{"rcpt 451 4.3.0", "data"}, lines(newest(w)))
		require.Equal(t, 1, count(w, "SELECT count(*) FROM attempts WHERE outcome = 'unknown'"))
	})
}

// TestWhatNobodyHandsOverIsStuck: a lease that ran out counts for nothing.
func TestWhatNobodyHandsOverIsStuck(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		s.answer("RCPT", always("451 4.3.0 busy"))
		askForJane(w)
		until(w, "deferred", 1)
		due := w.Clock.Now().Add(wait(w))
		change(w, "UPDATE jobs SET due_at = $1, leased_until = $2, lease_holder = 'gone'", due.Add(24*time.Hour), due.Add(time.Minute))
		w.Clock.Advance(due.Sub(w.Clock.Now()) + 2*time.Minute)
		require.Equal(t, "stuck", told(w))
	})
}

// told gives the class of Jane's recovery, sentence what administrators read.
func told(w *testkit.World) string { return *shownMail(w).Class }

func sentence(w *testkit.World) string { return *shownMail(w).Sentence }

func shownMail(w *testkit.World) usermanager.ShownMail {
	w.T.Helper()
	shown, err := w.App.UserManager.Show(w.Ctx(), access.Operator(), w.Acme, "jane@acme.example")
	require.NoError(w.T, err)
	require.NotNil(w.T, shown.Mail.Class)
	return shown.Mail
}
