package alarm_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/testkit/database"
)

// world is a database whose clock the test sets.
type world struct {
	t   *testing.T
	db  *db.DB
	now time.Time
	mu  sync.Mutex
	log bytes.Buffer
}

func (w *world) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	database.Each(t, func(t *testing.T, engine string) {
		w := &world{t: t, now: time.Now()}
		w.db = database.Open(t, engine, func() time.Time { return w.now })
		alarm.Log(w.db, slog.New(slog.NewTextHandler(w, nil)))
		test(t, w)
	})
}

func (w *world) do(fn func(tx *db.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.db.Update(w.t.Context(), fn))
}

func (w *world) notice(a alarm.Answer) {
	w.t.Helper()
	w.do(func(tx *db.Tx) error { return alarm.Notice(tx, a) })
}

func (w *world) list() []alarm.Alarm {
	w.t.Helper()
	var all []alarm.Alarm
	require.NoError(w.t, w.db.View(w.t.Context(), func(tx *db.Tx) (err error) {
		all, err = alarm.List(tx)
		return err
	}))
	return all
}

func answer(class diagnosis.Class, domain, reply string) alarm.Answer {
	return alarm.Answer{Finding: diagnosis.Finding{Class: class, Reply: reply}, Domain: domain, Server: "mx." + domain + ":25"}
}

func TestAnAlarmIsRaisedOnceCountedAndEndsByItself(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		down := alarm.Alarm{Name: alarm.AllServersDown, Severity: alarm.Urgent, Sentence: "No mail leaves."}
		var started time.Time // by the database
		for range 3 {
			w.do(func(tx *db.Tx) error {
				if started.IsZero() {
					started = tx.Now()
				}
				return alarm.Raise(tx, down)
			})
			w.now = w.now.Add(10 * time.Second)
		}
		all := w.list()
		require.Len(t, all, 1)
		require.Equal(t, 3, all[0].Noticed)
		require.WithinDuration(t, started, all[0].Since, time.Second)
		require.Equal(t, 1, strings.Count(w.said(), "level=WARN msg=alarm "), w.said())

		w.do(alarm.Expire)
		require.Len(t, w.list(), 1, "it was raised ten seconds ago")
		w.now = w.now.Add(2 * time.Minute)
		w.do(alarm.Expire)
		require.Empty(t, w.list())
		require.Contains(t, w.said(), `level=WARN msg="alarm over" alarm=all-servers-down`)

		w.do(func(tx *db.Tx) error { return alarm.Raise(tx, down) })
		w.do(func(tx *db.Tx) error { return alarm.Clear(tx, "", alarm.AllServersDown, "") })
		require.Empty(t, w.list())
		err := w.db.Update(t.Context(), func(tx *db.Tx) error { return alarm.Clear(tx, "", alarm.AllServersDown, "") })
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

func TestUrgentOnesComeFirstAndGettingWorseIsSaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		stuck := alarm.Alarm{Name: alarm.Stuck, Severity: alarm.Warning, Sentence: "Mail waits."}
		w.do(func(tx *db.Tx) error { return alarm.Raise(tx, stuck) })
		w.notice(answer(diagnosis.OwnSetup, "relay.example", "535 5.7.8 no"))
		require.Equal(t, alarm.OwnSetup, w.list()[0].Name)
		stuck.Severity = alarm.Urgent
		w.do(func(tx *db.Tx) error { return alarm.Raise(tx, stuck) })
		require.Contains(t, w.said(), "it got worse")
	})
}

// TestAnAlarmStandsSinceItsCauseDoes: a server that comes back for a moment makes
// the next outage a new one, with one time for the page and for commands.
func TestAnAlarmStandsSinceItsCauseDoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		raise := func(since time.Time) {
			w.do(func(tx *db.Tx) error {
				return alarm.Raise(tx, alarm.Alarm{Name: alarm.AllServersDown, Severity: alarm.Urgent, Sentence: "Down.", Since: since})
			})
			w.now = w.now.Add(10 * time.Second)
		}
		begun := w.now
		raise(begun.Add(-time.Minute))
		require.WithinDuration(t, begun.Add(-time.Minute), w.list()[0].Since, time.Millisecond)
		raise(begun.Add(5 * time.Second))
		require.WithinDuration(t, begun.Add(5*time.Second), w.list()[0].Since, time.Millisecond)
		raise(time.Time{}) // whoever does not know leaves it
		require.WithinDuration(t, begun.Add(5*time.Second), w.list()[0].Since, time.Millisecond)
	})
}

func TestWhatAnswersRaise(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, class := range []diagnosis.Class{
			diagnosis.MailboxFull, diagnosis.NoSuchMailbox, diagnosis.Greylisted, diagnosis.ReceiverTrouble, diagnosis.RefusedByRecipient, diagnosis.AutoReply,
		} {
			w.notice(answer(class, "acme.example", "550 no"))
		}
		require.Empty(t, w.list(), "what is about one person is not the operator's")

		listed := answer(diagnosis.RefusedReputation, "acme.example", "554 5.7.1 blocked using list.example for jane.doe@acme.example")
		listed.List = "list.example"
		w.notice(listed)
		w.notice(answer(diagnosis.RefusedAuthentication, "globex.example", "550 5.7.26 SPF and DKIM failed, so DMARC says no"))
		all := w.list()
		require.Len(t, all, 2)
		for _, a := range all {
			require.NotContains(t, a.Detail+a.Sentence, "jane.doe", "operators enter no environment")
			switch a.Name {
			case alarm.RefusedReputation:
				require.Equal(t, "list.example", a.About)
				require.Contains(t, a.Sentence, "acme.example does not trust our mail server: we stand on the list list.example. Look up our address there")
			default:
				require.Contains(t, a.Sentence, "DMARC, DKIM, SPF")
			}
		}
	})
}

