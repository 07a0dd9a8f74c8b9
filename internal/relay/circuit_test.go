package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/relay"
)

// watch is a clock that a test sets forward.
type watch struct{ at atomic.Int64 }

func newWatch() *watch {
	w := &watch{}
	w.at.Store(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC).UnixNano())
	return w
}

func (w *watch) now() time.Time       { return time.Unix(0, w.at.Load()).UTC() }
func (w *watch) pass(d time.Duration) { w.at.Add(int64(d)) }

// to is the envelope of a mail to somebody at a domain.
func to(domain string) relay.Envelope {
	return relay.Envelope{From: envelope.From, To: "jane@" + domain}
}

// send takes a turn and uses it.
func send(t *testing.T, r *relay.Relay, e relay.Envelope) ([]relay.Attempt, relay.Wait) {
	t.Helper()
	turn, w := r.Turn(t.Context(), e.To)
	if turn == nil {
		return nil, w
	}
	attempts, w, err := turn.Send(t.Context(), e, text(letter))
	require.NoError(t, err)
	return attempts, w
}

// moody serves until it is told to hang up on everybody, and counts who came.
type moody struct {
	*script
	down atomic.Bool
}

func newMoody(t *testing.T, answers map[string]string) *moody {
	m := &moody{}
	m.script = newScript(t, func(k *talker) {
		if !m.down.Load() {
			polite(answers)(k)
		}
	})
	return m
}

func TestCircuitOfAServer(t *testing.T) {
	t.Parallel()
	first, second := newMoody(t, nil), newMoody(t, nil)
	first.down.Store(true)
	clock := newWatch()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(first.addr, relay.None), at(second.addr, relay.None)}, Clock: clock.now})
	for range 3 {
		attempts, _ := send(t, r, envelope)
		require.Len(t, attempts, 2, "it is tried, and the next one takes the mail")
	}
	began := clock.now()
	for range 20 {
		attempts, _ := send(t, r, envelope)
		require.Len(t, attempts, 1, "it is left alone")
		require.Equal(t, port(second.addr), attempts[0].Server)
	}
	require.Equal(t, int32(3), first.conns.Load())
	require.Zero(t, r.AllDownSince())
	h := r.Health()
	require.Equal(t, relay.Open, h[0].State)
	require.Equal(t, port(first.addr), h[0].Server)
	require.Equal(t, 3, h[0].Failures)
	require.Equal(t, began, h[0].Since)
	require.Contains(t, h[0].LastError, "hung up")
	require.Equal(t, relay.Closed, h[1].State)

	for i, seconds := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
		clock.pass(time.Duration(seconds)*time.Second - time.Millisecond)
		attempts, _ := send(t, r, envelope)
		require.Len(t, attempts, 1, "not before the end of pause %d", i)
		clock.pass(time.Millisecond)
		require.Equal(t, relay.HalfOpen, r.Health()[0].State)
		attempts, _ = send(t, r, envelope)
		require.Len(t, attempts, 2, "one probe after pause %d", i)
		attempts, _ = send(t, r, envelope)
		require.Len(t, attempts, 1)
	}
	first.down.Store(false)
	clock.pass(5 * time.Minute)
	for range 3 {
		attempts, _ := send(t, r, envelope)
		require.Len(t, attempts, 1)
		require.Equal(t, port(first.addr), attempts[0].Server, "it works, so it comes first again")
	}
	require.Equal(t, relay.Health{State: relay.Closed}, r.Health()[0].Health)
}

func TestARefusalOfOneMailOpensNothing(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]map[string]string{
		"sender": {"MAIL": "553 5.7.1 not yours"}, "recipient": {"RCPT": "550 5.1.1 nobody"}, "text": {".": "554 5.7.1 spam"}, "later": {"RCPT": "451 4.2.1 later"},
	} {
		s := newScript(t, polite(answers))
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
		for i := range 10 {
			attempts, _ := send(t, r, to(fmt.Sprintf("%d.example", i)))
			require.Len(t, attempts, 1, name)
		}
		require.Equal(t, relay.Closed, r.Health()[0].State, name)
	}
}

