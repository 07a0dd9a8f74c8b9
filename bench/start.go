package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// measureStart: from the start of the process to the first 200 on /readyz, on
// the seeded database, and the memory at rest afterwards.
func (b *bench) measureStart() error {
	var own, bare []float64
	tries := 5
	for range tries {
		b.server.stop()
		took, err := b.server.serve()
		if err != nil {
			return err
		}
		own = append(own, milliseconds(took))
		p, _, err := b.family.hello()
		if err != nil {
			return err
		}
		p.kill()
		bare = append(bare, milliseconds(p.readyAfter))
	}
	started, hello := median(own), median(bare)
	b.report.add(row{
		Operation: "start to the first 200", Figure: fmt.Sprintf("%.0f ms (median of %d; slowest %.0f)", started, tries, slices.Max(own)),
		Raw: fmt.Sprintf("hello %.0f ms", hello), Ratio: times(started / max(hello, 0.1)), Target: "≤ 40 ms", Verdict: verdict(started <= 40),
		Numbers: map[string]float64{"ms": started, "raw_ms": hello, "slowest_ms": slices.Max(own)},
	})
	time.Sleep(3 * time.Second)
	now, _ := b.server.memory()
	limit := 40.0
	if b.users > 10_000 {
		limit = 86
	}
	b.report.add(row{
		Operation: fmt.Sprintf("memory at rest, %d users", b.users), Figure: fmt.Sprintf("%.0f MB", now),
		Target: fmt.Sprintf("≤ %.0f MB", limit), Verdict: verdict(now <= limit), Numbers: map[string]float64{"megabytes": now},
	})
	return nil
}

// floodResult is what came of a flood.
type floodResult struct {
	checks, logins, refused outcome
	before, highest         float64 // MB
	raw                     outcome
}

const (
	floodClients   = 512
	checksASecond  = 40
	patienceChecks = 60 * time.Second
)

// measureFlood: 512 clients log in without pause; beside them session checks are
// sent at a fixed pace whether or not earlier ones were answered.
func (b *bench) measureFlood() error {
	if err := b.restart(); err != nil {
		return err
	}
	headers, err := b.signInMany(8)
	if err != nil {
		return err
	}
	length := 15 * time.Second
	if b.quick {
		length = 3 * time.Second
	}
	var f floodResult
	f.raw = b.family.hash(runtime.NumCPU(), length/4)
	f.before, _ = b.server.memory()
	var running sync.WaitGroup
	running.Go(func() { f.checks = b.openLoop(headers, length) })
	f.logins, f.refused = b.floodLogins(length)
	running.Wait()
	_, f.highest = b.server.memory()
	b.report.add(f.rows()...)
	b.quiet()
	return nil
}

// errRefused is the 503 of a full queue.
var errRefused = errors.New("refused with 503")

// floodLogins separates logins that were done from those refused with 503.
func (b *bench) floodLogins(length time.Duration) (done, refused outcome) {
	var mu sync.Mutex
	o := drive(b.server.address, load{clients: floodClients, length: length}, func(c *client, n int) error {
		before := time.Now()
		a, err := c.post("/"+slug+"/login", "", form("email", emailOf(n%b.users), "password", knownPassword))
		if err == nil && a.status == 503 {
			mu.Lock()
			refused.latencies = append(refused.latencies, time.Since(before))
			refused.done++
			mu.Unlock()
			return errRefused
		}
		return expect(a, err, 303)
	})
	slices.Sort(refused.latencies)
	return o, refused
}

// openLoop sends session checks at a fixed pace, each on a connection that is
// free. A check counts from when it was due.
func (b *bench) openLoop(headers []string, length time.Duration) outcome {
	var mu sync.Mutex
	var o outcome
	var running sync.WaitGroup
	free := make(chan *client, checksASecond*100)
	for range 16 { // a proxy keeps some connections open
		c := newClient(b.server.address)
		if err := c.connect(); err == nil {
			free <- c
		}
	}
	begun := time.Now()
	for i := range int(length.Seconds() * checksASecond) {
		due := begun.Add(time.Duration(i) * time.Second / checksASecond)
		time.Sleep(time.Until(due))
		running.Go(func() {
			c := newClient(b.server.address)
			select {
			case c = <-free:
			default:
			}
			c.timeout = patienceChecks
			a, err := c.get("/"+slug+"/session", headers[i%len(headers)])
			took := time.Since(due)
			mu.Lock()
			if err = expect(a, err, 200); err != nil {
				o.fail(err)
			} else {
				o.done++
				o.latencies = append(o.latencies, took)
			}
			mu.Unlock()
			free <- c
		})
	}
	running.Wait()
	close(free)
	for c := range free {
		c.close()
	}
	slices.Sort(o.latencies)
	return o
}

func (f *floodResult) rows() []row {
	p50, p99 := f.checks.ms(0.5), f.checks.ms(0.99)
	sessions := row{
		Operation: fmt.Sprintf("session checks in a flood of %d logins", floodClients), Figure: fmt.Sprintf("%s (%d samples)", spread(p50, p99), f.checks.done),
		Target: "p99 ≤ 30 ms", Verdict: verdict(p99 <= 30), Numbers: map[string]float64{"p50_ms": p50, "p99_ms": p99, "samples": float64(f.checks.done)},
	}
	sessions.failedNote(f.checks.failed, f.checks.why)

	share := f.logins.perSecond() / max(f.raw.perSecond(), 0.1)
	logins := row{
		Operation: "logins in the flood", Figure: fmt.Sprintf("%s, %d done, p50 %.0f ms", rate(f.logins.perSecond()), f.logins.done, f.logins.ms(0.5)),
		Raw: rate(f.raw.perSecond()) + " hash alone, just before", Ratio: percent(share),
		Numbers: map[string]float64{"per_second": f.logins.perSecond(), "raw_per_second": f.raw.perSecond(), "ratio": share, "done": float64(f.logins.done)},
	}
	if other := f.logins.failed - f.refused.done; other > 0 {
		logins.failedNote(other, f.logins.why)
	}
	wait := f.refused.ms(0.99)
	refused := row{
		Operation: "refused with 503 in the flood", Figure: fmt.Sprintf("%d, after p50 %.0f / p99 %.0f ms", f.refused.done, f.refused.ms(0.5), wait),
		Target: "about 1 s", Verdict: verdict(wait <= 1500), Numbers: map[string]float64{"refused": float64(f.refused.done), "p99_ms": wait},
	}
	memory := row{
		Operation: "highest memory in the flood", Figure: fmt.Sprintf("%.0f MB (before: %.0f)", f.highest, f.before),
		Target: "≤ 160 MB", Verdict: verdict(f.highest <= 160), Numbers: map[string]float64{"megabytes": f.highest, "before": f.before},
	}
	return []row{sessions, logins, refused, memory}
}
