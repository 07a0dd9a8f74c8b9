package relay_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/relay"
)

// TestMain sees to it that no connection, timer or goroutine is left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDelivers(t *testing.T) {
	t.Parallel()
	for _, mode := range []relay.Mode{relay.StartTLS, relay.Implicit, relay.None, ""} {
		o := postOptions{mode: mode, user: "jane", password: "correct horse"}
		if mode == relay.None {
			o.user, o.password = "", ""
		}
		p := newPost(t, o)
		server := at(p.addr, mode)
		server.User, server.Password = o.user, o.password
		r := newRelay(t, relay.Options{Servers: []relay.Server{server}, TLSConfig: p.trusting()})

		attempts := r.Send(t.Context(), envelope, []byte(letter))
		require.Len(t, attempts, 1)
		a := attempts[0]
		require.NoError(t, a.Err, a.Conversation)
		require.Equal(t, relay.Accepted, a.Outcome)
		require.Equal(t, relay.StageData, a.Stage)
		require.Equal(t, 250, a.Code)
		require.Equal(t, "2.0.0", a.Enhanced)
		require.Equal(t, "250 2.0.0 OK: queued", a.Reply)
		require.Equal(t, port(p.addr), a.Server)
		require.Positive(t, a.Duration)
		require.Equal(t, []arrived{{envelope.From, envelope.To, letter}}, p.arrived())

		require.Contains(t, a.Conversation, "C: EHLO login.example.com\n")
		require.Contains(t, a.Conversation, "C: RCPT TO:<jane@acme.example>\n")
		require.NotContains(t, a.Conversation, "localhost\nC: EHLO localhost")
		secretless(t, a)
		if mode != relay.None {
			require.Contains(t, a.Conversation, "(TLS 1.3)")
			require.Contains(t, a.Conversation, "C: AUTH PLAIN [removed]\n")
		}
	}
}

// secretless: no password, message, link or code in anything that is kept.
func secretless(t *testing.T, a relay.Attempt) {
	t.Helper()
	all := fmt.Sprintf("%+v %v", a, a.Err)
	for _, secret := range []string{
		"correct horse", "Y29ycmVjdCBob3JzZQ==", "AGphbmUAY29ycmVjdCBob3JzZQ==", "0V3G7T4K8Q2ZC9M5", "04711815", "Subject:",
	} {
		require.NotContains(t, all, secret)
	}
	require.LessOrEqual(t, len(a.Conversation), 8<<10)
	require.LessOrEqual(t, len(a.Reply), 2<<10)
	require.False(t, strings.ContainsFunc(a.Reply, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }), "%q", a.Reply)
}