func TestWhatOpensTheCircuitOfAServer(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]map[string]string{
		"takes nothing": {"MAIL": "452 4.3.1 disk full"}, "breaks off": {"RCPT": "hang up"}, "nonsense": {"RCPT": "what?"},
		"breaks off after the message": {".": "hang up"}, "closes": {"RCPT": "421 4.3.2 going down"},
	} {
		s := newScript(t, polite(answers))
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
		for i := range 3 {
			attempts, _ := send(t, r, to(fmt.Sprintf("%d.example", i)))
			require.Len(t, attempts, 1, name)
		}
		require.Equal(t, relay.Open, r.Health()[0].State, name)
	}
}

// TestAllServersDown: mails wait for the probe, and nobody is asked meanwhile.
func TestAllServersDown(t *testing.T) {
	t.Parallel()
	first, second := newMoody(t, nil), newMoody(t, nil)
	first.down.Store(true)
	second.down.Store(true)
	clock := newWatch()
	began := clock.now()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(first.addr, relay.None), at(second.addr, relay.None)}, Clock: clock.now})
	for range 3 {
		attempts, _ := send(t, r, envelope)
		require.Len(t, attempts, 2)
	}
	require.Equal(t, began, r.AllDownSince())
	var waits []time.Time
	for range 1000 {
		attempts, w := send(t, r, envelope)
		require.Empty(t, attempts)
		require.Equal(t, relay.ServersDown, w.Why)
		waits = append(waits, w.Until)
	}
	require.Equal(t, began.Add(5*time.Second), waits[0])
	require.Less(t, waits[999].Sub(waits[0]), 10*time.Second, "they come back in their order, soon after one another")
	require.Greater(t, waits[999], waits[998])
	require.Equal(t, int32(3), first.conns.Load())
	require.Equal(t, int32(3), second.conns.Load())
	a := r.Send(t.Context(), envelope, []byte(letter))[0]
	require.Equal(t, relay.Temporary, a.Outcome)
	require.ErrorContains(t, a.Err, "again at 12:00:0")

	clock.pass(5 * time.Second)
	attempts, _ := send(t, r, envelope)
	require.Len(t, attempts, 2, "one mail probes both")
	attempts, w := send(t, r, envelope)
	require.Empty(t, attempts)
	require.Equal(t, clock.now().Add(10*time.Second), w.Until)

	second.down.Store(false)
	clock.pass(10 * time.Second)
	attempts, _ = send(t, r, envelope)
	require.Equal(t, relay.Accepted, attempts[len(attempts)-1].Outcome)
	require.Zero(t, r.AllDownSince())
}

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	reached, release := make(chan struct{}), make(chan struct{})
	s := newScript(t, func(k *talker) {
		if down.Load() {
			return
		}
		close(reached) // a second one would panic
		<-release
		polite(nil)(k)
	})
	clock := newWatch()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	for range 3 {
		send(t, r, envelope)
	}
	down.Store(false)
	clock.pass(5 * time.Second)
	var probe sync.WaitGroup
	probe.Go(func() {
		attempts, _ := send(t, r, envelope)
		if len(attempts) != 1 || attempts[0].Outcome != relay.Accepted {
			t.Errorf("the probe: %v", attempts)
		}
	})
	<-reached
	for range 5 {
		attempts, w := send(t, r, envelope)
		require.Empty(t, attempts)
		require.Equal(t, relay.ServersDown, w.Why)
	}
	close(release)
	probe.Wait()
	require.Equal(t, relay.Closed, r.Health()[0].State)
}

// TestAProbeThatIsInterruptedIsNoVerdict: the next mail probes.
func TestAProbeThatIsInterruptedIsNoVerdict(t *testing.T) {
	t.Parallel()
	var mood atomic.Value
	mood.Store("down")
	s := newScript(t, func(k *talker) {
		switch mood.Load() {
		case "stall":
			k.stall()
		case "up":
			polite(nil)(k)
		}
	})
	clock := newWatch()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	for range 3 {
		send(t, r, envelope)
	}
	clock.pass(5 * time.Second)
	mood.Store("stall")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.stalls; cancel() }()
	turn, _ := r.Turn(ctx, envelope.To)
	require.NotNil(t, turn)
	attempts, _, err := turn.Send(ctx, envelope, text(letter))
	require.NoError(t, err)
	require.Equal(t, relay.Temporary, attempts[0].Outcome)
	mood.Store("up")
	attempts, _ = send(t, r, envelope)
	require.Len(t, attempts, 1)
	require.Equal(t, relay.Accepted, attempts[0].Outcome)
}

