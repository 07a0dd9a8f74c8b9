package kill

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// flapper is a mail server that goes down and comes up again all the time, and
// breaks off whatever is under way, but for one thing: once it said that a
// message may come it takes and answers it, so that no outcome is unknown. Those
// wait ten minutes, which is longer than a test. It begins with the first recipient
// it hears of, so that one conversation at least is broken off.
type flapper struct {
	t    *testing.T
	addr string

	mu     sync.Mutex
	up     bool
	began  sync.Once
	met    chan struct{}     // closed by the first recipient
	open   map[net.Conn]bool // true while it owes an answer
	taken  []letter
	broken int // conversations it broke off
	served sync.WaitGroup
	l      net.Listener
}

// letter is what arrived, as far as it matters here.
type letter struct{ to, messageID, text string }

func newFlapper(t *testing.T, up, down time.Duration) *flapper {
	t.Helper()
	f := &flapper{t: t, addr: freeAddress(t), met: make(chan struct{}), open: map[net.Conn]bool{}}
	stop := make(chan struct{})
	f.rise()
	f.served.Go(func() {
		select {
		case <-f.met:
		case <-stop:
		}
		for wait(down, stop) {
			f.rise()
			if !wait(up, stop) {
				break
			}
			f.fall()
		}
		f.fall()
	})
	t.Cleanup(func() { close(stop); f.served.Wait() })
	return f
}

func wait(d time.Duration, stop chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-stop:
		return false
	}
}

func (f *flapper) rise() {
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		return // somebody has the port for a moment: stay down this time
	}
	f.mu.Lock()
	f.l, f.up = l, true
	f.mu.Unlock()
	f.served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.served.Go(func() { f.serve(c) })
		}
	})
}

func (f *flapper) fall() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.up {
		return
	}
	f.up = false
	_ = f.l.Close()
	for c, owes := range f.open {
		if !owes {
			f.broken++
			_ = c.Close()
		}
	}
}

// enter counts a connection; false if the server went down meanwhile.
func (f *flapper) enter(c net.Conn, owes bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up {
		f.open[c] = owes
	}
	return f.up
}

var headerOf = regexp.MustCompile(`(?m)^Message-ID: <([^>]+)>`)

func (f *flapper) serve(c net.Conn) {
	defer func() {
		f.mu.Lock()
		delete(f.open, c)
		f.mu.Unlock()
		_ = c.Close()
	}()
	in := bufio.NewReader(c)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	if !f.enter(c, false) {
		return
	}
	say("220 flapper")
	to := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "RCPT":
			f.began.Do(func() { f.fall(); close(f.met) })
			to = strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>")
			say("250 2.1.5 fine")
		case "DATA":
			if !f.enter(c, true) {
				return
			}
			say("354 go on")
			if !f.message(c, in, to) {
				return
			}
		case "QUIT":
			return
		default:
			say("250 fine")
		}
	}
}

func (f *flapper) message(c net.Conn, in *bufio.Reader, to string) bool {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, ".")) // RFC 5321 section 4.5.2
	}
	m := headerOf.FindStringSubmatch(text.String())
	_, err := io.WriteString(c, "250 2.0.0 taken\r\n")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && m != nil {
		f.taken = append(f.taken, letter{to, m[1], text.String()})
	}
	f.open[c] = false
	return f.up
}

func (f *flapper) letters() ([]letter, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]letter(nil), f.taken...), f.broken
}
