package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// counts gives the number of rows that the tidying is about.
func counts(w *testkit.World) map[string]int {
	n := map[string]int{}
	w.View(func(tx *db.Tx) error {
		for _, table := range []string{"sessions", "tokens", "links", "messages", "attempts", "requests", "unmatched", "events"} {
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

		before := counts(w)
		require.NoError(t, w.App.Tidy(t.Context()))
		require.Equal(t, before, counts(w), "nothing is old")

		w.Clock.Advance(100 * 24 * time.Hour)
		require.NoError(t, w.App.Tidy(t.Context()))
		after := counts(w)
		require.Equal(t, before["events"], after["events"])
		delete(after, "events")
		for table, n := range after {
			require.Zero(t, n, table)
		}
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