// TestADomainThatNamesNoListIsNotCitedAgainstItself.
func TestADomainThatNamesNoListIsNotCitedAgainstItself(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.notice(answer(diagnosis.RefusedReputation, "acme.example", "554 5.7.1 bad reputation"))
		require.Contains(t, w.list()[0].Sentence, "acme.example does not trust our mail server. Ask the postmaster there")
	})
}

func TestPolicyRefusalsCountByTheDay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 2 {
			w.notice(answer(diagnosis.RefusedPolicy, "acme.example", "550 5.7.1 policy"))
		}
		w.notice(answer(diagnosis.RefusedPolicy, "globex.example", "550 5.7.1 policy"))
		require.Empty(t, w.list())
		w.now = w.now.Add(25 * time.Hour)
		w.notice(answer(diagnosis.RefusedPolicy, "acme.example", "550 5.7.1 policy"))
		require.Empty(t, w.list(), "a new day")
		for range 2 {
			w.notice(answer(diagnosis.RefusedPolicy, "acme.example", "550 5.7.1 policy"))
		}
		require.Len(t, w.list(), 1)
		require.Equal(t, "acme.example", w.list()[0].About)
	})
}

func TestADomainThatIsSlowForAnHourIsAnAlarm(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		slow := answer(diagnosis.RateLimited, "acme.example", "421 4.7.0 too many messages")
		w.notice(slow)
		slow.MadeAt = w.now.Add(-59 * time.Minute)
		w.notice(slow)
		require.Empty(t, w.list(), "a busy hour")
		slow.MadeAt = w.now.Add(-61 * time.Minute)
		slow.Own = true
		w.notice(slow)
		require.Empty(t, w.list(), "our own server asks for it")
		slow.Own = false
		w.notice(slow)
		require.Len(t, w.list(), 1)
		require.Equal(t, alarm.RateLimited, w.list()[0].Name)
		require.Equal(t, "acme.example", w.list()[0].About)
		w.now = w.now.Add(121 * time.Minute)
		w.do(alarm.Expire)
		require.Empty(t, w.list())
	})
}

func TestThreeSilentDomainsAtOnceAreUs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		silent := func(domain string) { w.notice(answer(diagnosis.Unreachable, domain, "451 4.4.1 no answer")) }
		for range 5 {
			silent("acme.example")
			silent("globex.example")
		}
		require.Empty(t, w.list(), "two of them have troubles of their own")
		ours := answer(diagnosis.Unreachable, "initech.example", "dial tcp: connection refused")
		ours.Own = true
		w.notice(ours)
		require.Empty(t, w.list(), "our own server is looked at elsewhere")
		w.now = w.now.Add(31 * time.Minute)
		silent("initech.example")
		require.Empty(t, w.list(), "not at once")
		silent("acme.example")
		silent("globex.example")
		require.Len(t, w.list(), 1)
		require.Equal(t, alarm.Unreachable, w.list()[0].Name)
		require.Equal(t, "acme.example\nglobex.example\ninitech.example", w.list()[0].Detail)
	})
}

func TestAServerThatServesTheDomainNoMoreIsNamed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.notice(answer(diagnosis.RelayDenied, "acme.example", "550 5.7.1 relaying denied for jane.doe@acme.example"))
		require.Len(t, w.list(), 1)
		require.Equal(t, alarm.RelayDenied, w.list()[0].Name)
		require.Contains(t, w.list()[0].Sentence, "mx.acme.example:25 says that it does not serve acme.example")
		require.NotContains(t, w.list()[0].Detail, "jane.doe")
	})
}

func TestStrangersCannotFillTheTable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for i := range 310 {
			w.do(func(tx *db.Tx) error {
				a := answer(diagnosis.SenderRefused, fmt.Sprintf("d%d.example", i), strings.Repeat("ä", 10_000))
				if err := alarm.Notice(tx, a); err != nil {
					return err
				}
				return alarm.Notice(tx, answer(diagnosis.Unknown, "x.example", fmt.Sprintf("what is word%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/26/26)))
			})
		}
		all := w.list()
		require.Len(t, all, 200)
		require.LessOrEqual(t, len(all[0].Detail), 2000)
		require.NoError(t, w.db.View(t.Context(), func(tx *db.Tx) error {
			unknown, err := alarm.UnknownReplies(tx)
			require.LessOrEqual(t, len(unknown), 300)
			require.Greater(t, len(unknown), 290)
			return err
		}))
	})
}

func TestUnknownAnswersAreCollectedWithoutWhatDiffers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for i := range 3 {
			w.notice(answer(diagnosis.Unknown, "acme.example", fmt.Sprintf("550 the moon is wrong for ann%d@acme.example (4Zx%d8812aq)", i, i)))
		}
		w.notice(answer(diagnosis.Unknown, "acme.example", "550 the sun is wrong"))
		var unknown []alarm.UnknownReply
		read := func() {
			require.NoError(t, w.db.View(t.Context(), func(tx *db.Tx) (err error) {
				unknown, err = alarm.UnknownReplies(tx)
				return err
			}))
		}
		read()
		require.Len(t, unknown, 2)
		require.Equal(t, 3, unknown[0].Seen)
		require.NotContains(t, unknown[0].Reply, "ann2")
		w.do(func(tx *db.Tx) error { return alarm.ForgetUnknown(tx, unknown[0].Fingerprint) })
		read()
		require.Len(t, unknown, 1)
	})
}
