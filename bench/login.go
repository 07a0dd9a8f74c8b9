package main

import (
	"fmt"
	"runtime"
)

// measureLogin: logins against the bare hash in as many goroutines as cores.
func (b *bench) measureLogin() error {
	length := 2 * b.length // a hash takes some 15 ms
	var forms []string
	for n := range min(b.users, 5000) {
		forms = append(forms, form("email", emailOf(n), "password", knownPassword))
	}
	product := system{name: "login", product: true, run: func(clients, _ int) outcome {
		return drive(b.server.address, load{clients: clients, length: length}, func(c *client, n int) error {
			a, err := c.post("/"+slug+"/login", "", forms[n%len(forms)])
			return expect(a, err, 303)
		})
	}}
	raw := system{name: "hash", run: func(clients, _ int) outcome {
		return b.family.hash(min(clients, runtime.NumCPU()), length)
	}}
	levels := []int{1, 16, 64}
	all := b.turns(levels, []system{product, raw})
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
