package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// gate leads to the sink, and is shut and opened about every second; shutting it
// breaks off whatever is under way, wherever that is.
type gate struct {
	address string
	sink    string
	stop    chan struct{}
	done    sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
	cut  int // connections broken off
	shut int // times it was shut
}

func startGate(sink string) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{address: l.Addr().String(), sink: sink, stop: make(chan struct{}), open: map[net.Conn]bool{}}
	g.done.Go(func() {
		for {
			g.done.Go(func() { g.serve(l) })
			again := g.pause()
			_ = l.Close()
			g.cutAll()
			if !again || !g.pause() {
				return
			}
			if l, err = net.Listen("tcp", g.address); err != nil {
				return // the port is somebody else's now: it stays shut, and the other way is open
			}
		}
	})
	return g, nil
}

// pause takes 0.5 to 1.5 s; false if the gate is to end.
func (g *gate) pause() bool {
	select {
	case <-time.After(500*time.Millisecond + time.Duration(rand.Int64N(int64(time.Second)))):
		return true
	case <-g.stop:
		return false
	}
}

func (g *gate) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.sink)
		if err != nil {
			_ = in.Close()
			continue
		}
		g.mu.Lock()
		g.open[in] = true
		g.mu.Unlock()
		g.done.Go(func() {
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			_, _ = io.Copy(out, in)
			_ = out.Close()
			_ = in.Close()
			g.mu.Lock()
			delete(g.open, in)
			g.mu.Unlock()
		})
	}
}

func (g *gate) cutAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut++
	for c := range g.open {
		g.cut++
		_ = c.(*net.TCPConn).SetLinger(0) // a reset, as from a machine that died
		_ = c.Close()
	}
}

func (g *gate) end() {
	close(g.stop)
	g.done.Wait()
}

// unknownFor is how long the product waits before it sends a mail again that the
// server may have taken, and a little more.
const unknownFor = 13 * time.Minute

// measureFlapping: all ask at once while the first of two mail servers goes down
// and up, and in the middle the server is killed and started again. Nobody may be
// forgotten. Twice comes only what was under way when something broke; where the
// outcome of a mail was unknown, the next try comes ten minutes later.
func (b *bench) measureFlapping() error {
	count := min(10_000, b.users)
	g, err := startGate(b.sink.address())
	if err != nil {
		return err
	}
	defer g.end()
	b.quiet()
	bare := sendRaw(b.sink.address(), 8, min(count, 5000))
	b.server.stop()
	b.sink.forget()
	usual := b.server.smtp
	b.server.smtp = g.address + "?tls=none,smtp://" + usual
	defer func() { b.server.smtp = usual }()
	if _, err := b.server.serve(); err != nil {
		return err
	}
	started, asked := b.askMany(16, 0, count)
	answered := time.Since(started)
	if !b.until(func() bool { return b.missing(count) <= count/2 }, 2*time.Minute) {
		return fmt.Errorf("half of %d mails did not come within two minutes", count)
	}
	b.server.kill()
	if _, err := b.server.serve(); err != nil {
		return err
	}
	drained := b.until(func() bool { return b.missing(count) <= count/100 }, 5*time.Minute)
	most := time.Since(started)
	b.report.say("99 %% after %.1f s; %d to come, which may take ten minutes", most.Seconds(), b.missing(count))
	b.until(func() bool { return b.missing(count) == 0 }, unknownFor)
	last := time.Since(started)
	b.report.add(b.flappingRow(g, count, answered, most, last, drained, asked, bare))
	b.server.stop()
	b.server.smtp = usual
	_, err = b.server.serve()
	return err
}

func (b *bench) flappingRow(g *gate, count int, answered, most, last time.Duration, drained bool, asked, bare outcome) row {
	lost, copies, otherIDs := b.missing(count), 0, 0
	for n := range count {
		got := b.sink.received(emailOf(n))
		for _, again := range got[min(1, len(got)):] {
			if copies++; again.id != got[0].id {
				otherIDs++
			}
		}
	}
	g.mu.Lock()
	cut, shut := g.cut, g.shut
	g.mu.Unlock()
	perSecond := 0.99 * float64(count) / most.Seconds()
	r := row{
		Operation: fmt.Sprintf("%d resets at once, one of two mail servers flapping, kill -9 in the middle", count),
		Figure: fmt.Sprintf("%d lost; asked in %.1f s, 99 %% mailed after %.1f s (%.0f/s), the last after %.0f s; the flapping one went down %d times in %d conversations; %d second copies with the same Message-ID, %d with another",
			lost, answered.Seconds(), most.Seconds(), perSecond, last.Seconds(), shut, cut, copies-otherIDs, otherIDs),
		Raw: "8 kept connections " + rate(bare.perSecond()), Ratio: percent(perSecond / max(bare.perSecond(), 1)),
		Target: "0 lost, copies only with the same Message-ID", Verdict: verdict(drained && lost == 0 && otherIDs == 0),
		Numbers: map[string]float64{
			"lost": float64(lost), "copies": float64(copies), "other_ids": float64(otherIDs), "answered_s": answered.Seconds(), "most_s": most.Seconds(), "last_s": last.Seconds(), "cut": float64(cut),
		},
	}
	r.failedNote(asked.failed, asked.why)
	return r
}

// missing counts the first users who got no mail.
func (b *bench) missing(count int) int {
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	n := 0
	for i := range count {
		if len(b.sink.to[emailOf(i)]) == 0 {
			n++
		}
	}
	return n
}

func (b *bench) until(condition func() bool, patience time.Duration) bool {
	for end := time.Now().Add(patience); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
