package main

import (
	"fmt"
	"strings"
	"time"
)

// measureAsk: "I forgot my password" for known and unknown addresses, against
// the bare page and against bare durable commits.
func (b *bench) measureAsk() error {
	hello, stop, err := b.helloSystem()
	if err != nil {
		return err
	}
	defer stop()
	disk, err := openCommits(b.folder)
	if err != nil {
		return err
	}
	defer disk.close()
	asking := func(name string, address func(int) string) system {
		done := 0 // so that rounds go on through the users where the last one stopped
		return system{name: name, product: true, rest: b.quiet, run: func(clients, _ int) outcome {
			from := done
			o := drive(b.server.address, load{clients: clients, length: b.length}, func(c *client, n int) error {
				return ask(c, address((from+n)%b.users))
			})
			done += o.done
			return o
		}}
	}
	levels := []int{1, 16, 64}
	all := b.turns(levels, []system{
		hello, asking("known", emailOf), asking("unknown", strangerOf),
		{name: "commits", run: func(clients, _ int) outcome { return disk.drive(load{clients: clients, length: b.length}) }},
	})
	b.sink.forget()
	for _, n := range levels {
		for _, kind := range []string{"known", "unknown"} {
			b.report.add(askRow(kind, n, all[kind][n], all["hello"][n], all["commits"][n]))
		}
	}
	return nil
}

func askRow(kind string, clients int, asked, hello, disk []outcome) row {
	figure, bare, commits := medians(asked, outcome.perSecond), medians(hello, outcome.perSecond), medians(disk, outcome.perSecond)
	share, ofCommits := ratio(asked, hello), ratio(asked, disk)
	p50, p99 := spreadOf(asked)
	r := row{
		Operation: fmt.Sprintf("asking, %s, %s", kind, clientsWords(clients)), Figure: rate(figure) + ", " + spread(p50, p99),
		Raw:   "hello " + rate(bare) + "; SQLite group commit " + rate(commits),
		Ratio: percent(share) + " of hello; " + percent(ofCommits) + " of commits",
		Numbers: map[string]float64{
			"per_second": figure, "raw_per_second": bare, "ratio": share, "commits_per_second": commits, "ratio_commits": ofCommits, "p50_ms": p50, "p99_ms": p99,
		},
	}
	switch clients {
	case 16:
		r.Target, r.Verdict = "≥ 14 % of hello", verdict(share >= 0.14)
	case 64:
		r.Target, r.Verdict = "≥ 19 % of hello", verdict(share >= 0.19)
	}
	r.failedNote(failures(asked))
	return r
}

// ask is one request of "I forgot my password".
func ask(c *client, email string) error {
	a, err := c.post("/"+slug+"/forgot-password", "", "email="+strings.Replace(email, "@", "%40", 1))
	return expect(a, err, 200)
}

// askMany asks for the users from, from+1 ... over so many clients.
func (b *bench) askMany(clients, from, count int) (started time.Time, o outcome) {
	started = time.Now()
	return started, drive(b.server.address, load{clients: clients, count: count}, func(c *client, n int) error {
		return ask(c, emailOf((from+n)%b.users))
	})
}