func TestAnswersAndWhatTheyMean(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers  map[string]string
		offers   []string
		stage    string
		code     int
		enhanced string
		reply    string
		outcome  relay.Outcome
	}{
		"no such mailbox": {
			answers: map[string]string{"RCPT": "550-5.1.1 The account does not exist.\r\n550 5.1.1 Try again."},
			stage:   "rcpt", code: 550, enhanced: "5.1.1", outcome: relay.Permanent,
			reply: "550 5.1.1 The account does not exist. Try again.",
		},
		"greylisted, pipelined": {
			answers: map[string]string{"RCPT": "451 4.7.1 Greylisted, come back in 300 s"}, offers: []string{"PIPELINING"},
			stage: "rcpt", code: 451, enhanced: "4.7.1", outcome: relay.Temporary, reply: "451 4.7.1 Greylisted, come back in 300 s",
		},
		"sender refused": {
			answers: map[string]string{"MAIL": "553 5.7.1 not yours", "RCPT": "503 no"}, offers: []string{"PIPELINING", "SIZE 1000", "8BITMIME"},
			stage: "mail", code: 553, enhanced: "5.7.1", outcome: relay.Permanent, reply: "553 5.7.1 not yours",
		},
		"data refused":        {answers: map[string]string{"DATA": "554 no"}, stage: "data", code: 554, outcome: relay.Permanent, reply: "554 no"},
		"content refused":     {answers: map[string]string{".": "554 5.7.1 spam"}, stage: "data", code: 554, enhanced: "5.7.1", outcome: relay.Permanent, reply: "554 5.7.1 spam"},
		"disk full":           {answers: map[string]string{".": "452 4.3.1 later"}, stage: "data", code: 452, enhanced: "4.3.1", outcome: relay.Temporary, reply: "452 4.3.1 later"},
		"hello refused":       {answers: nil, offers: []string{"EHLO"}, stage: "hello", code: 554, outcome: relay.Temporary, reply: "554 go away"},
		"odd answer to RCPT":  {answers: map[string]string{"RCPT": "354 what"}, stage: "rcpt", code: 354, outcome: relay.Temporary, reply: "354 what"},
		"odd answer to DATA":  {answers: map[string]string{"DATA": "250 yes"}, stage: "data", code: 250, outcome: relay.Temporary, reply: "250 yes"},
		"no answer to MAIL":   {answers: map[string]string{"MAIL": "stall"}, stage: "mail", outcome: relay.Temporary},
		"hangs up at RCPT":    {answers: map[string]string{"RCPT": "hang up"}, stage: "rcpt", outcome: relay.Temporary},
		"hangs up at DATA":    {answers: map[string]string{"DATA": "hang up"}, stage: "data", outcome: relay.Temporary},
		"hangs up after it":   {answers: map[string]string{".": "hang up"}, stage: "data", outcome: relay.Unknown},
		"silent after it":     {answers: map[string]string{".": "stall"}, stage: "data", outcome: relay.Unknown},
		"nonsense after it":   {answers: map[string]string{".": "yes of course"}, stage: "data", outcome: relay.Unknown, reply: "yes of course"},
		"5 MB after it":       {answers: map[string]string{".": "250 " + strings.Repeat("x", 5<<20)}, stage: "data", code: 250, outcome: relay.Unknown, reply: "250 [removed]"},
		"8-bit after it":      {answers: map[string]string{".": "452 4.3.1 disque satur\xe9"}, stage: "data", code: 452, enhanced: "4.3.1", outcome: relay.Temporary, reply: "452 4.3.1 disque satur\uFFFD"},
		"odd answer after it": {answers: map[string]string{".": "354 more"}, stage: "data", code: 354, outcome: relay.Unknown, reply: "354 more"},
	} {
		meaning := func(t *testing.T, offers []string) {
			t.Helper()
			t.Parallel()
			act := polite(c.answers, offers...)
			if name == "hello refused" {
				act = func(k *talker) {
					k.say("220 hi")
					k.hear()
					k.say("554 go away")
					k.hear()
					k.say("554 go away")
					k.stall()
				}
			}
			s := newScript(t, act)
			r := newRelay(t, relay.Options{
				Servers:        []relay.Server{at(s.addr, relay.None)},
				CommandTimeout: time.Second, DataTimeout: time.Second,
			})
			attempts := r.Send(t.Context(), envelope, []byte(letter))
			require.Len(t, attempts, 1, name)
			a := attempts[0]
			require.Error(t, a.Err, name)
			require.Equal(t, c.stage, a.Stage, name)
			require.Equal(t, c.outcome, a.Outcome, name)
			require.Equal(t, c.code, a.Code, name)
			require.Equal(t, c.enhanced, a.Enhanced, name)
			require.Equal(t, c.reply, a.Reply, name)
			require.Equal(t, int32(1), s.conns.Load(), name)
			secretless(t, a)
		}
		t.Run(name, func(t *testing.T) { meaning(t, c.offers) })
		t.Run(name+", all said at once", func(t *testing.T) { meaning(t, append([]string{"PIPELINING"}, c.offers...)) })
	}
}

// TestAMessageIsOpenedInOneRoundTrip where the server allows it: this one answers
// nothing before it has heard all.
func TestAMessageIsOpenedInOneRoundTrip(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(k *talker) {
		k.hello("PIPELINING")
		for range 2 {
			k.hear()
			k.hear()
			k.hear()
			k.say("250 2.1.0 sender", "250 2.1.5 recipient", "354 go on")
			k.message()
			k.say("250 2.0.0 queued")
		}
		k.stall()
	})
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}, CommandTimeout: 5 * time.Second})
	for range 2 {
		require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(letter))[0].Outcome)
	}
	require.Equal(t, int32(1), s.conns.Load())
}

// TestWhoRefusedTheRecipientGetsNoMessage, also if it asks for one.
func TestWhoRefusedTheRecipientGetsNoMessage(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(k *talker) {
		refuse := map[string]string{"RCPT": "550 5.1.1 unknown"}
		if k.number > 1 {
			refuse = nil
		}
		polite(refuse, "PIPELINING")(k)
	})
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	a := r.Send(t.Context(), envelope, []byte(letter))[0]
	require.Equal(t, relay.Permanent, a.Outcome)
	require.Equal(t, "550 5.1.1 unknown", a.Reply)
	first := len(s.lines())
	require.Equal(t, "DATA", s.lines()[first-1], "and nothing after it")
	require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(letter))[0].Outcome)
	require.Contains(t, s.lines()[first], "EHLO", "what waits for a message is not spoken to again")
	require.Equal(t, int32(2), s.conns.Load())
}

// text is a message that is known already.
func text(raw string) relay.Message {
	return relay.Message{Text: func() ([]byte, error) { return []byte(raw), nil }}
}

