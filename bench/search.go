package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// What the script of the page asks while one types: the results alone.
const fragmentHeader = "X-Fragment: results\r\n"

// words of each kind of search.
func (b *bench) searches() map[string][]string {
	rare := []string{}
	for k, name := range rareNames {
		if k*1000+500 < b.users {
			rare = append(rare, strings.ToLower(name[1:10]))
		}
	}
	if len(rare) == 0 { // few users: a number that one has
		rare = append(rare, fmt.Sprintf("n%07d", b.users-1))
	}
	return map[string][]string{
		"rare substring": rare,
		"common":         {"ann", "mar", "sen", "bench.ex"},
		"prefix":         {"marga", "there", "kowal", "castil", "person00001"},
		"not found":      {"zqxwvu", "quuxbar", "xylofoon", "0000x0000"},
	}
}

var searchKinds = []string{"rare substring", "common", "prefix", "not found"}

// measureSearch: the User Manager's search by one admin.
func (b *bench) measureSearch() error {
	admin, err := b.server.signIn(adminEmail)
	if err != nil {
		return err
	}
	hello, stop, err := b.helloSystem()
	if err != nil {
		return err
	}
	defer stop()
	b.quiet()
	systems := []system{hello}
	for _, kind := range searchKinds {
		for _, how := range []string{"results", "page"} {
			header := admin
			if how == "results" {
				header += fragmentHeader
			}
			systems = append(systems, system{name: kind + " " + how, run: func(clients, _ int) outcome {
				return b.search(clients, header, kind)
			}})
		}
	}
	all := turns(b.rounds, []int{1}, systems)
	for _, kind := range searchKinds {
		for _, how := range []string{"results", "page"} {
			b.report.add(b.searchRow(kind, how, all[kind+" "+how][1], all["hello"][1]))
		}
	}
	return nil
}

func (b *bench) search(clients int, header, kind string) outcome {
	words := b.searches()[kind]
	return drive(b.server.address, load{clients: clients, length: b.length}, func(c *client, n int) error {
		a, err := c.get("/"+slug+"/users?q="+words[n%len(words)], header)
		if err := expect(a, err, 200); err != nil {
			return err
		}
		if found := bytes.Contains(a.body, []byte("/users/0")); found == (kind == "not found") {
			return fmt.Errorf("search for %q: found somebody: %v", words[n%len(words)], found)
		}
		return nil
	})
}

func (b *bench) searchRow(kind, how string, rounds, hello []outcome) row {
	p50, p99 := spreadOf(rounds)
	bare50, bare99 := spreadOf(hello)
	samples := 0
	for _, o := range rounds {
		samples += o.done
	}
	words := map[string]string{"results": "results alone", "page": "whole page"}
	r := row{
		Operation: fmt.Sprintf("search, %s, %s", kind, words[how]), Figure: fmt.Sprintf("%s (%d samples)", spread(p50, p99), samples),
		Raw: "hello " + spread(bare50, bare99), Ratio: "p50 " + times(p50/max(bare50, 0.001)),
		Numbers: map[string]float64{"p50_ms": p50, "p99_ms": p99, "raw_p50_ms": bare50, "raw_p99_ms": bare99, "samples": float64(samples)},
	}
	switch {
	case how != "results":
	case b.users < 50_000:
		r.Target, r.Verdict = "p99 ≤ 2 ms", verdict(p99 <= 2)
	default:
		r.Target, r.Verdict = "p50 ≤ 0.5, p99 ≤ 3 ms", verdict(p50 <= 0.5 && p99 <= 3)
	}
	r.failedNote(failures(rounds))
	return r
}

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
	product := system{name: "link", rest: b.quiet, run: func(clients, _ int) outcome {
		mine := ids[used : used+each[clients]]
		used += len(mine)
		return drive(b.server.address, load{clients: clients, count: len(mine)}, func(c *client, n int) error {
			return makeLink(c, admin, mine[n])
		})
	}}
	all := turns(b.rounds, []int{1, 16}, []system{product, hello})
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
