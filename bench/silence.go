package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// loudest is the |t| from which we say that time tells the two kinds apart.
const loudest = 4.5

// measureSilence: does the time of an answer tell a known address from an
// unknown one? Kinds are sent in random order by one client, so that the work
// one request leaves behind falls on both alike.
func (b *bench) measureSilence() error {
	asked, slow, logins := min(4000, b.users), min(1000, b.users), 150
	if b.quick {
		asked, slow, logins = 150, 50, 10
	}
	b.quiet()
	askKind := func(c *client, known bool, n int) (answer, error) {
		address := strangerOf(n)
		if known {
			address = emailOf(n)
		}
		a, err := c.post("/"+slug+"/forgot-password", "", form("email", address))
		return a, expect(a, err, 200)
	}
	b.compare("asking, known and unknown", asked, askKind)
	b.quiet()
	b.sink.delay.Store(int64(100 * time.Millisecond))
	b.compare("asking, with a mail server that takes 100 ms", slow, askKind)
	b.sink.delay.Store(0)
	b.quiet()
	b.sink.forget()
	b.compare("logging in with a wrong password, known and unknown", logins, func(c *client, known bool, n int) (answer, error) {
		address := strangerOf(n)
		if known {
			address = emailOf(n)
		}
		a, err := c.post("/"+slug+"/login", "", form("email", address, "password", "wrong-"+knownPassword))
		return a, expect(a, err, 422)
	})
	return nil
}

// class is one of the two kinds of requests.
type class struct {
	latencies []time.Duration
	lengths   map[int]bool // of the bodies
}

// compare sends so many of each kind and reports Welch's t.
func (b *bench) compare(what string, each int, do func(c *client, known bool, n int) (answer, error)) {
	order := make([]bool, 2*each)
	for i := range each {
		order[i] = true
	}
	b.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	c := newClient(b.server.address)
	defer c.close()
	kinds := map[bool]*class{true: {lengths: map[int]bool{}}, false: {lengths: map[int]bool{}}}
	var failed outcome
	for _, known := range order {
		k := kinds[known]
		before := time.Now()
		a, err := do(c, known, len(k.latencies))
		took := time.Since(before)
		if err != nil {
			if failed.fail(err); failed.failed > 20 {
				break
			}
			continue
		}
		k.latencies = append(k.latencies, took)
		k.lengths[len(a.body)] = true
	}
	b.report.add(compareRow(what, kinds[true], kinds[false], failed))
}

func compareRow(what string, known, unknown *class, failed outcome) row {
	t := welch(known.latencies, unknown.latencies)
	alike := "answers equally long"
	if len(known.lengths) != 1 || len(unknown.lengths) != 1 || !sameKeys(known.lengths, unknown.lengths) {
		alike = fmt.Sprintf("answers of %d and %d lengths", len(known.lengths), len(unknown.lengths))
	}
	slices.Sort(known.latencies)
	slices.Sort(unknown.latencies)
	p, q := milliseconds(percentile(known.latencies, 0.5)), milliseconds(percentile(unknown.latencies, 0.5))
	r := row{
		Operation: "silence: " + what, Figure: fmt.Sprintf("t = %.1f (%d + %d; p50 %.2f and %.2f ms; %s)", t, len(known.latencies), len(unknown.latencies), p, q, alike),
		Raw: "0", Target: "|t| < 4.5", Verdict: verdict(math.Abs(t) < loudest && sameKeys(known.lengths, unknown.lengths)),
		Numbers: map[string]float64{"t": t, "known_p50_ms": p, "unknown_p50_ms": q, "known": float64(len(known.latencies)), "unknown": float64(len(unknown.latencies))},
	}
	r.failedNote(failed.failed, failed.why)
	return r
}

func sameKeys(a, b map[int]bool) bool {
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

// welch gives Welch's t of two samples; 0 if either has fewer than two.
func welch(a, b []time.Duration) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	meanA, varA := moments(a)
	meanB, varB := moments(b)
	spread := math.Sqrt(varA/float64(len(a)) + varB/float64(len(b)))
	if spread == 0 {
		return 0
	}
	return (meanA - meanB) / spread
}

func moments(sample []time.Duration) (mean, variance float64) {
	for _, d := range sample {
		mean += float64(d)
	}
	mean /= float64(len(sample))
	for _, d := range sample {
		variance += (float64(d) - mean) * (float64(d) - mean)
	}
	return mean, variance / float64(len(sample)-1)
}
