package delivery_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/testkit"
)

// askFor types these addresses into "I forgot my password".
func askFor(w *testkit.World, addresses ...string) {
	w.T.Helper()
	for i, a := range addresses {
		_, err := w.App.Recovery.Ask(w.Ctx(), w.Acme, a, access.From{Network: fmt.Sprintf("192.0.2.%d", i), Agent: testkit.Firefox})
		require.NoError(w.T, err)
	}
}

// people adds so many users with addresses of a domain.
func people(w *testkit.World, n int, domain string) []string {
	w.T.Helper()
	var all []string
	for i := range n {
		email := fmt.Sprintf("p%d@%s", i, domain)
		w.AddUser(w.Acme, email, fmt.Sprintf("Person %d", i), access.Member)
		all = append(all, email)
	}
	return all
}

// drain lets time pass until every mail has had its turn, a minute whenever
// nothing is under way: a lease must not run out.
func drain(w *testkit.World) {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		now := w.Clock.Now()
		if count(w, "SELECT count(*) FROM jobs WHERE leased_until > $1 OR due_at <= $1", now) == 0 {
			later(w, time.Minute)
		}
		return count(w, "SELECT count(*) FROM jobs") == 0
	}, patience, 10*time.Millisecond, "the queue does not drain")
}

// TestWhileAllServersAreDownMailsWait: each is deferred until a certain time, and
// only probes are attempts.
func TestWhileAllServersAreDownMailsWait(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		const n = 40
		askFor(w, people(w, n, "acme.example")...)
		deferred := func() bool {
			return count(w, "SELECT count(*) FROM messages WHERE state = 'deferred' AND next_try_at IS NOT NULL") == n
		}
		require.Eventually(t, deferred, patience, 10*time.Millisecond)
		attempts := func() int { return count(w, "SELECT count(*) FROM attempts") }
		first := attempts()
		require.LessOrEqual(t, first, 2*12, "no more than were under way when nobody knew yet")
		require.Positive(t, count(w, "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.message = m.id)"), "the others were not tried")
		require.Zero(t, count(w, "SELECT count(*) FROM jobs WHERE tries < 0"))

		for i := range 4 {
			later(w, 11*time.Minute)
			require.Eventually(t, func() bool {
				return count(w, "SELECT count(*) FROM jobs WHERE due_at > $1", w.Clock.Now()) == n
			}, patience, 10*time.Millisecond, "everybody looked at the time of probe %d", i)
		}
		require.LessOrEqual(t, attempts(), first+4*2*3, "an hour costs a few probes, not an attempt for each mail")

		up := startServer(t, servers[1].addr)
		drain(w)
		require.Equal(t, n, count(w, "SELECT count(*) FROM messages WHERE state = 'sent'"))
		require.GreaterOrEqual(t, len(up.mails()), n)
	}, "down", "down")
}

// TestASlowDomainHoldsNobodyUp: a hundred mails to a server that does not answer
// wait, and those to others pass them.
func TestASlowDomainHoldsNobodyUp(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		release := make(chan struct{})
		let := sync.OnceFunc(func() { close(release) })
		defer let()
		s.slow("@slow.example>", release)
		askFor(w, people(w, 60, "slow.example")...)
		require.Eventually(t, func() bool { return count(w, "SELECT count(*) FROM messages") == 60 }, patience, 10*time.Millisecond)
		quick := people(w, 5, "quick.example")
		askFor(w, quick...)
		require.Eventually(t, func() bool { return len(s.mails()) == 5 }, patience, 10*time.Millisecond, "they wait behind the slow ones")
		require.Zero(t, count(w, "SELECT count(*) FROM attempts WHERE outcome <> 'accepted'"))
		let()
		drain(w)
		require.Equal(t, 65, count(w, "SELECT count(*) FROM messages WHERE state = 'sent'"))
	}, "up")
}

// TestADomainThatPutsOffGetsPatience, and the others their mails.
func TestADomainThatPutsOffGetsPatience(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		s := servers[0]
		s.refuse("@busy.example>", "451 4.3.2 system is overloaded")
		askFor(w, people(w, 60, "busy.example")...)
		require.Eventually(t, func() bool {
			return count(w, "SELECT count(*) FROM messages WHERE state = 'deferred'") == 60
		}, patience, 10*time.Millisecond)
		require.LessOrEqual(t, count(w, "SELECT count(*) FROM attempts"), 5+8)
		askFor(w, people(w, 3, "quick.example")...)
		require.Eventually(t, func() bool { return len(s.mails()) == 3 }, patience, 10*time.Millisecond)
		s.refuse("", "")
		drain(w)
		require.Equal(t, 63, count(w, "SELECT count(*) FROM messages WHERE state = 'sent'"))
	}, "up")
}