// TestAWithdrawnMessageIsNotSent, though the server has agreed to take it: what was
// taken back, and what could not be made.
func TestAWithdrawnMessageIsNotSent(t *testing.T) {
	t.Parallel()
	broken := errors.New("no key to sign it with")
	for name, m := range map[string]relay.Message{
		"taken back": {Text: text(letter).Text, MayGo: func() bool { return false }},
		"not made":   {Text: func() ([]byte, error) { return nil, broken }, MayGo: func() bool { return true }},
		"two mails":  text("a\n.\r\nMAIL FROM:<e@y>\r\n"),
	} {
		for _, offers := range [][]string{nil, {"PIPELINING"}} {
			s := newScript(t, polite(nil, offers...))
			other := newScript(t, polite(nil))
			r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None), at(other.addr, relay.None)}})
			for range 5 { // more than a server may fail
				ctx, cancel := context.WithCancel(t.Context())
				turn, _ := r.Turn(ctx, envelope.To)
				withdrawn := m
				if m.MayGo != nil {
					withdrawn.MayGo = func() bool { cancel(); return m.MayGo() }
				}
				attempts, _, err := turn.Send(ctx, envelope, withdrawn)
				cancel()
				require.Equal(t, "DATA", s.lines()[len(s.lines())-1], "%s: and nothing after it", name)
				require.Zero(t, other.conns.Load(), "%s: no other server is asked", name)
				switch name {
				case "taken back":
					require.NoError(t, err)
					require.Len(t, attempts, 1)
					require.Equal(t, relay.Temporary, attempts[0].Outcome)
				case "not made":
					require.ErrorIs(t, err, broken)
				default:
					require.ErrorContains(t, err, "bare CR or LF")
				}
			}
			require.Equal(t, int32(5), s.conns.Load(), "a connection that waits for a message is ended")
			require.Equal(t, relay.Closed, r.Health()[0].State, "it is no fault of the server's")
			require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(letter))[0].Outcome)
		}
	}
}

// TestAMessageIsMadeOnceAServerIsAsked: not where none can be reached, once for all that
// are asked, and while the server thinks.
func TestAMessageIsMadeOnceAServerIsAsked(t *testing.T) {
	t.Parallel()
	nobody := relay.Server{Host: "127.0.0.1", Port: 1, TLS: relay.None}
	asked, made := make(chan struct{}), make(chan struct{})
	slow := newScript(t, func(k *talker) {
		k.hello("PIPELINING")
		k.hear()
		close(asked)
		<-made
		k.hear()
		k.hear()
		k.say("250 2.1.0 sender", "451 4.3.2 busy", "503 no")
		k.stall()
	})
	taker := newScript(t, polite(nil))
	times := 0
	m := relay.Message{Text: func() ([]byte, error) {
		<-asked
		times++
		close(made)
		return []byte(letter), nil
	}}
	r := newRelay(t, relay.Options{Servers: []relay.Server{nobody, at(slow.addr, relay.None), at(taker.addr, relay.None)}})
	turn, _ := r.Turn(t.Context(), envelope.To)
	attempts, _, err := turn.Send(t.Context(), envelope, m)
	require.NoError(t, err)
	require.Len(t, attempts, 3)
	require.Equal(t, relay.Accepted, attempts[2].Outcome)
	require.Equal(t, 1, times)
	require.Contains(t, taker.lines(), "04711815")

	none := newRelay(t, relay.Options{Servers: []relay.Server{nobody}})
	turn, _ = none.Turn(t.Context(), envelope.To)
	attempts, _, err = turn.Send(t.Context(), envelope, relay.Message{Text: func() ([]byte, error) { panic("nobody was asked") }})
	require.NoError(t, err)
	require.Equal(t, relay.StageConnect, attempts[0].Stage)
}

func TestHostileServersCostBoundedTimeAndMemory(t *testing.T) {
	t.Parallel()
	flood := func(k *talker, text string) {
		for range 5 << 20 / len(text) {
			if _, err := io.WriteString(k.conn, text); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		act   func(*talker)
		stage string
	}{
		"silent":                {func(k *talker) { k.stall() }, "connect"},
		"hangs up":              {func(*talker) {}, "connect"},
		"web server":            {func(k *talker) { k.say("HTTP/1.1 400 Bad Request", "", "<html>"); k.stall() }, "connect"},
		"binary":                {func(k *talker) { k.say("\x00\xff\x1b[2J220 hi"); k.stall() }, "connect"},
		"greets with refusal":   {func(k *talker) { k.say("554 5.7.1 You are listed"); k.stall() }, "connect"},
		"5 MB greeting line":    {func(k *talker) { flood(k, "220 "+strings.Repeat("x", 1000)) }, "connect"},
		"5 MB without line end": {func(k *talker) { flood(k, "22") }, "connect"},
		"5 MB of reply lines":   {func(k *talker) { flood(k, "220-more\r\n") }, "connect"},
		"endless EHLO":          {func(k *talker) { k.say("220 hi"); k.hear(); flood(k, "250-X-MORE\r\n") }, "hello"},
		"5 MB reply to RCPT":    {polite(map[string]string{"RCPT": "550 " + strings.Repeat("é", 5<<20/2)}), "rcpt"},
		"trickles": {func(k *talker) {
			for k.in.Buffered() == 0 {
				if _, err := io.WriteString(k.conn, "220-"+"\r\n"); err != nil {
					return
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-k.ended:
					return
				}
			}
		}, "connect"},
		"breaks off in the message": {func(k *talker) {
			k.hello()
			for range 2 {
				k.hear()
				k.say("250 ok")
			}
			k.hear()
			k.say("354 go")
			_, _ = io.ReadFull(k.in, make([]byte, 100_000))
		}, "data"},
		"stalls while it takes the message": {polite(map[string]string{"DATA": "354 go\r\n"}), "data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "stalls") {
				c.act = func(k *talker) {
					k.hello()
					k.hear()
					k.say("250 ok")
					k.hear()
					k.say("250 ok")
					k.hear()
					k.say("354 go")
					<-k.ended // reads nothing
				}
			}
			s := newScript(t, c.act)
			r := newRelay(t, relay.Options{
				Servers:        []relay.Server{at(s.addr, relay.None)},
				CommandTimeout: time.Second, DataTimeout: time.Second,
			})
			raw := []byte(letter)
			if strings.HasPrefix(name, "stalls") || strings.HasPrefix(name, "breaks off") {
				raw = []byte(strings.Repeat(letter, 100_000)) // more than the sockets hold
			}
			started := time.Now()
			a := r.Send(t.Context(), envelope, raw)[0]
			require.Less(t, time.Since(started), 10*time.Second, name)
			require.Error(t, a.Err, name)
			require.Equal(t, c.stage, a.Stage, "%s: %v", name, a.Err)
			require.Equal(t, relay.Temporary, a.Outcome, name)
			secretless(t, a)
		})
	}
}

