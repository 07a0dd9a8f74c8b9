package returns

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxConns is how many connections are open at a time, maxOfOne how many of
	// them from one address (IPv6: one /64).
	maxConns = 100
	maxOfOne = 20
)

// bounded is a listener that hangs up on whoever is too many or stays too long.
type bounded struct {
	net.Listener
	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

func bound(l net.Listener) *bounded { return &bounded{Listener: l, from: map[netip.Prefix]int{}} }

// tooMany is said before hanging up (RFC 5321 section 3.8).
const tooMany = "421 4.7.0 Too many connections at a time; please come back later.\r\n"

// Accept gives the next connection that is not too many.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who := network(c.RemoteAddr())
		if b.enter(who) {
			// Its time runs from here, not from a greeting that may never come.
			end := time.AfterFunc(wholeTime, func() { _ = c.Close() })
			return &counted{Conn: local{c}, leave: sync.OnceFunc(func() { end.Stop(); b.leave(who) })}, nil
		}
		_, _ = c.Write([]byte(tooMany)) // so little does not block
		_ = c.Close()
	}
}

func (b *bounded) enter(who netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConns || b.from[who] >= maxOfOne {
		return false
	}
	b.all++
	b.from[who]++
	return true
}

func (b *bounded) leave(who netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.from[who]--; b.from[who] == 0 {
		delete(b.from, who)
	}
}

// counted is a connection that makes room for another when it ends.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

func network(a net.Addr) netip.Prefix {
	address, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // these fit
	return p
}

// hour counts within an hour that begins with the first.
type hour struct {
	mu    sync.Mutex
	began time.Time
	n     int
}

func (h *hour) count(now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.began) >= time.Hour {
		h.began, h.n = now, 0
	}
	h.n++
	return h.n
}
