package returns

import (
	"io"
	"log"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// one is a listener with one connection.
type one struct{ conns chan net.Conn }

func (o one) Accept() (net.Conn, error) {
	c, ok := <-o.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (o one) Close() error   { return nil }
func (o one) Addr() net.Addr { return &net.TCPAddr{} }

// TestWhoNeverSaysHelloIsHungUpOn, however busy with other words.
func TestWhoNeverSaysHelloIsHungUpOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		listener := one{make(chan net.Conn, 1)}
		listener.conns <- server
		b := bound(listener)
		s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{}, nil }))
		s.ReadTimeout, s.ErrorLog = stepTime, log.New(io.Discard, "", 0)
		served := make(chan struct{})
		go func() { defer close(served); _ = s.Serve(b) }()

		began := time.Now()
		ended := make(chan struct{})
		go func() { defer close(ended); _, _ = io.Copy(io.Discard, client) }()
		every := time.NewTicker(20 * time.Second)
		defer every.Stop()
		for open := true; open; {
			select {
			case <-ended:
				open = false
			case <-every.C:
				_, _ = io.WriteString(client, "NOOP\r\n")
			}
			require.LessOrEqual(t, time.Since(began), wholeTime)
		}
		require.Equal(t, wholeTime, time.Since(began))
		synctest.Wait()
		require.Zero(t, b.all, "there is room for another")
		close(listener.conns)
		<-served
	})
}