// TestAProbeWhoseMailCannotBeMadeIsNoVerdict, however that fails.
func TestAProbeWhoseMailCannotBeMadeIsNoVerdict(t *testing.T) {
	t.Parallel()
	s := newMoody(t, nil)
	s.down.Store(true)
	clock := newWatch()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	for range 3 {
		send(t, r, envelope)
	}
	s.down.Store(false)
	clock.pass(5 * time.Second)
	for _, m := range []relay.Message{
		{Text: func() ([]byte, error) { return nil, errors.New("no key to sign it with") }},
		{Text: func() ([]byte, error) { panic("a fault of the program") }},
	} {
		turn, _ := r.Turn(t.Context(), envelope.To)
		require.NotNil(t, turn)
		_, _, err := turn.Send(t.Context(), envelope, m)
		require.Error(t, err)
		require.Equal(t, relay.HalfOpen, r.Health()[0].State)
	}
	attempts, _ := send(t, r, envelope)
	require.Equal(t, relay.Accepted, attempts[0].Outcome)
	require.Equal(t, relay.Closed, r.Health()[0].State)
}

// TestWhatWeWaitForIsNoSlowServer: how long a mail's own transaction takes.
func TestWhatWeWaitForIsNoSlowServer(t *testing.T) {
	t.Parallel()
	clock := newWatch()
	s := newScript(t, polite(nil))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	m := text(letter)
	m.MayGo = func() bool { clock.pass(16 * time.Second); return true }
	for range 8 {
		turn, _ := r.Turn(t.Context(), envelope.To)
		attempts, _, err := turn.Send(t.Context(), envelope, m)
		require.NoError(t, err)
		require.Zero(t, attempts[0].Duration)
	}
	for range 8 { // as many as a domain may have that is not slow
		turn, _ := r.Turn(t.Context(), envelope.To)
		require.NotNil(t, turn)
		defer turn.End()
	}
}

func TestCircuitOfADomain(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	busy.Store(true)
	s := newScript(t, func(k *talker) {
		k.hello()
		for line := k.hear(); line != end; line = k.hear() {
			switch {
			case line == "RCPT TO:<jane@busy.example>" && busy.Load():
				k.say("451 4.3.2 system not accepting network messages")
			case line == "DATA":
				k.say("354 go on")
				k.message()
				k.say("250 2.0.0 taken")
			default:
				k.say("250 fine")
			}
		}
	})
	clock := newWatch()
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	for range 5 {
		attempts, _ := send(t, r, to("busy.example"))
		require.Equal(t, relay.Temporary, attempts[0].Outcome)
	}
	for range 100 {
		attempts, w := send(t, r, to("BUSY.example"))
		require.Empty(t, attempts)
		require.Equal(t, relay.DomainWaits, w.Why)
		require.WithinRange(t, w.Until, clock.now().Add(15*time.Second), clock.now().Add(25*time.Second))
		attempts, _ = send(t, r, to("other.example"))
		require.Equal(t, relay.Accepted, attempts[0].Outcome, "others do not wait")
	}
	d := r.DomainHealth()
	require.Len(t, d, 1)
	require.Equal(t, "busy.example", d[0].Domain)
	require.Equal(t, relay.Open, d[0].State)
	require.Equal(t, "rcpt: 451 4.3.2 system not accepting network messages", d[0].LastError)
	require.Equal(t, relay.Closed, r.Health()[0].State)

	clock.pass(15 * time.Second)
	attempts, _ := send(t, r, to("busy.example"))
	require.Len(t, attempts, 1, "one probe")
	attempts, w := send(t, r, to("busy.example"))
	require.Empty(t, attempts)
	require.Equal(t, 30*time.Second, w.Until.Sub(clock.now()).Round(time.Second), "twice as long")
	busy.Store(false)
	clock.pass(30 * time.Second)
	for range 10 {
		attempts, _ = send(t, r, to("busy.example"))
		require.Equal(t, relay.Accepted, attempts[0].Outcome)
	}
	require.Empty(t, r.DomainHealth())
}

// TestATurnThatIsNotUsed gives its probe back.
func TestATurnThatIsNotUsed(t *testing.T) {
	t.Parallel()
	clock := newWatch()
	s := newScript(t, polite(map[string]string{"RCPT": "451 4.3.2 not now"}))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, Clock: clock.now})
	for range 5 {
		send(t, r, envelope)
	}
	clock.pass(15 * time.Second)
	for range 3 {
		turn, _ := r.Turn(t.Context(), envelope.To)
		require.NotNil(t, turn)
		turn.End()
		turn.End()
	}
}

// TestASlowDomainLeavesSendersFree: of twelve, a domain gets eight, a slow one four.
func TestASlowDomainLeavesSendersFree(t *testing.T) {
	t.Parallel()
	clock := newWatch()
	r := newRelay(t, relay.Options{Clock: clock.now})
	take := func(domain string, most int) []*relay.Turn {
		var turns []*relay.Turn
		for range most {
			turn, w := r.Turn(t.Context(), "jane@"+domain)
			if turn == nil {
				require.Equal(t, relay.DomainBusy, w.Why)
				require.True(t, w.Until.After(clock.now()))
				break
			}
			turns = append(turns, turn)
		}
		return turns
	}
	turns := take("slow.example", 12)
	require.Len(t, turns, 8, "nobody knows yet that it is slow")
	clock.pass(3 * time.Second)
	require.Empty(t, take("slow.example", 1))
	other := take("other.example", 4)
	require.Len(t, other, 4, "the others have room")
	for _, turn := range append(turns, other...) {
		turn.End()
	}
	turns = take("slow.example", 12)
	require.Len(t, turns, 4)
	clock.pass(time.Minute)
	require.Equal(t, []relay.DomainHealth{{Domain: "slow.example", Health: relay.Health{State: relay.Closed}, UnderWay: 4, Slow: true}}, r.DomainHealth())
	for _, turn := range turns {
		turn.End()
	}
}

// TestAMomentIsWaitedFor: while a domain is quick, a turn comes when another ends.
func TestAMomentIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Options{MaxConns: 1})
		first, _ := r.Turn(t.Context(), "jane@acme.example")
		got := make(chan bool, 1)
		go func() {
			turn, _ := r.Turn(t.Context(), "joe@acme.example")
			if turn != nil {
				turn.End()
			}
			got <- turn != nil
		}()
		synctest.Wait()
		require.Empty(t, got, "two turns where one may be")
		first.End()
		require.True(t, <-got)
	})
}

func TestDomainsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(map[string]string{"RCPT": "451 4.3.2 not now"}))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	for range 5 {
		send(t, r, to("busy.example"))
	}
	for i := range 3000 {
		turn, _ := r.Turn(t.Context(), fmt.Sprintf("jane@%d.example", i))
		require.NotNil(t, turn)
		turn.End()
	}
	_, w := send(t, r, to("busy.example"))
	require.Equal(t, relay.DomainWaits, w.Why, "those without news go first")
}

// TestAServerThatHangsComesLast, long before the first mail it holds is given up.
func TestAServerThatHangsComesLast(t *testing.T) {
	t.Parallel()
	hanging, fine := newScript(t, func(k *talker) { k.stall() }), newScript(t, polite(nil))
	clock := newWatch()
	r := newRelay(t, relay.Options{
		Servers: []relay.Server{at(hanging.addr, relay.None), at(fine.addr, relay.None)}, Clock: clock.now, MaxConns: 3,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var held sync.WaitGroup
	for i := range 2 {
		held.Go(func() { r.Send(ctx, to(fmt.Sprintf("%d.example", i)), []byte(letter)) })
	}
	require.Eventually(t, func() bool { return hanging.conns.Load() == 2 }, 10*time.Second, time.Millisecond)
	clock.pass(16 * time.Second)
	attempts := r.Send(t.Context(), envelope, []byte(letter))
	require.Len(t, attempts, 1)
	require.Equal(t, port(fine.addr), attempts[0].Server)
	cancel()
	held.Wait()
}

// TestWhatADomainMeans: one "too much" is enough; greylisting, and what is said
// of one mailbox, tell nothing of the next mail.
func TestWhatADomainMeans(t *testing.T) {
	t.Parallel()
	for answer, mails := range map[string]int{
		"450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered": 10,
		"421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address":                         1,
		"451 4.7.1 Greylisted, please try again later": 10,
		"452 4.2.2 The mailbox is full":                10,
		"451 4.3.0 Temporary system problem":           5,
	} {
		s := newScript(t, polite(map[string]string{"RCPT": answer}))
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
		got := 0
		for range 10 {
			if attempts, _ := send(t, r, envelope); len(attempts) > 0 {
				got++
			}
		}
		require.Equal(t, mails, got, answer)
	}
}
