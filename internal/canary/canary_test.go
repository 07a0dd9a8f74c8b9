package canary_test

import (
	"context"
	"errors"
	"net/http"
	"net/smtp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/canary"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
)

const domain = "bounce.sparekey.example"

func withCanary(c *config.Config) {
	c.BounceListen, c.BounceDomain, c.Canary = "127.0.0.1:0", domain, time.Minute
}

// world is a product whose mail server brings mail for the bounce domain back to
// the product's own listener, as the DNS would have it.
type world struct {
	*testkit.World
	back atomic.Pointer[string] // where it is brought; nil: it is lost
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	testkit.EachDB(t, func(t *testing.T, kit *testkit.World) {
		w := &world{World: kit}
		at, stop, err := kit.App.ListenForReturned()
		require.NoError(t, err)
		t.Cleanup(stop)
		w.back.Store(&at)
		kit.Inbox.SetFate(func(from, to string, data []byte) error {
			if back := w.back.Load(); back != nil && strings.HasSuffix(to, "@"+domain) {
				return smtp.SendMail(*back, nil, from, []string{to}, data)
			}
			return nil
		})
		test(t, w)
	}, withCanary)
}

// until waits for the newest walk to be as wanted.
func (w *world) until(what string, wanted func(canary.Walk) bool) canary.Walk {
	w.T.Helper()
	var walk canary.Walk
	require.Eventually(w.T, func() bool {
		require.NoError(w.T, w.App.Canary.Look(w.Ctx()))
		var err error
		walk, err = w.App.Canary.Newest(w.Ctx())
		require.NoError(w.T, err)
		return wanted(walk)
	}, 30*time.Second, 20*time.Millisecond, what)
	return walk
}

func (w *world) alarms() []alarm.Alarm {
	w.T.Helper()
	var all []alarm.Alarm
	w.View(func(tx *db.Tx) (err error) {
		all, err = alarm.List(tx)
		return err
	})
	return all
}

// logs waits for words in the log: what is written there follows the commit.
func (w *world) logs(words string) {
	w.T.Helper()
	require.Eventually(w.T, func() bool { return strings.Contains(w.Log.String(), words) }, 30*time.Second, 20*time.Millisecond, words)
}

func good(k canary.Walk) bool { return !k.GoodAt.IsZero() && !k.EndedAt.IsZero() && k.Problem == "" }

func TestTheCanaryWalksTheWholeWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		first := w.until("a good walk", good)
		require.Positive(t, first.Took)
		require.Empty(t, w.alarms())
		w.View(func(tx *db.Tx) error {
			kinds, err := db.All[string](tx, "SELECT kind FROM events WHERE environment_id = $1 ORDER BY id", id.OperatorEnvironment)
			require.Subset(t, kinds, []string{"asked", "password reset", "signed in", "signed out"}, "it did what people do")
			return err
		})

		// Nobody sees it, and the next walk takes it away.
		env, err := w.App.Settings.BySlug(w.Ctx(), environment.OperatorSlug)
		require.NoError(t, err)
		list, err := w.App.UserManager.List(w.Ctx(), access.Operator(), env, user.Filter{})
		require.NoError(t, err)
		require.Empty(t, list.Rows)
		w.Clock.Advance(2 * time.Minute)
		w.until("a second walk", func(k canary.Walk) bool { return good(k) && k.ID != first.ID })
		w.View(func(tx *db.Tx) error {
			n, err := db.One[int](tx, "SELECT count(*) FROM users WHERE environment_id = $1", id.OperatorEnvironment)
			require.Equal(t, 1, n)
			return err
		})
	})
}

func TestAMailThatIsLostRaisesAnAlarmUntilOneComesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		back := w.back.Swap(nil)
		lost := w.until("a walk begun", func(k canary.Walk) bool { return k.ID != "" })
		require.Empty(t, w.alarms(), "it has a minute")
		w.Clock.Advance(61 * time.Second)
		w.until("it is missed", func(k canary.Walk) bool { return k.Problem == "The mail did not come back within 1 min." })
		require.Equal(t, alarm.Canary, w.alarms()[0].Name)
		w.logs("alarm=canary")

		w.back.Store(back)
		w.Clock.Advance(61 * time.Second)
		w.until("a good one", func(k canary.Walk) bool { return good(k) && k.ID != lost.ID })
		require.Empty(t, w.alarms())
		w.logs(`msg="alarm over" alarm=canary`)
	})
}

// TestAnotherNodeGoesOnWithTheWalk: the DNS leads to any of them.
func TestAnotherNodeGoesOnWithTheWalk(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		if w.Engine != "postgres" {
			return // one node
		}
		other, err := app.New(w.Ctx(), w.Config, testkit.Options(w.Clock))
		require.NoError(t, err)
		stop := other.StartJobs()
		t.Cleanup(func() { stop(); _ = other.Close() })
		w.Inbox.SetFate(func(_, to string, data []byte) error {
			if other.Canary.Has(to) {
				other.Canary.Take(to, data)
			}
			return nil
		})
		(&world{World: w}).until("a good walk", good)
	}, withCanary)
}

// failing answers no request whose path holds these words.
type failing string

func (f failing) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method == http.MethodPost && strings.Contains(q.URL.Path, string(f)) {
		return nil, errors.New("connection refused")
	}
	return http.DefaultTransport.RoundTrip(q)
}

func TestTheAlarmSaysWhereTheWayBreaks(t *testing.T) {
	t.Parallel()
	for path, words := range map[string]string{
		"/forgot-password": "Asking failed: our own pages do not answer: connection refused.",
		"/reset-password/": "The mail came back, and then: setting a password failed",
		"/login":           "The mail came back, and then: logging in failed",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := testkit.New(t, testkit.Database(t, "sqlite"))
			c := canary.New(canary.Canary{
				DB: w.App.DB, Ring: w.App.Ring, URL: w.Config.URL, Domain: domain, Every: time.Minute,
				At: func() string { return w.URL }, HTTP: failing(path),
			})
			w.Inbox.SetFate(func(_, to string, data []byte) error {
				if c.Has(to) {
					c.Take(to, data)
				}
				return nil
			})
			ctx, cancel := context.WithCancel(w.Ctx())
			done := make(chan struct{})
			go func() { defer close(done); c.Run(ctx) }()
			t.Cleanup(func() { cancel(); <-done })
			require.NoError(t, c.Look(w.Ctx()))
			require.Eventually(t, func() bool {
				k, err := c.Newest(w.Ctx())
				require.NoError(t, err)
				return strings.HasPrefix(k.Problem, words)
			}, 20*time.Second, 10*time.Millisecond)
			k, err := c.Newest(w.Ctx())
			require.NoError(t, err)
			require.NotContains(t, k.Problem, "reset-password/", "a link is no matter for the database")
		})
	}
}

func TestNobodyElseMakesACanarysAddress(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"), withCanary)
	c := w.App.Canary
	for _, to := range []string{
		"", "canary-", "canary-@" + domain, "jane@acme.example", "canary-0123456789abcdef0123456789abcdef-00000000000000000000@" + domain,
		"canary-0123456789abcdef0123456789abcdef@" + domain, "canary--@" + domain,
	} {
		require.False(t, c.Has(to), to)
		c.Take(to, []byte("Subject: x\r\n\r\nhttp://x/operator/reset-password/ABC\r\n"))
	}
	for range 100 { // more than anybody reads costs nothing
		c.Take("canary-x@"+domain, nil)
	}
}
