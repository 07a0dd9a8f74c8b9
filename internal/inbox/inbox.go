// Package inbox is a development inbox: an SMTP server on the loopback
// interface that keeps what it is sent and shows it on a small web page.
//
// `sparekey demo` runs it in place of real mail, and tests use it as the other
// end of delivery. It holds everything in memory, the newest messages only, and
// forwards nothing. It does no sign-in, so it refuses to listen to a network.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// Keep is how many messages are kept; older ones are dropped.
	Keep = 1000
	// maxMessage is the size of the largest message taken, in bytes.
	maxMessage = 16 << 20
)

// Inbox takes mail and keeps it. It is safe for concurrent use.
type Inbox struct {
	server   *smtp.Server
	listener net.Listener
	served   chan struct{} // closed when the server has ended

	mu      sync.Mutex
	mails   []Mail // oldest first
	lastID  int
	changed chan struct{} // closed and replaced with every mail and at the end
	closed  bool
	fate    func(from, to string, data []byte) error
}

// Listen starts an inbox on a loopback address, for example "127.0.0.1:0".
func Listen(addr string) (*Inbox, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	if ip, ok := listener.Addr().(*net.TCPAddr); !ok || !ip.IP.IsLoopback() {
		_ = listener.Close()
		return nil, fmt.Errorf("listen for mail: %s is not a loopback address", addr)
	}
	b := &Inbox{listener: listener, served: make(chan struct{}), changed: make(chan struct{})}
	b.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: b}, nil
	}))
	b.server.Domain = "localhost"
	b.server.MaxMessageBytes = maxMessage
	b.server.EnableSMTPUTF8 = true
	b.server.ReadTimeout = 5 * time.Minute
	b.server.WriteTimeout = time.Minute
	b.server.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are no news here
	go func() {
		defer close(b.served)
		_ = b.server.Serve(listener)
	}()
	return b, nil
}

// Addr is the address it listens on, HOST:PORT.
func (b *Inbox) Addr() string { return b.listener.Addr().String() }

// Close stops listening, ends all connections and wakes everybody in Wait. The
// mails can still be read.
func (b *Inbox) Close() error {
	err := b.server.Close()
	_ = b.listener.Close() // which the server does not know of if it has hardly begun
	<-b.served
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.changed)
	}
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// Mails gives what is kept, oldest first.
func (b *Inbox) Mails() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// Clear forgets everything that has arrived.
func (b *Inbox) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = nil
}

// ErrClosed says that the inbox was closed while somebody waited for a mail.
var ErrClosed = errors.New("the inbox is closed")

// Wait gives the oldest kept mail that matches, and waits for one if there is
// none yet. match is called once a mail.
func (b *Inbox) Wait(ctx context.Context, match func(Mail) bool) (Mail, error) {
	seen := 0
	for {
		b.mu.Lock()
		unseen, changed, closed := b.since(seen), b.changed, b.closed
		b.mu.Unlock()
		for _, m := range unseen {
			if match(m) {
				return m, nil
			}
			seen = m.ID
		}
		if closed {
			return Mail{}, ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Mail{}, fmt.Errorf("wait for mail: %w", context.Cause(ctx))
		}
	}
}

// since gives the kept mails with ids above id. The lock must be held.
func (b *Inbox) since(id int) []Mail {
	first := len(b.mails)
	for first > 0 && b.mails[first-1].ID > id {
		first--
	}
	return slices.Clone(b.mails[first:])
}

// SetFate decides what becomes of the mails that follow: nil takes them, an
// error refuses them, an *smtp.SMTPError with the answer it names. fate is
// called once for each recipient before the mail is kept, and may block to be a
// slow server. A nil fate takes everything.
func (b *Inbox) SetFate(fate func(from, to string, data []byte) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fate = fate
}

// take keeps a mail, or gives the error that refuses it.
func (b *Inbox) take(from string, to []string, data []byte) error {
	b.mu.Lock()
	fate := b.fate
	b.mu.Unlock()
	if fate != nil {
		for _, recipient := range to {
			if err := fate(from, recipient, data); err != nil {
				return err
			}
		}
	}
	m := read(data)
	m.From, m.To, m.At = from, to, time.Now()

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.lastID++
	m.ID = b.lastID
	if len(b.mails) >= Keep {
		// Readers hold clones, so the room can be used again.
		n := copy(b.mails, b.mails[len(b.mails)-Keep+1:])
		b.mails = b.mails[:n]
	}
	b.mails = append(b.mails, m)
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

// session is one SMTP connection.
type session struct {
	inbox *Inbox
	from  string
	to    []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	return s.inbox.take(s.from, s.to, data)
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }
