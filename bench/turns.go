package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// system is one of those that take turns.
type system struct {
	name    string
	run     func(clients, round int) outcome
	rest    func() // after its turn: wait until its work is done; may be nil
	product bool   // a raw limit otherwise
}

// turns lets the systems take turns, the order turned each round, at each number
// of clients. The result is by name and number of clients, one outcome a round.
func (b *bench) turns(clients []int, systems []system) map[string]map[int][]outcome {
	all := map[string]map[int][]outcome{}
	for _, s := range systems {
		all[s.name] = map[int][]outcome{}
	}
	for round := range b.rounds {
		for _, n := range clients {
			for i := range systems {
				s := systems[(i+round)%len(systems)]
				profiled := b.profile(s, n)
				before := b.server.processorTime()
				o := s.run(n, round)
				all[s.name][n] = append(all[s.name][n], o)
				<-profiled
				if s.rest != nil {
					s.rest()
				}
				if s.product && o.done > 0 {
					// Neighbours on the same cores disturb it least of all figures.
					b.report.say("%s, %s: %.0f µs of the server's processor time each, what follows included", s.name, clientsWords(n),
						float64((b.server.processorTime()-before).Microseconds())/float64(o.done))
				}
			}
		}
	}
	return all
}

// profile writes a processor profile of the server's turn, if asked for, as long
// as a turn lasts; that of the last round stays. It costs some per cent.
func (b *bench) profile(s system, clients int) <-chan struct{} {
	done := make(chan struct{})
	if b.profiles == "" || !s.product {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		name := fmt.Sprintf("%s-%d.pprof", strings.ReplaceAll(s.name, " ", "-"), clients)
		if err := b.server.profile(filepath.Join(b.profiles, name), max(1, int(b.length.Seconds()))); err != nil {
			b.report.say("profile %s: %v", name, err)
		}
	}()
	return done
}

// profile saves what the server does in the next seconds.
func (s *server) profile(path string, seconds int) error {
	c := http.Client{Timeout: time.Minute}
	a, err := c.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.metrics, seconds))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", a.Status)
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
