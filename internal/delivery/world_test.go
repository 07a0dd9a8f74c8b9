package delivery_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// patience bounds what a test waits for on a busy machine.
const patience = 20 * time.Second

// hangUp is an answer that is none: the server closes the connection.
const hangUp = "hang up"

// mailServer says what a test tells it to. It answers every command with 250,
// but for those in answers; "." stands for the end of a message, "text" for its
// first line.
type mailServer struct {
	addr string

	mu      sync.Mutex
	answers map[string]func() string
	about   func(line string) string // an answer to this line, or "": the usual
	taken   []string                 // whole messages, also those of which the client heard nothing
	heard   []string                 // commands
}

// startServer listens on an address; "" stands for a free port.
func startServer(t *testing.T, addr string) *mailServer {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	s := &mailServer{addr: l.Addr().String(), answers: map[string]func() string{}}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return s
}

// answer sets what the server says to a command from now on; nil: the usual.
func (s *mailServer) answer(command string, with func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = with
}

// always answers a command in the same way.
func always(text string) func() string { return func() string { return text } }

func (s *mailServer) reply(command, usual string) string {
	s.mu.Lock()
	with := s.answers[command]
	s.mu.Unlock()
	if with == nil {
		return usual
	}
	return with()
}

// refuse answers with a text to what holds a part; "" to nothing any more.
func (s *mailServer) refuse(part, with string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.about = func(line string) string {
		if part != "" && strings.Contains(line, part) {
			return with
		}
		return ""
	}
}

// slow answers what holds a part only after the release.
func (s *mailServer) slow(part string, release chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.about = func(line string) string {
		if strings.Contains(line, part) {
			<-release
		}
		return ""
	}
}

func (s *mailServer) usual(line string) string {
	s.mu.Lock()
	about := s.about
	s.mu.Unlock()
	if about != nil {
		if text := about(line); text != "" {
			return text
		}
	}
	return "250 2.0.0 fine"
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	say := func(text string) bool {
		if text == hangUp {
			return false
		}
		_, err := io.WriteString(c, text+"\r\n")
		return err == nil
	}
	going := say("220 test")
	for going {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.heard = append(s.heard, line)
		s.mu.Unlock()
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "DATA":
			if going = say(s.reply("DATA", "354 go on")); going {
				going = s.message(in, say)
			}
		case "QUIT":
			say("221 bye")
			return
		case "EHLO":
			going = say(s.reply("EHLO", "250 test"))
		default:
			going = say(s.reply(verb, s.usual(line)))
		}
	}
}

func (s *mailServer) message(in *bufio.Reader, say func(string) bool) bool {
	if s.reply("text", "") == hangUp {
		return false
	}
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	s.taken = append(s.taken, text.String())
	s.mu.Unlock()
	return say(s.reply(".", "250 2.0.0 taken"))
}

// mails gives the messages that arrived whole.
func (s *mailServer) mails() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.taken...)
}

func (s *mailServer) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, "\n")
}

// freeAddress gives an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// eachDB runs a test on both engines with these mail servers.
func eachDB(t *testing.T, test func(t *testing.T, w *testkit.World, servers []*mailServer), kinds ...string) {
	t.Helper()
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		servers, addresses := []*mailServer{}, []string{}
		for _, kind := range kinds {
			s := &mailServer{addr: freeAddress(t)}
			if kind != "down" {
				s = startServer(t, "")
			}
			options := "?tls=none"
			if kind == "starttls" {
				options = ""
			}
			servers, addresses = append(servers, s), append(addresses, "smtp://"+s.addr+options)
		}
		test(t, testkit.New(t, testkit.Database(t, engine), func(c *config.Config) { c.SMTP = strings.Join(addresses, ",") }), servers)
	})
}

// askForJane types Jane's address into "I forgot my password".
func askForJane(w *testkit.World) {
	w.T.Helper()
	_, err := w.App.Recovery.Ask(w.Ctx(), w.Acme, "jane@acme.example", access.From{Network: "192.0.2.7", Agent: testkit.Firefox})
	require.NoError(w.T, err)
}

// promised waits for the commit of a mail whose server may have been asked before it
// (docs/decisions/0022).
func promised(w *testkit.World) {
	w.T.Helper()
	require.Eventually(w.T, func() bool { return count(w, "SELECT count(*) FROM messages") == 1 }, patience, time.Millisecond)
}

// newest gives Jane's newest mail as scripts see it.
func newest(w *testkit.World) usermanager.ShownMessage {
	w.T.Helper()
	shown, err := w.App.UserManager.Show(w.Ctx(), access.Operator(), w.Acme, "jane@acme.example")
	require.NoError(w.T, err)
	if len(shown.Messages) == 0 {
		return usermanager.ShownMessage{}
	}
	return shown.Messages[0]
}

// until waits for a state of Jane's newest mail, after that many attempts.
func until(w *testkit.World, state string, attempts int) usermanager.ShownMessage {
	w.T.Helper()
	var m usermanager.ShownMessage
	require.Eventually(w.T, func() bool {
		m = newest(w)
		return m.State == state && len(m.Attempts) >= attempts
	}, patience, 10*time.Millisecond, "waiting for %q after %d attempts", state, attempts)
	return m
}

// pause ends the pause before the next try.
func pause(w *testkit.World) {
	w.T.Helper()
	later(w, time.Hour)
}

// later sets the clock forward and lets the workers look at once.
func later(w *testkit.World, d time.Duration) {
	w.T.Helper()
	w.Clock.Advance(d)
	require.NoError(w.T, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
		tx.Notify("jobs:" + string(outbox.Send))
		return nil
	}))
}

// lines tells the attempts in short.
func lines(m usermanager.ShownMessage) []string {
	var all []string
	for _, a := range m.Attempts {
		line := *a.Stage
		if a.Code != nil {
			line += fmt.Sprintf(" %d", *a.Code)
		}
		if a.Enhanced != nil {
			line += " " + *a.Enhanced
		}
		all = append(all, line)
	}
	return all
}

// count counts rows, for what no script sees.
func count(w *testkit.World, query string, args ...any) int {
	w.T.Helper()
	n := 0
	w.View(func(tx *db.Tx) (err error) {
		n, err = db.One[int](tx, query, args...)
		return err
	})
	return n
}

// change changes rows behind the program's back.
func change(w *testkit.World, statement string, args ...any) {
	w.T.Helper()
	require.NoError(w.T, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	}))
}

// allowMail lets mail go to Jane's address again.
func allowMail(w *testkit.World) {
	w.T.Helper()
	require.NoError(w.T, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
		allowed, err := suppression.Clear(tx, w.Acme.ID, w.Jane.EmailKey)
		require.True(w.T, allowed, "it was not stopped")
		return err
	}))
}

// header gives a header field of a raw message.
func header(raw, name string) string {
	for line := range strings.SplitSeq(raw, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

// text reads one text, for what no script sees.
func text(w *testkit.World, query string, args ...any) string {
	w.T.Helper()
	s := ""
	w.View(func(tx *db.Tx) (err error) {
		s, err = db.One[string](tx, query, args...)
		return err
	})
	return s
}
