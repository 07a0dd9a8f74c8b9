package main

// measureSession: is this cookie a live session, against the bare page.
func (b *bench) measureSession() error {
	headers, err := b.signInMany(64)
	if err != nil {
		return err
	}
	hello, stop, err := b.helloSystem()
	if err != nil {
		return err
	}
	defer stop()
	product := system{name: "session", product: true, run: func(clients, _ int) outcome {
		return drive(b.server.address, load{clients: clients, length: b.length}, func(c *client, n int) error {
			a, err := c.get("/"+slug+"/session", headers[n%len(headers)])
			return expect(a, err, 200)
		})
	}}
	levels := []int{1, 16, 64}
	all := b.turns(levels, []system{product, hello})
	for _, n := range levels {
		b.report.add(sessionRow(n, all["session"][n], all["hello"][n]))
	}
	return nil
}

func sessionRow(clients int, session, hello []outcome) row {
	figure, bare, share := medians(session, outcome.perSecond), medians(hello, outcome.perSecond), ratio(session, hello)
	p50, p99 := spreadOf(session)
	bare50, bare99 := spreadOf(hello)
	r := row{
		Operation: "session checks, " + clientsWords(clients), Figure: rate(figure) + ", " + spread(p50, p99),
		Raw: "hello " + rate(bare) + ", " + spread(bare50, bare99), Ratio: percent(share) + ", p99 " + times(p99/max(bare99, 0.001)),
		Numbers: map[string]float64{
			"per_second": figure, "raw_per_second": bare, "ratio": share, "p50_ms": p50, "p99_ms": p99, "raw_p50_ms": bare50, "raw_p99_ms": bare99,
		},
	}
	if clients == 16 {
		r.Target, r.Verdict = "≥ 50 % of hello, p99 ≤ 3×", verdict(share >= 0.5 && p99 <= 3*bare99)
	}
	r.failedNote(failures(session))
	return r
}