func TestRepliesAreCleaned(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"550 bo\xeete pleine \x1b[31m\x00\a\u202e":                                                                "550 bo\uFFFDte pleine  [31m",
		"550 Почтовый ящик не найден":                                                                             "550 Почтовый ящик не найден",
		"550 blocked URL https://login.example.com/acme/reset-password/0V3G7T4K8Q2ZC9M5N1B6HX0R4D7W8Y3F5J2K9P1A.": "550 blocked URL https://login.example.com/acme/reset-password/[removed]",
		"550 bad word 04711815 and 0v3g7t4k8q2zc9m5n1b6hx0r4d7w":                                                  "550 bad word [removed] and [removed]",
		"550 5.7.1 see https://support.google.com/mail/answer/81126 a640c23a62f3a-ae0c8a1b2si1234567 - gsmtp":     "550 5.7.1 see https://support.google.com/mail/answer/81126 a640c23a62f3a-ae0c8a1b2si1234567 - gsmtp",
	} {
		s := newScript(t, polite(map[string]string{".": answer}))
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
		a := r.Send(t.Context(), envelope, []byte(letter))[0]
		require.Equal(t, want, a.Reply)
		require.Equal(t, relay.Permanent, a.Outcome)
		secretless(t, a)
	}
}

// TestTheEndOfALongReply: what a server says last, after many lines or long ones, is
// what it means.
func TestTheEndOfALongReply(t *testing.T) {
	t.Parallel()
	for name, filling := range map[string]string{
		"in the middle": strings.Repeat("550-5.1.1 We are sorry to say that we could not take this\r\n", 90),
		"of 5 MB":       strings.Repeat("550-5.1.1 We are sorry to say that we could not take this\r\n", 90_000),
	} {
		s := newScript(t, polite(map[string]string{"RCPT": filling + "550 5.1.1 user unknown"}))
		a := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}}).Send(t.Context(), envelope, []byte(letter))[0]
		require.Equal(t, relay.Permanent, a.Outcome, name)
		require.True(t, strings.HasPrefix(a.Reply, "550 5.1.1 We are sorry"), name)
		require.True(t, strings.HasSuffix(a.Reply, " user unknown"), name)
		require.LessOrEqual(t, len(a.Reply), 2<<10, name)
	}
}

// TestASizeIsNoSecret: an administrator who reads a conversation sees how large a
// mail the server takes; what is a link, a code or a sign-in stays hidden beside it.
func TestASizeIsNoSecret(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(map[string]string{
		"MAIL": "250 MAIL FROM:<a@b.example> SIZE=12345678 taken, see 04711815",
		".":    "550 SIZE 04711815 in /reset-password/0V3G7T4K8Q2ZC9M5 and 0v3g7t4k8q2zc9m5n1b6hx0r4d7w",
	}, "SIZE 33554432", "X-SIZE 04711815"))
	a := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}}).Send(t.Context(), envelope, []byte(letter))[0]
	require.Contains(t, a.Conversation, "SIZE 33554432\n")
	require.Contains(t, a.Conversation, "SIZE=12345678 taken, see [removed]\n")
	require.Contains(t, a.Conversation, "X-SIZE [removed]\n")
	require.Equal(t, "550 SIZE [removed] in /reset-password/[removed] and [removed]", a.Reply)
	secretless(t, a)
}

