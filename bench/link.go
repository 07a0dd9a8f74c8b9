package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

var userLink = regexp.MustCompile(`/users/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"`)

// idOf finds a user's id through the User Manager, as an admin would.
func idOf(c *client, admin, email string) (string, error) {
	a, err := c.get("/"+slug+"/users?q="+strings.Replace(email, "@", "%40", 1), admin+fragmentHeader)
	if err := expect(a, err, 200); err != nil {
		return "", fmt.Errorf("find %s: %w", email, err)
	}
	found := userLink.FindSubmatch(a.body)
	if found == nil || !bytes.Contains(a.body, []byte(email)) {
		return "", fmt.Errorf("find %s: not in the User Manager", email)
	}
	return string(found[1]), nil
}

// measureLink: Reset Password -> Go for users with a live token, each once, so
// that each makes a new link, its event and the mail that tells the user.
func (b *bench) measureLink() error {
	admin, err := b.server.signIn(adminEmail)
	if err != nil {
		return err
	}
	hello, stop, err := b.helloSystem()
	if err != nil {
		return err
	}
	defer stop()
	each := map[int]int{1: min(300, b.users/50), 16: min(1000, b.users/10)}
	ids, err := b.liveTokens(admin, b.rounds*(each[1]+each[16]))
	if err != nil {
		return err
	}
	used := 0
	product := system{name: "link", product: true, rest: b.quiet, run: func(clients, _ int) outcome {
		mine := ids[used : used+each[clients]]
		used += len(mine)
		return drive(b.server.address, load{clients: clients, count: len(mine)}, func(c *client, n int) error {
			return makeLink(c, admin, mine[n])
		})
	}}
	all := b.turns([]int{1, 16}, []system{product, hello})
	b.sink.forget()
	for _, n := range []int{1, 16} {
		b.report.add(linkRow(n, all["link"][n], all["hello"][n]))
	}
	return nil
}

func makeLink(c *client, admin, id string) error {
	a, err := c.post("/"+slug+"/users/"+id, admin, "action=reset-password")
	if err := expect(a, err, 200); err != nil {
		return err
	}
	if !bytes.Contains(a.body, []byte("/reset-password/")) {
		return fmt.Errorf("no link for user %s", id)
	}
	return nil
}

// liveTokens asks for the first users and gives their ids once all have a token.
func (b *bench) liveTokens(admin string, count int) ([]string, error) {
	if _, o := b.askMany(16, 0, count); o.failed > 0 {
		return nil, fmt.Errorf("ask for %d users: %w", count, o.why)
	}
	b.quiet()
	ids := make([]string, count)
	o := drive(b.server.address, load{clients: 4, count: count}, func(c *client, n int) (err error) {
		ids[n], err = idOf(c, admin, emailOf(n))
		return err
	})
	b.quiet()
	return ids, o.why
}

func linkRow(clients int, made, hello []outcome) row {
	figure, bare, share := medians(made, outcome.perSecond), medians(hello, outcome.perSecond), ratio(made, hello)
	p50, p99 := spreadOf(made)
	r := row{
		Operation: "admin links, " + clientsWords(clients), Figure: rate(figure) + ", " + spread(p50, p99), Raw: "hello " + rate(bare), Ratio: percent(share),
		Numbers: map[string]float64{"per_second": figure, "raw_per_second": bare, "ratio": share, "p50_ms": p50, "p99_ms": p99},
	}
	if clients == 1 {
		r.Target, r.Verdict = "p50 ≤ 0.35 ms", verdict(p50 <= 0.35)
	} else {
		r.Target, r.Verdict = "≥ 10 % of hello", verdict(share >= 0.10)
	}
	r.failedNote(failures(made))
	return r
}
