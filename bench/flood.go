package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// floodResult is what came of a flood.
type floodResult struct {
	manners         string
	checks, logins  outcome
	refused         outcome // latencies of the 503s
	before, highest float64 // MB
	raw             outcome
}

const (
	floodClients   = 512
	checksASecond  = 40
	patienceChecks = 60 * time.Second
)

// measureFlood: 512 clients log in without pause; beside them session checks are
// sent at a fixed pace whether or not earlier ones were answered. Once the
// clients wait after a 503 as it tells them to, once they come again at once.
func (b *bench) measureFlood() error {
	for _, patient := range []bool{true, false} {
		if err := b.flood(patient); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) flood(patient bool) error {
	if err := b.restart(); err != nil { // the highest memory is that of the process
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
	f := floodResult{manners: "impatient", raw: b.family.hash(runtime.NumCPU(), length/4)}
	if patient {
		f.manners = "patient"
	}
	f.before, _ = b.server.memory()
	var running sync.WaitGroup
	running.Go(func() { f.checks = b.openLoop(headers, length) })
	f.logins, f.refused = b.floodLogins(length, patient)
	running.Wait()
	_, f.highest = b.server.memory()
	b.report.add(f.rows()...)
	b.quiet()
	return nil
}

// floodLogins separates logins that were done from those refused with 503.
func (b *bench) floodLogins(length time.Duration, patient bool) (done, refused outcome) {
	var mu sync.Mutex
	end := time.Now().Add(length)
	done = drive(b.server.address, load{clients: floodClients, length: length}, func(c *client, n int) error {
		before := time.Now()
		a, err := c.post("/"+slug+"/login", "", form("email", emailOf(n%b.users), "password", knownPassword))
		if err != nil || a.status != 503 {
			return expect(a, err, 303)
		}
		mu.Lock()
		refused.latencies = append(refused.latencies, time.Since(before))
		mu.Unlock()
		if patient {
			time.Sleep(min(a.retry, time.Until(end)))
		}
		return errRefused
	})
	slices.Sort(refused.latencies)
	return done, refused
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
	flood := fmt.Sprintf("flood of %d %s logins: ", floodClients, f.manners)
	sessions := row{
		Operation: flood + "session checks beside it", Figure: fmt.Sprintf("%s (%d samples)", spread(p50, p99), f.checks.done),
		Target: "p99 ≤ 30 ms", Verdict: verdict(p99 <= 30), Numbers: map[string]float64{"p50_ms": p50, "p99_ms": p99, "samples": float64(f.checks.done)},
	}
	sessions.failedNote(f.checks.failed, f.checks.why)

	share := f.logins.perSecond() / max(f.raw.perSecond(), 0.1)
	logins := row{
		Operation: flood + "done", Figure: fmt.Sprintf("%s, %d done, p50 %.0f ms", rate(f.logins.perSecond()), f.logins.done, f.logins.ms(0.5)),
		Raw: rate(f.raw.perSecond()) + " hash alone, just before", Ratio: percent(share),
		Numbers: map[string]float64{"per_second": f.logins.perSecond(), "raw_per_second": f.raw.perSecond(), "ratio": share, "done": float64(f.logins.done)},
	}
	logins.failedNote(f.logins.failed, f.logins.why)
	wait := f.refused.ms(0.99)
	refused := row{
		Operation: flood + "refused with 503", Figure: fmt.Sprintf("%d, after p50 %.0f / p99 %.0f ms", f.logins.refused, f.refused.ms(0.5), wait),
		Numbers: map[string]float64{"refused": float64(f.logins.refused), "p99_ms": wait},
	}
	memory := row{
		Operation: flood + "highest memory", Figure: fmt.Sprintf("%.0f MB (before: %.0f)", f.highest, f.before),
		Target: "≤ 160 MB", Verdict: verdict(f.highest <= 160), Numbers: map[string]float64{"megabytes": f.highest, "before": f.before},
	}
	return []row{sessions, logins, refused, memory}
}
