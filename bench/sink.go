package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sink is an SMTP server that accepts everything, keeps who got which
// Message-ID when, and can be slow.
type sink struct {
	listener net.Listener
	delay    atomic.Int64 // before a message is accepted, nanoseconds
	count    atomic.Int64 // messages accepted

	mu   sync.Mutex
	to   map[string][]receipt // by recipient
	last time.Time
	keep bool // keep whole messages
}

// receipt is one accepted message.
type receipt struct {
	id   string
	at   time.Time
	text []byte // only if kept
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, to: map[string][]receipt{}}
	go s.serve()
	return s, nil
}

func (s *sink) address() string { return s.listener.Addr().String() }

func (s *sink) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return
		}
		go s.converse(conn)
	}
}

// forget drops what was received.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.to)
}

func (s *sink) keepTexts(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
}

// received gives the messages of a recipient so far.
func (s *sink) received(recipient string) []receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]receipt(nil), s.to[recipient]...)
}

// lastAt is when the latest message was accepted.
func (s *sink) lastAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// await waits for a message to a recipient.
func (s *sink) await(recipient string, patience time.Duration) (receipt, bool) {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if got := s.received(recipient); len(got) > 0 {
			return got[0], true
		}
		if time.Now().After(end) {
			return receipt{}, false
		}
	}
}

// converse speaks RFC 5321 as far as a sender needs.
func (s *sink) converse(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 16<<10), bufio.NewWriter(conn)
	say := func(line string) bool {
		_, err := out.WriteString(line + "\r\n")
		if err == nil && in.Buffered() == 0 { // else answer a pipelined batch at once
			err = out.Flush()
		}
		return err == nil
	}
	recipients, going := []string(nil), say("220 sink ESMTP")
	for going {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			going = say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES")
		case "RCPT":
			recipients = append(recipients, between(line, '<', '>'))
			going = say("250 2.1.5 ok")
		case "DATA":
			if say("354 go on") && out.Flush() == nil {
				going = s.take(in, recipients) == nil && say("250 2.0.0 kept")
			} else {
				going = false
			}
			recipients = recipients[:0]
		case "QUIT":
			say("221 2.0.0 bye")
			return
		case "RSET":
			recipients = recipients[:0]
			going = say("250 2.0.0 ok")
		default:
			going = say("250 2.0.0 ok")
		}
	}
}

func (s *sink) take(in *bufio.Reader, recipients []string) error {
	var text []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if string(line) == ".\r\n" && (len(text) == 0 || text[len(text)-1] == '\n') {
			break
		}
		text = append(text, line...)
	}
	if d := s.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	r := receipt{id: messageID(text), at: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep {
		r.text = text
	}
	for _, to := range recipients {
		s.to[to] = append(s.to[to], r)
	}
	s.last = r.at
	s.count.Add(1)
	return nil
}

func messageID(text []byte) string {
	head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	for line := range bytes.Lines(head) {
		if len(line) > 11 && bytes.EqualFold(line[:11], []byte("Message-ID:")) {
			return string(bytes.TrimSpace(line[11:]))
		}
	}
	return ""
}

func between(s string, open, closing byte) string {
	from := strings.IndexByte(s, open) + 1
	to := strings.IndexByte(s[from:], closing)
	if to < 0 {
		return ""
	}
	return s[from : from+to]
}
