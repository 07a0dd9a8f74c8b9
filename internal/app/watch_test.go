package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/testkit"
)

func alarmsOf(w *testkit.World) map[alarm.Name]alarm.Alarm {
	w.T.Helper()
	require.NoError(w.T, w.App.Watch(w.Ctx()))
	found := map[alarm.Name]alarm.Alarm{}
	w.View(func(tx *db.Tx) error {
		all, err := alarm.List(tx)
		for _, a := range all {
			found[a.Name] = a
		}
		return err
	})
	return found
}

func TestAllIsWellWithoutAnAlarm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		require.Empty(t, alarmsOf(w))
	})
}

func TestNoMailServerIsAnAlarm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		require.Contains(t, alarmsOf(w), alarm.NoMailServer)
		// The server's own watching may have raised it, and be about to say so.
		require.Eventually(t, func() bool { return strings.Contains(w.Log.String(), "alarm=no-mail-server") }, 10*time.Second, time.Millisecond)
	}, func(c *config.Config) { c.SMTP = "" })
}

func TestServersThatAreAllDownAreAnAlarm(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for range 4 {
			w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
		}
		var down alarm.Alarm
		require.Eventually(t, func() bool {
			w.Clock.Advance(30 * time.Second) // so that what was put off is due
			down = alarmsOf(w)[alarm.AllServersDown]
			return down.Name != ""
		}, 20*time.Second, 50*time.Millisecond)
		require.Equal(t, alarm.Urgent, down.Severity)
		require.Contains(t, down.Sentence, "No mail of ours has left since")
		require.Contains(t, down.Detail, "127.0.0.1:1", "the server, and what it said")
	}, func(c *config.Config) { c.SMTP = "smtp://127.0.0.1:1?tls=none" })
}

func TestWhatNobodyTakesUpIsStuck(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			return outbox.Enqueue(tx, w.Acme.ID, "a kind without workers", "x", nil)
		}))
		w.Clock.Advance(59 * time.Second)
		require.Empty(t, alarmsOf(w))
		w.Clock.Advance(2 * time.Second)
		require.Equal(t, alarm.Warning, alarmsOf(w)[alarm.Stuck].Severity)
		w.Clock.Advance(4 * time.Minute)
		require.Equal(t, alarm.Urgent, alarmsOf(w)[alarm.Stuck].Severity)
		require.Contains(t, w.Log.String(), "it got worse")

		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			_, err := tx.Exec("DELETE FROM jobs WHERE kind = 'a kind without workers'")
			return err
		}))
		w.Clock.Advance(2 * time.Minute)
		require.Empty(t, alarmsOf(w), "it ends by itself")
	})
}

// TestAServerThatJustBeganIsNotToBlame for what fell due before.
func TestAServerThatJustBeganIsNotToBlame(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			if err := outbox.Enqueue(tx, w.Acme.ID, "a kind without workers", "x", nil); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE jobs SET due_at = $1", tx.Now().Add(-10*time.Minute))
			return err
		}))
		require.Empty(t, alarmsOf(w))
		w.Clock.Advance(time.Minute)
		require.Equal(t, alarm.Urgent, alarmsOf(w)[alarm.Stuck].Severity)
	})
}

func TestAlarmsAreMetrics(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"), func(c *config.Config) { c.SMTP = "" })
	alarmsOf(w)
	res := httptest.NewRecorder()
	w.App.Metrics().ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, res.Body.String(), `sparekey_alarm{name="no-mail-server"} 1`)
	require.Contains(t, res.Body.String(), `sparekey_alarm{name="stuck"} 0`)
	require.NotContains(t, res.Body.String(), "sparekey_canary_up", "it is off")
}