func TestNeverFallsBackToClearText(t *testing.T) {
	t.Parallel()
	roots := x509.NewCertPool()
	other := &tls.Config{Certificates: []tls.Certificate{certify(t, "other.example", roots)}}
	untrusted := &tls.Config{Certificates: []tls.Certificate{certify(t, "localhost", x509.NewCertPool())}}
	for name, act := range map[string]func(*talker){
		"offers none":      polite(map[string]string{}, "AUTH PLAIN"),
		"refuses EHLO":     func(k *talker) { k.say("220 hi"); k.hear(); k.say("502 no"); serve(k, nil) },
		"refuses STARTTLS": polite(map[string]string{"STARTTLS": "454 4.7.0 not now"}, "STARTTLS", "AUTH PLAIN"),
		"permits, then speaks on": func(k *talker) {
			k.hello("STARTTLS", "AUTH PLAIN")
			k.hear()
			k.say("220 go")
			k.say("250 whatever")
			k.stall()
		},
		"slips words in": func(k *talker) {
			k.hello("STARTTLS", "AUTH PLAIN")
			k.hear()
			k.say("220 go", "250-evil", "250 AUTH PLAIN")
			k.stall()
		},
		"wrong name":       func(k *talker) { k.hello("STARTTLS"); k.hear(); k.say("220 go"); k.secure(other); serve(k, nil) },
		"untrusted":        func(k *talker) { k.hello("STARTTLS"); k.hear(); k.say("220 go"); k.secure(untrusted); serve(k, nil) },
		"hangs up":         func(k *talker) { k.hello("STARTTLS"); k.hear(); k.say("220 go") },
		"stalls handshake": func(k *talker) { k.hello("STARTTLS"); k.hear(); k.say("220 go"); k.stall() },
	} {
		s := newScript(t, act)
		server := at(s.addr, relay.StartTLS)
		server.User, server.Password = "jane", "correct horse"
		r := newRelay(t, relay.Options{
			Servers: []relay.Server{server}, ConnectTimeout: 300 * time.Millisecond,
			TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"},
		})
		a := r.Send(t.Context(), envelope, []byte(letter))[0]
		require.Error(t, a.Err, name)
		require.Contains(t, []string{"tls", "hello"}, a.Stage, name)
		require.Equal(t, relay.Temporary, a.Outcome, name)
		for _, line := range s.lines() {
			require.Regexp(t, `^(EHLO login\.example\.com|HELO login\.example\.com|STARTTLS|QUIT|[^ -~]*.*\x03.*)`, line, name)
			require.NotContains(t, line, "AUTH", name)
			require.NotContains(t, line, "MAIL", name)
		}
		secretless(t, a)
	}
}

func TestPasswordIsNotSentInClearText(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(nil, "AUTH PLAIN LOGIN"))
	server := at(s.addr, relay.None)
	server.User, server.Password = "jane", "correct horse"
	r := newRelay(t, relay.Options{Servers: []relay.Server{server}})
	a := r.Send(t.Context(), envelope, []byte(letter))[0]
	require.Equal(t, "auth", a.Stage)
	require.ErrorContains(t, a.Err, "unencrypted")
	for _, line := range s.lines() {
		require.NotContains(t, line, "AUTH")
		require.NotContains(t, line, "MAIL")
	}
}

