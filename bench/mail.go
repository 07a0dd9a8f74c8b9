package main

import (
	"fmt"
	"slices"
	"time"
)

// measureMail: how long from asking to the mail at the SMTP server, at a gentle
// pace: 5 a second for 20 s.
func (b *bench) measureMail() error {
	count, pause := 100, 200*time.Millisecond
	if b.quick {
		count = 10
	}
	disk, err := syncTimes(b.folder, 200)
	if err != nil {
		return err
	}
	b.quiet()
	var sent, raw []outcome
	for round := range b.rounds {
		b.sink.forget()
		sent = append(sent, b.mailRound(round*count, count, pause))
		b.quiet()
		raw = append(raw, sendRaw(b.sink.address(), 1, 500))
	}
	b.sink.forget()
	p50, p99 := spreadOf(sent)
	bare50, bare99 := spreadOf(raw)
	sync50, sync99 := disk.ms(0.5), disk.ms(0.99)
	r := row{
		Operation: "from asking to the mail at the server, 5/s", Figure: spread(p50, p99),
		Raw:   fmt.Sprintf("kept connection %s; fdatasync %s", spread(bare50, bare99), spread(sync50, sync99)),
		Ratio: times(p50 / max(bare50, 0.001)), Target: "p50 < 3 ms, p99 < 10 ms", Verdict: verdict(p50 < 3 && p99 < 10),
		Numbers: map[string]float64{
			"p50_ms": p50, "p99_ms": p99, "raw_p50_ms": bare50, "raw_p99_ms": bare99, "fdatasync_p50_ms": sync50, "fdatasync_p99_ms": sync99,
		},
	}
	r.failedNote(failures(sent))
	b.report.add(r)
	return nil
}

func (b *bench) mailRound(from, count int, pause time.Duration) outcome {
	c := newClient(b.server.address)
	defer c.close()
	var o outcome
	asked := map[string]time.Time{}
	begun := time.Now()
	for i := range count {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * pause)))
		email := emailOf((from + i) % b.users)
		asked[email] = time.Now()
		if err := ask(c, email); err != nil {
			o.fail(err)
			delete(asked, email)
		}
	}
	for email, at := range asked {
		got, ok := b.sink.await(email, 30*time.Second)
		if !ok {
			o.fail(fmt.Errorf("no mail to %s within 30 s", email))
			continue
		}
		o.done++
		o.latencies = append(o.latencies, got.at.Sub(at))
	}
	slices.Sort(o.latencies)
	return o
}

// measureBurst: many ask at once; how many mails a second reach the server,
// against bare SMTP over 8 kept connections.
func (b *bench) measureBurst() error {
	counts, rawCount := []int{192, 5000}, 5000
	if b.quick {
		counts, rawCount = []int{192}, 500
	}
	from := 0
	var systems []system
	for _, count := range counts {
		systems = append(systems, system{name: number(count), product: true, rest: b.quiet, run: func(clients, _ int) outcome {
			o := b.burst(clients, from, count)
			from += count
			return o
		}})
	}
	systems = append(systems, system{name: "raw", run: func(int, int) outcome { return sendRaw(b.sink.address(), 8, rawCount) }})
	b.quiet()
	all := b.turns([]int{16}, systems)
	b.sink.forget()
	bare := medians(all["raw"][16], outcome.perSecond)
	for _, count := range counts {
		rounds := all[number(count)][16]
		figure, share := medians(rounds, outcome.perSecond), ratio(rounds, all["raw"][16])
		r := row{
			Operation: fmt.Sprintf("mails in a burst of %d", count), Figure: rate(figure), Raw: "8 kept connections " + rate(bare),
			Ratio: percent(share), Target: "≥ 22 % of raw", Verdict: verdict(share >= 0.22),
			Numbers: map[string]float64{"per_second": figure, "raw_per_second": bare, "ratio": share},
		}
		r.failedNote(failures(rounds))
		b.report.add(r)
	}
	return nil
}

// burst asks at once and counts from the first request to the last mail.
func (b *bench) burst(clients, from, count int) outcome {
	b.sink.forget()
	before := b.sink.count.Load()
	started, asked := b.askMany(clients, from, count)
	wanted := before + int64(asked.done)
	for end := time.Now().Add(2 * time.Minute); b.sink.count.Load() < wanted && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	o := outcome{done: int(b.sink.count.Load() - before), failed: asked.failed, why: asked.why, took: b.sink.lastAt().Sub(started)}
	if missing := asked.done - o.done; missing > 0 {
		o.failed, o.why = o.failed+missing, fmt.Errorf("%d mails did not come within two minutes", missing)
	}
	return o
}
