package main

import (
	"fmt"
	"slices"
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