// TestWhatAServerQuotesOfASignInIsNotKept: what stands in an attempt is read by
// people who have nothing to do with the operator's account.
func TestWhatAServerQuotesOfASignInIsNotKept(t *testing.T) {
	t.Parallel()
	roots := x509.NewCertPool()
	config := &tls.Config{Certificates: []tls.Certificate{certify(t, "localhost", roots)}}
	refusal := func(offer, answer string) relay.Attempt {
		s := newScript(t, func(k *talker) {
			k.secure(config)
			k.hello(offer)
			k.hear()
			k.say(answer, "535 5.7.8 Login failed")
			k.hear()
		})
		server := at(s.addr, relay.Implicit)
		server.User, server.Password = "us@er", "Pa$sw0rd/X9"
		r := newRelay(t, relay.Options{Servers: []relay.Server{server}, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
		return r.Send(t.Context(), envelope, []byte(letter))[0]
	}
	require.Equal(t, "535 5.7.8 No Login failed", refusal("AUTH LOGIN", "535-5.7.8 No").Reply)
	for _, quoted := range []string{
		"us@er", "US@ER", "us%40er", "dXNAZXI=", "Pa$sw0rd/X9", "Pa%24sw0rd/X9", "Pa%24sw0rd%2fX9", "PA$SW0RD/X9",
		"50612473773072642f5839", "50 61 24 73 77 30 72 64 2F 58 39", "UGEkc3cwcmQvWDk=", "UGEkc3cwcmQvWDk", "AHVzQGVyAFBhJHN3MHJkL1g5",
	} {
		a := refusal("AUTH PLAIN", "535-5.7.8 rejected: ("+quoted+")")
		require.Equal(t, "535 5.7.8 rejected: ([removed]) Login failed", a.Reply, quoted)
		require.NotContains(t, a.Conversation+a.Err.Error(), quoted)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	roots := x509.NewCertPool()
	config := &tls.Config{Certificates: []tls.Certificate{certify(t, "localhost", roots)}}
	for name, c := range map[string]struct {
		offer   string
		answers []string // to each line of the exchange
		want    relay.Outcome
		code    int
	}{
		"plain":                {"AUTH LOGIN PLAIN", []string{"235 in"}, relay.Accepted, 250},
		"login":                {"AUTH CRAM-MD5 LOGIN", []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 in"}, relay.Accepted, 250},
		"login in other words": {"AUTH LOGIN", []string{"334 VXNlciBOYW1lAA==", "334 UGFzc3dvcmQA", "235 in"}, relay.Accepted, 250},
		"login without an end": {"AUTH LOGIN", []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "334 UGFzc3dvcmQ6"}, relay.Temporary, 334},
		"wrong password":       {"AUTH PLAIN", []string{"535 5.7.8 AGphbmUAY29ycmVjdCBob3JzZQ== correct horse is wrong"}, relay.Temporary, 535},
		"none that we know":    {"AUTH GSSAPI", nil, relay.Temporary, 0},
		"none at all":          {"SIZE 1000", nil, relay.Temporary, 0},
		"nonsense":             {"AUTH LOGIN", []string{"334 %%%%"}, relay.Temporary, 334},
		"asks for more":        {"AUTH PLAIN", []string{"334 ", "535 no"}, relay.Temporary, 0},
	} {
		s := newScript(t, func(k *talker) {
			k.secure(config)
			k.hello(c.offer)
			for _, answer := range c.answers {
				k.hear()
				k.say(answer)
			}
			serve(k, nil)
		})
		server := at(s.addr, relay.Implicit)
		server.User, server.Password = "jane", "correct horse"
		r := newRelay(t, relay.Options{Servers: []relay.Server{server}, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
		a := r.Send(t.Context(), envelope, []byte(letter))[0]
		require.Equal(t, c.want, a.Outcome, "%s: %v\n%s", name, a.Err, a.Conversation)
		if c.want != relay.Accepted {
			require.Equal(t, "auth", a.Stage, name)
			if c.code != 334 {
				require.Equal(t, c.code, a.Code, name)
			}
			require.NotContains(t, strings.Join(s.lines(), "\n"), "MAIL", name)
		}
		secretless(t, a)
	}
}

func TestServersInOrder(t *testing.T) {
	t.Parallel()
	good := newScript(t, polite(nil))
	for name, c := range map[string]struct {
		first    func(*talker)
		attempts int
	}{
		"accepts":            {polite(nil), 1},
		"cannot be used":     {func(*talker) {}, 2},
		"puts off":           {polite(map[string]string{"RCPT": "451 later"}), 2},
		"refuses the sender": {polite(map[string]string{"MAIL": "550 not yours"}), 2},
		"refuses recipient":  {polite(map[string]string{"RCPT": "550 nobody"}), 1},
		"refuses content":    {polite(map[string]string{".": "550 spam"}), 1},
		"leaves it unknown":  {polite(map[string]string{".": "hang up"}), 1},
	} {
		first := newScript(t, c.first)
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(first.addr, relay.None), at(good.addr, relay.None)}})
		attempts := r.Send(t.Context(), envelope, []byte(letter))
		require.Len(t, attempts, c.attempts, name)
		require.Equal(t, port(first.addr), attempts[0].Server, name)
		if c.attempts == 2 {
			require.Equal(t, relay.Accepted, attempts[1].Outcome, name)
			require.Equal(t, port(good.addr), attempts[1].Server, name)
		}
	}
}

func TestServerThatCannotBeUsedRests(t *testing.T) {
	t.Parallel()
	bad := newScript(t, func(*talker) {})
	good := newScript(t, polite(nil))
	var mu sync.Mutex
	now := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	r := newRelay(t, relay.Options{
		Servers: []relay.Server{at(bad.addr, relay.None), at(good.addr, relay.None)},
		Clock:   func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	})
	for range 3 {
		require.Len(t, r.Send(t.Context(), envelope, []byte(letter)), 2)
	}
	attempts := r.Send(t.Context(), envelope, []byte(letter))
	require.Len(t, attempts, 1, "the resting server is not asked first")
	require.Equal(t, port(good.addr), attempts[0].Server)
	mu.Lock()
	now = now.Add(16 * time.Second)
	mu.Unlock()
	require.Len(t, r.Send(t.Context(), envelope, []byte(letter)), 2, "and is asked again when rested")
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	p := newPost(t, postOptions{mode: relay.StartTLS})
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(p.addr, relay.StartTLS)}, TLSConfig: p.trusting()})
	for i := range 5 {
		to := envelope
		if i%2 == 1 {
			to.To = "nobody@acme.example"
		}
		a := r.Send(t.Context(), to, []byte(letter))[0]
		want := relay.Accepted
		if i%2 == 1 {
			want = relay.Permanent
		}
		require.Equal(t, want, a.Outcome, "a refusal leaves nothing behind: %s", a.Conversation)
	}
	require.Equal(t, 1, p.conns())
	require.Len(t, p.arrived(), 3)
}

