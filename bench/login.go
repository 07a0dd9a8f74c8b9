package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// measureLogin: logins against the bare hash in as many goroutines as cores.
func (b *bench) measureLogin() error {
	length := 2 * b.length // a hash takes some 15 ms
	var forms []string
	for n := range min(b.users, 5000) {
		forms = append(forms, form("email", emailOf(n), "password", knownPassword))
	}
	product := system{name: "login", run: func(clients, _ int) outcome {
		return drive(b.server.address, load{clients: clients, length: length}, func(c *client, n int) error {
			a, err := c.post("/"+slug+"/login", "", forms[n%len(forms)])
			return expect(a, err, 303)
		})
	}}
	raw := system{name: "hash", run: func(clients, _ int) outcome {
		return b.family.hash(min(clients, runtime.NumCPU()), length)
	}}
	levels := []int{1, 16, 64}
	all := turns(b.rounds, levels, []system{product, raw})
	for _, n := range levels {
		figure, bare := medians(all["login"][n], outcome.perSecond), medians(all["hash"][n], outcome.perSecond)
		share := ratio(all["login"][n], all["hash"][n])
		p50, p99 := spreadOf(all["login"][n])
		r := row{
			Operation: fmt.Sprintf("logins, %s", clientsWords(n)), Figure: rate(figure) + ", " + spread(p50, p99),
			Raw: fmt.Sprintf("%s hash alone, %d at once", rate(bare), min(n, runtime.NumCPU())), Ratio: percent(share),
			Numbers: map[string]float64{"per_second": figure, "raw_per_second": bare, "ratio": share, "p50_ms": p50, "p99_ms": p99},
		}
		if n > 1 {
			r.Target, r.Verdict = "≥ 97 % of the hash", verdict(share >= 0.97)
		}
		r.failedNote(failures(all["login"][n]))
		b.report.add(r)
	}
	return nil
}

func clientsWords(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

// signInMany gives cookie headers of so many users, each with a session.
func (b *bench) signInMany(count int) ([]string, error) {
	var headers []string
	for n := range min(count, b.users) {
		header, err := b.server.signIn(emailOf(n))
		if err != nil {
			return nil, err
		}
		headers = append(headers, header)
	}
	return headers, nil
}

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
	product := system{name: "session", run: func(clients, _ int) outcome {
		return drive(b.server.address, load{clients: clients, length: b.length}, func(c *client, n int) error {
			a, err := c.get("/"+slug+"/session", headers[n%len(headers)])
			return expect(a, err, 200)
		})
	}}
	levels := []int{1, 16, 64}
	all := turns(b.rounds, levels, []system{product, hello})
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
		return system{name: name, rest: b.quiet, run: func(clients, _ int) outcome {
			from := done
			o := drive(b.server.address, load{clients: clients, length: b.length}, func(c *client, n int) error {
				return ask(c, address((from+n)%b.users))
			})
			done += o.done
			return o
		}}
	}
	levels := []int{1, 16, 64}
	all := turns(b.rounds, levels, []system{
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
