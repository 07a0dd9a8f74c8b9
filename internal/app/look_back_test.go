package app_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/testkit"
)

// crowd lets people at one domain ask for a reset and gives the links mailed.
func crowd(w *testkit.World, n int) []string {
	w.T.Helper()
	links := make([]string, n)
	for i := range links {
		email := fmt.Sprintf("p%d@far.example", i)
		w.AddUser(w.Acme, email, fmt.Sprintf("Person %d", i), access.Member)
		for range 2 { // some ask twice and open one of the two
			w.Browser().Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
		}
	}
	require.Eventually(w.T, func() bool {
		taken := 0
		w.View(func(tx *db.Tx) (err error) {
			taken, err = db.One[int](tx, "SELECT count(*) FROM messages WHERE accepted_at IS NOT NULL")
			return err
		})
		return taken == 2*n
	}, 20*time.Second, 10*time.Millisecond)
	for i := range links {
		links[i] = w.Mail(fmt.Sprintf("p%d@far.example", i), "Reset your password").LinkTo("/reset-password/")
	}
	return links
}

// lookBack looks and gives what stands afterwards.
func lookBack(w *testkit.World) map[alarm.Name]alarm.Alarm {
	w.T.Helper()
	require.NoError(w.T, w.App.LookBack(w.Ctx()))
	return alarmsOf(w)
}

func TestADomainWhereNobodyOpensTheirMailIsAnAlarm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		links := crowd(w, 12)
		for _, link := range links[:3] {
			w.Browser().Get(link)
		}
		require.Empty(t, lookBack(w), "they have had no time")
		w.Clock.Advance(61 * time.Minute)
		hidden := lookBack(w)[alarm.NeverOpened]
		require.Equal(t, "far.example", hidden.About)
		require.Contains(t, hidden.Sentence, "took our mail for 12 people in a day, and 9 of them opened nothing")
		require.NotContains(t, hidden.Sentence, "@", "operators read counts, never people")

		for _, link := range links[3:9] {
			w.Browser().Get(link)
		}
		w.Clock.Advance(31 * time.Minute)
		require.Empty(t, lookBack(w), "a quarter is usual, and the alarm ends by itself")
	}, noNetworkLimit)
}

func TestAFewMailsSayNothingOfADomain(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		crowd(w, 9)
		w.Clock.Advance(61 * time.Minute)
		require.Empty(t, lookBack(w))
	}, noNetworkLimit)
}

func TestComplaintsAreAnAlarmByTheirShare(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		crowd(w, 3)
		complain := func(n int) {
			require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
				mails, err := db.All[id.Message](tx, "SELECT id FROM messages ORDER BY id")
				require.NoError(t, err)
				_, err = outbox.RecordReport(tx, w.Acme.ID, outbox.Report{Message: mails[n], At: tx.Now(), Source: "mail", Kind: "complaint", Fingerprint: "x"})
				return err
			}))
		}
		complain(0)
		require.Empty(t, lookBack(w), "one of a few is one person's opinion")
		complain(1)
		require.Contains(t, lookBack(w)[alarm.Complaints].Sentence, "2 of 6 mails of the last 24 hours")

		// The same two among very many are less than one in a thousand.
		require.NoError(t, w.App.DB.Update(db.Long(w.Ctx()), func(tx *db.Tx) error {
			for range 2_000 {
				_, err := tx.Exec(`INSERT INTO messages (environment_id, id, user_id, kind, to_name, to_email, message_id, state, made_at, settled_at, accepted_at)
					VALUES ($1, $2, $3, 'digest', '', '', '', 'sent', $4, $4, $4)`, w.Acme.ID, id.New[id.Message](), w.Jane.ID, tx.Now())
				if err != nil {
					return err
				}
			}
			return nil
		}))
		w.Clock.Advance(31 * time.Minute)
		require.Empty(t, lookBack(w))
	}, noNetworkLimit)
}

func TestARuleThatTurnsAFifthAwayIsAnAlarm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		links := crowd(w, 11)
		for i, link := range links {
			page := w.Browser().Get(link)
			if i < 2 {
				for range 5 { // somebody who insists is one person
					page = page.Fill("New password", "too short").Press("Set new password")
				}
			}
			page.Fill("New password", fmt.Sprintf("three unrelated words %d", i)).Press("Set new password")
		}
		require.Empty(t, lookBack(w), "two of eleven")
		link := func() string {
			w.Inbox.Clear()
			w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
			return w.Mail(w.Jane.Email, "Reset your password").LinkTo("/reset-password/")
		}()
		w.Browser().Get(link).Fill("New password", "too short").Press("Set new password")
		refused := lookBack(w)[alarm.FormRefused]
		require.Equal(t, w.Acme.ID, refused.Environment, "its policy is its own")
		require.Contains(t, refused.Sentence, "Of 12 people who sent a new password in a day, 3 were refused for one reason: “This password is too short")
	}, noNetworkLimit)
}

// noNetworkLimit: the whole crowd asks from one network.
func noNetworkLimit(c *config.Config) { c.LimitsOff = true }

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func TestWhereTheDNSSendsMailStandsBesideAServerThatServesTheDomainNoMore(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		answers, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{
			"far.example.": {MX: []net.MX{{Host: "new.far.example.", Pref: 10}}},
		}, quiet{}, false)
		require.NoError(t, err)
		t.Cleanup(func() { _ = answers.Close() })
		w.App.Resolver = maildns.At(answers.LocalAddr().String())

		w.Inbox.SetFate(func(string, string, []byte) error {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relaying denied"}
		})
		for _, email := range []string{"jane@far.example", "jane@silent.example"} {
			w.AddUser(w.Acme, email, email, access.Member)
			w.Browser().Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
		}
		require.Eventually(t, func() bool {
			stand := 0
			w.View(func(tx *db.Tx) (err error) {
				stand, err = db.One[int](tx, "SELECT count(*) FROM alarms WHERE name = $1", alarm.RelayDenied)
				return err
			})
			return stand == 2
		}, 20*time.Second, 10*time.Millisecond)
		for range 2 { // once is enough
			require.NoError(t, w.App.LookBack(w.Ctx()))
		}
		w.View(func(tx *db.Tx) error {
			all, err := alarm.List(tx)
			for _, a := range all {
				told := strings.Count(a.Detail, "The DNS sends mail for this domain to new.far.example.")
				require.Equal(t, a.About == "far.example", told == 1, "%+v", a)
				require.Contains(t, a.Detail, "relaying denied")
			}
			return err
		})
	})
}