func TestKeptConnectionThatDiedIsReplacedSilently(t *testing.T) {
	t.Parallel()
	for name, farewell := range map[string]func(*talker){
		"closed":          func(*talker) {},
		"closed with 421": func(k *talker) { k.say("421 4.4.2 idle") },
		"421 to MAIL":     func(k *talker) { k.hear(); k.say("421 4.7.0 enough for this connection"); k.stall() },
		"closes on MAIL":  func(k *talker) { k.hear() },
	} {
		gone := make(chan struct{}, 8)
		s := newScript(t, func(k *talker) {
			k.hello()
			for _, answer := range []string{"250 ok", "250 ok", "354 go"} {
				k.hear()
				k.say(answer)
			}
			k.message()
			k.say("250 2.0.0 taken")
			if k.number > 1 {
				serve(k, nil)
				return
			}
			farewell(k)
			_ = k.conn.Close()
			gone <- struct{}{}
		})
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
		require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(letter))[0].Outcome)
		if strings.HasPrefix(name, "closed") {
			<-gone
		}
		attempts := r.Send(t.Context(), envelope, []byte(letter))
		require.Len(t, attempts, 1, name)
		require.Equal(t, relay.Accepted, attempts[0].Outcome, "%s: %v", name, attempts[0].Err)
		require.NotContains(t, attempts[0].Conversation, "421", name)
		require.Equal(t, int32(2), s.conns.Load(), name)
	}
}

// An answer too many must not be taken for the answer to the next message.
func TestServerOutOfStepIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(map[string]string{".": "250 2.0.0 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken"}))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	for range 2 {
		require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(letter))[0].Outcome)
	}
	require.Equal(t, int32(2), s.conns.Load())
}

func TestAddressesCannotCommand(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(nil))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	for _, bad := range []string{
		"", "jane", "@x.test", "jane@", "v@x>\r\nRCPT TO:<e@y", "v@x.test\r\nDATA", "v@x.test\n", "v@x.test\r", "v\x00@x.test",
		"<v@x.test>", "v@x.test> SIZE=1", "v w@x.test", "v@x.test\u2028", "v\u0085@x.test", "v@x..test", "v@-x.test/", "v\xff@x.test",
		"v\u200b@x.test", "v@[127.0.0.1", "v@[]", "v@[127.0.0.1]>", "v@[x.test]", strings.Repeat("v", 250) + "@x.test",
	} {
		for stage, e := range map[string]relay.Envelope{
			relay.StageRcpt: {From: envelope.From, To: bad},
			relay.StageMail: {From: bad, To: envelope.To},
		} {
			if stage == relay.StageMail && bad == "" {
				continue // the null reverse-path
			}
			attempts := r.Send(t.Context(), e, []byte(letter))
			require.Len(t, attempts, 1)
			require.Equal(t, relay.Permanent, attempts[0].Outcome, "%q", bad)
			require.Equal(t, stage, attempts[0].Stage, "%q", bad)
			require.Error(t, attempts[0].Err)
			require.Empty(t, attempts[0].Server)
		}
	}
	toLiteral := r.Send(t.Context(), relay.Envelope{From: envelope.From, To: "v@[127.0.0.1]"}, []byte(letter))[0]
	require.Equal(t, relay.Permanent, toLiteral.Outcome)
	require.Zero(t, s.conns.Load(), "nobody was asked")

	for _, nameless := range []string{"v@[192.0.2.1]", "v@[IPv6:2001:db8::1]"} {
		require.Equal(t, relay.Accepted, r.Send(t.Context(), relay.Envelope{From: nameless, To: envelope.To}, []byte(letter))[0].Outcome)
		require.Contains(t, s.lines(), "MAIL FROM:<"+nameless+">")
	}

	a := r.Send(t.Context(), relay.Envelope{To: envelope.To}, []byte(letter))[0]
	require.Equal(t, relay.Accepted, a.Outcome)
	require.Contains(t, s.lines(), "MAIL FROM:<>")
}

func TestMessageIsExactlyOneMessage(t *testing.T) {
	t.Parallel()
	s := newScript(t, polite(nil, "PIPELINING", "SIZE 100000", "8BITMIME"))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	for _, bad := range []string{
		"", "a\n.\r\nMAIL FROM:<e@y>\r\n", "a\r.\r\n", "a\n.\nb\r\n", "a\r\n.\rb\r\n", "a\r", "a\n", "a\x00\r\n", "\n", strings.Repeat("x", 999) + "\r\n",
	} {
		a := r.Send(t.Context(), envelope, []byte(bad))[0]
		require.Equal(t, relay.Permanent, a.Outcome, "%q", bad)
		require.Equal(t, relay.StageData, a.Stage)
	}
	require.Zero(t, s.conns.Load())

	for _, raw := range []string{".", "..\r\n", "é\r\n.\r\nMAIL FROM:<e@y>\r\n.\r\n", ".\r\n.\r\n.\r\n", "no end", "a\r\n\r\n"} {
		require.Equal(t, relay.Accepted, r.Send(t.Context(), envelope, []byte(raw))[0].Outcome, "%q", raw)
	}
	ends := 0
	for _, line := range s.lines() {
		if line == "." {
			ends++
		}
	}
	require.Equal(t, 6, ends)
	require.Contains(t, s.lines(), "MAIL FROM:<"+envelope.From+"> BODY=8BITMIME")
	require.Contains(t, s.lines(), "..", "a dot of the text is doubled")
}

