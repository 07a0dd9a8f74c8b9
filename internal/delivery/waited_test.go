package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/testkit"
)

// waiting lets Jane's mail wait for so long that she stands in the queue.
func waiting(w *testkit.World, s *mailServer) {
	w.T.Helper()
	s.answer("MAIL", always("451 4.3.0 busy"))
	askForJane(w)
	until(w, "deferred", 1)
	later(w, 6*time.Minute)
	require.Eventually(w.T, func() bool { return standingOf(w, w.Jane).Case == cases.Waiting }, patience, 10*time.Millisecond)
}

func allSent(w *testkit.World, mails int) {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		later(w, 5*time.Minute)
		return count(w, "SELECT count(*) FROM messages WHERE accepted_at IS NOT NULL") == mails
	}, patience, 10*time.Millisecond)
}

func TestWhoWaitedForAMailLeavesTheQueueWhenItIsTaken(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		waiting(w, s)
		s.answer("MAIL", nil)
		allSent(w, 1)
		require.Empty(t, standingOf(w, w.Jane).Case)
	})
}

func TestAnotherReasonOutlastsTheWaiting(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		waiting(w, s)
		askForJane(w)
		askForJane(w)
		require.Eventually(t, func() bool { return standingOf(w, w.Jane).Case == cases.NeverOpened }, patience, 10*time.Millisecond)
		s.answer("MAIL", nil)
		allSent(w, 3)
		require.Equal(t, cases.NeverOpened, standingOf(w, w.Jane).Case)
	})
}

// TestWhatWaitsBehindTheNextServerWaitsOn although that server takes another mail.
func TestWhatWaitsBehindTheNextServerWaitsOn(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		path := mailed(w, s)
		w.Clock.Advance(6 * time.Minute)
		delay := report("delayed", "4.4.1", "jane@acme.example", "451 4.4.1 connection timed out")
		require.Equal(t, delivery.Taken, take(w, path, delay).Verdict)
		require.Equal(t, cases.Waiting, standingOf(w, w.Jane).Case)
		mailed(w, s)
		require.Equal(t, cases.Waiting, standingOf(w, w.Jane).Case)
		require.Equal(t, delivery.Taken, take(w, path, report("delivered", "2.0.0", "jane@acme.example", "250 2.0.0 stored")).Verdict)
		require.Empty(t, standingOf(w, w.Jane).Case)
	})
}

func TestDelaysBehindWhichSeveralDomainsAreSilentAreAnAlarm(t *testing.T) {
	eachReturning(t, func(t *testing.T, w *testkit.World, s *mailServer) {
		const domains = 3
		for i := range domains {
			email := fmt.Sprintf("jane@d%d.example", i)
			w.AddUser(w.Acme, email, "Jane", access.Member)
			w.Browser().Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
		}
		require.Eventually(t, func() bool {
			return count(w, "SELECT count(*) FROM messages WHERE accepted_at IS NOT NULL") == domains
		}, patience, 10*time.Millisecond)
		alarms := func() int { return count(w, "SELECT count(*) FROM alarms WHERE name = 'unreachable'") }
		for i, path := range s.paths() {
			require.Zero(t, alarms(), "after %d", i)
			take(w, path, report("delayed", "4.4.1", "jane@somewhere.example", "smtp; 451 4.4.1 [mx.somewhere.example]: connection timed out"))
		}
		require.Equal(t, 1, alarms())
	})
}
