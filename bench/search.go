package main

import (
	"bytes"
	"fmt"
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
		"prefix":         {"marga", "teres", "kowal", "castil"},
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
			systems = append(systems, system{name: kind + " " + how, product: true, run: func(clients, _ int) outcome {
				return b.search(clients, header, kind)
			}})
		}
	}
	all := b.turns([]int{1}, systems)
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