func TestAddressesOutsideASCII(t *testing.T) {
	t.Parallel()
	jörg := relay.Envelope{From: envelope.From, To: "jörg@acme.example"}
	plain := newScript(t, polite(nil))
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(plain.addr, relay.None)}})
	a := r.Send(t.Context(), jörg, []byte(letter))[0]
	require.Equal(t, relay.Permanent, a.Outcome)
	require.ErrorContains(t, a.Err, "letters outside ASCII")

	a = r.Send(t.Context(), relay.Envelope{From: envelope.From, To: "jane@bücher.example"}, []byte(letter))[0]
	require.Equal(t, relay.Accepted, a.Outcome)
	require.Contains(t, plain.lines(), "RCPT TO:<jane@xn--bcher-kva.example>")

	p := newPost(t, postOptions{mode: relay.None, change: func(s *smtp.Server) { s.EnableSMTPUTF8 = true }})
	r = newRelay(t, relay.Options{Servers: []relay.Server{at(plain.addr, relay.None), at(p.addr, relay.None)}})
	attempts := r.Send(t.Context(), jörg, []byte(letter))
	require.Len(t, attempts, 2, "the next server may know how")
	require.Equal(t, relay.Accepted, attempts[1].Outcome)
	require.Equal(t, jörg.To, p.arrived()[0].to)
}

func TestEndOfContextEndsTheConversation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answers map[string]string
		want    relay.Outcome
	}{
		{map[string]string{"MAIL": "stall"}, relay.Temporary},
		{map[string]string{".": "stall"}, relay.Unknown},
	} {
		s := newScript(t, polite(c.answers))
		other := newScript(t, polite(nil))
		r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None), at(other.addr, relay.None)}})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-s.stalls
			cancel(errors.New("the lease is lost"))
		}()
		attempts := r.Send(ctx, envelope, []byte(letter))
		require.Len(t, attempts, 1)
		require.Equal(t, c.want, attempts[0].Outcome)
		require.ErrorContains(t, attempts[0].Err, "the lease is lost")
	}
}

func TestNoMoreConnectionsThanAllowed(t *testing.T) {
	t.Parallel()
	p := newPost(t, postOptions{mode: relay.None})
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(p.addr, relay.None)}, MaxConns: 3})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if a := r.Send(t.Context(), envelope, []byte(letter))[0]; a.Outcome != relay.Accepted {
				t.Errorf("%v\n%s", a.Err, a.Conversation)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, p.conns(), 3)
	require.Len(t, p.arrived(), 100)
}

func TestWithoutServers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, relay.Options{})
	attempts := r.Send(t.Context(), envelope, []byte(letter))
	require.Len(t, attempts, 1)
	require.Equal(t, relay.Temporary, attempts[0].Outcome)
	require.ErrorContains(t, attempts[0].Err, "no mail server is configured")

	p := newPost(t, postOptions{mode: relay.None})
	r = newRelay(t, relay.Options{Servers: []relay.Server{at(p.addr, relay.None)}})
	require.NoError(t, r.Close())
	require.ErrorContains(t, r.Send(t.Context(), envelope, []byte(letter))[0].Err, "closed")
}

func TestConversationIsCapped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("250-"+strings.Repeat("é", 700)+"\r\n", 60)
	s := newScript(t, func(k *talker) {
		k.say("220 hi")
		k.hear()
		k.say(long + "250 ok")
		serve(k, nil)
	})
	r := newRelay(t, relay.Options{Servers: []relay.Server{at(s.addr, relay.None)}})
	a := r.Send(t.Context(), envelope, []byte(letter))[0]
	require.Equal(t, relay.Accepted, a.Outcome)
	require.LessOrEqual(t, len(a.Conversation), 8<<10)
	require.True(t, strings.HasSuffix(a.Conversation, "…\n"))
}

func BenchmarkSend(b *testing.B) {
	for _, mode := range []relay.Mode{relay.None, relay.StartTLS} {
		b.Run(string(mode), func(b *testing.B) {
			p := newPost(b, postOptions{mode: mode, change: func(s *smtp.Server) {
				s.Backend = smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return sink{}, nil })
			}})
			r := newRelay(b, relay.Options{Servers: []relay.Server{at(p.addr, mode)}, TLSConfig: p.trusting()})
			raw := []byte(strings.Repeat(letter, 40)) // about as large as a reset mail
			b.SetParallelism(4)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := r.Send(b.Context(), envelope, raw)[0]; a.Outcome != relay.Accepted {
						b.Error(a.Err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
		})
	}
}

type sink struct{}

func (sink) Mail(string, *smtp.MailOptions) error { return nil }
func (sink) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (sink) Data(r io.Reader) error               { _, err := io.Copy(io.Discard, r); return err }
func (sink) Reset()                               {}
func (sink) Logout() error                        { return nil }
