package app_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/testkit"
)

// counts gives the number of rows that the tidying is about.
func counts(w *testkit.World) map[string]int {
	n := map[string]int{}
	w.View(func(tx *db.Tx) error {
		for _, table := range []string{"sessions", "tokens", "links", "messages", "attempts", "requests", "unmatched", "events", "throttle", "reports", "opens", "cases", "suppressions", "approvals"} {
			var err error
			if n[table], err = db.One[int](tx, "SELECT count(*) FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	return n
}

func TestWhatNobodyNeedsAnyMoreGoesAndTheEventsStay(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		for _, email := range []string{"jane@acme.example", "nobody@acme.example"} {
			b.Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
		}
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		b.Get(link).Fill("New password", "three unrelated words fit").Press("Set new password")
		w.Mail("jane@acme.example", "Your password was changed")
		b.SignIn("jane@acme.example", "three unrelated words fit")
		require.Eventually(t, func() bool {
			n := counts(w)
			return n["attempts"] == 2 && n["unmatched"] == 1
		}, 10*time.Second, 10*time.Millisecond)

		leaveBehind(t, w)
		before := counts(w)
		for table, n := range before {
			require.NotZero(t, n, table)
		}
		require.NoError(t, w.App.Tidy(t.Context()))
		require.Equal(t, before, counts(w), "nothing is old")

		w.Clock.Advance(31 * 24 * time.Hour)
		require.NoError(t, w.App.Tidy(t.Context()))
		month := counts(w)
		require.Zero(t, month["cases"], "nobody saw to it for a month")
		require.Equal(t, 1, month["suppressions"], "a user's stays, nobody's goes")
		require.Equal(t, before["reports"], month["reports"])
		require.Equal(t, before["opens"], month["opens"])

		w.Clock.Advance(70 * 24 * time.Hour)
		require.NoError(t, w.App.Tidy(t.Context()))
		after := counts(w)
		require.Equal(t, before["events"], after["events"])
		require.Equal(t, 1, after["suppressions"])
		delete(after, "events")
		delete(after, "suppressions")
		for table, n := range after {
			require.Zero(t, n, table)
		}
	})
}

// leaveBehind leaves a row of what only trouble makes.
func leaveBehind(t *testing.T, w *testkit.World) {
	t.Helper()
	require.NoError(t, w.App.DB.Update(t.Context(), func(tx *db.Tx) error {
		mail, err := outbox.OfUser(tx, w.Acme.ID, w.Jane.ID, 1)
		require.NoError(t, err)
		_, err = outbox.RecordReport(tx, w.Acme.ID, outbox.Report{Message: mail[0].ID, User: w.Jane.ID, At: tx.Now(), Source: "mail", Kind: "bounce", Fingerprint: "x"})
		require.NoError(t, err)
		require.NoError(t, cases.Open(tx, w.Acme.ID, w.Jane.ID, cases.Bounced))
		for _, key := range []string{"jane@acme.example", "who.left@acme.example"} {
			require.NoError(t, suppression.Add(tx, w.Acme.ID, suppression.Entry{AddressKey: key, Class: "no-such-mailbox", Since: tx.Now()}))
		}
		_, err = approval.Given(tx, w.Acme.ID, access.Actor{Environment: w.Acme.ID, User: w.Admin.ID, Name: "Ada"}, w.Jane.ID)
		return err
	}))
}

func TestOfWhatReadersSayTheNewestTenThousandStay(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		const said = 10_700 // more than one slice of the tidying too many
		now := w.Clock.Now()
		require.NoError(t, w.App.DB.Update(db.Long(t.Context()), func(tx *db.Tx) error {
			for i := range said {
				_, err := tx.Exec("INSERT INTO help_feedback (environment_id, article, reader, helpful, signed_in, at) VALUES ($1, 'x', $2, $3, $4, $5)",
					w.Acme.ID, fmt.Sprint(i), true, false, now.Add(time.Duration(i-said)*time.Second))
				if err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, w.App.Tidy(t.Context()))
		w.View(func(tx *db.Tx) error {
			n, err := db.One[int](tx, "SELECT count(*) FROM help_feedback")
			require.Equal(t, 10_000, n)
			newest, err2 := db.One[int](tx, "SELECT count(*) FROM help_feedback WHERE reader = $1", fmt.Sprint(said-1))
			require.Equal(t, 1, newest)
			return errors.Join(err, err2)
		})
		w.Clock.Advance(401 * 24 * time.Hour)
		require.NoError(t, w.App.Tidy(t.Context()))
		w.View(func(tx *db.Tx) error {
			n, err := db.One[int](tx, "SELECT count(*) FROM help_feedback")
			require.Zero(t, n)
			return err
		})
	})
}

func TestOfAddressesNobodyHasTheNewestThousandStay(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		const asked = 1700 // more than one slice of the tidying too many
		now := w.Clock.Now()
		require.NoError(t, w.App.DB.Update(t.Context(), func(tx *db.Tx) error {
			for i := range asked {
				_, err := tx.Exec("INSERT INTO unmatched (environment_id, address_key, address, asked, first_at, last_at) VALUES ($1, $2, $3, 1, $4, $4)",
					w.Acme.ID, fmt.Sprintf("%d@elsewhere.example", i), "x", now.Add(time.Duration(i-asked)*time.Second))
				if err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, w.App.Tidy(t.Context()))
		require.Equal(t, 1000, counts(w)["unmatched"])
		w.View(func(tx *db.Tx) error {
			n, err := db.One[int](tx, "SELECT count(*) FROM unmatched WHERE last_at >= $1", now.Add(-1000*time.Second))
			require.Equal(t, 1000, n, "the newest stay")
			return err
		})
	})
}
