package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// deaths is what became of the mails of servers that were killed.
type deaths struct {
	mu     sync.Mutex
	kills  int
	before int             // the mail was at the SMTP server before the kill
	waited []time.Duration // from the kill to the mail, for the others
	lost   []string
	failed error
}

const (
	killsInAll    = 100
	killServers   = 8                // at once; most of the time each waits for a lease to end
	latestLateBy  = 60 * time.Second // a mail that is not there then counts as lost
	lastCopyAfter = 15 * time.Second // leases last 10 s
)

// measureKill: ask, kill -9 as soon as the answer is there (every second time up
// to 5 ms later, while the mail is under way), start again, wait for the mail.
// Each server works on its own copy of the database.
func (b *bench) measureKill() error {
	kills, servers := killsInAll, killServers
	if b.quick {
		kills, servers = 6, 3
	}
	if b.postgres != "" {
		servers = 1 // a second node would do the dead one's work, and prove nothing
	}
	b.quiet()
	b.server.stop()
	b.sink.forget()
	var d deaths
	var running sync.WaitGroup
	for i := range servers {
		s, err := b.copyOf(i)
		if err != nil {
			return err
		}
		random := rand.New(rand.NewPCG(uint64(i), 7)) // not shared between goroutines
		running.Go(func() {
			if err := b.killRounds(s, &d, random, i, servers, kills); err != nil {
				d.mu.Lock()
				d.failed = errors.Join(d.failed, err)
				d.mu.Unlock()
			}
		})
	}
	running.Wait()
	b.report.add(b.killRow(&d, kills))
	if _, err := b.server.serve(); err != nil {
		return err
	}
	return d.failed
}

// copyOf copies the stopped server's folder; on PostgreSQL it is the server itself.
func (b *bench) copyOf(i int) (*server, error) {
	s := *b.server
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.address, s.metrics = address, ""
	if b.postgres != "" {
		return &s, nil
	}
	s.folder = filepath.Join(b.folder, "killed-"+number(i))
	s.database = "sqlite:" + filepath.Join(s.folder, databaseFile)
	return &s, os.CopyFS(s.folder, os.DirFS(b.server.folder))
}

func (b *bench) killRounds(s *server, d *deaths, random *rand.Rand, first, step, kills int) error {
	if _, err := s.serve(); err != nil {
		return err
	}
	for n := first; n < kills; n += step {
		email := emailOf(n)
		c := newClient(s.address)
		if err := ask(c, email); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if n/step%2 == 1 {
			time.Sleep(time.Duration(random.Int64N(int64(5 * time.Millisecond))))
		}
		s.kill()
		killed := time.Now()
		c.close()
		if _, err := s.serve(); err != nil {
			return fmt.Errorf("start after a kill: %w", err)
		}
		got, arrived := b.sink.await(email, latestLateBy)
		d.add(email, got, arrived, killed)
	}
	time.Sleep(lastCopyAfter) // for copies that are still to come
	s.stop()
	return nil
}

func (d *deaths) add(email string, got receipt, arrived bool, killed time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kills++
	switch {
	case !arrived:
		d.lost = append(d.lost, email)
	case got.at.Before(killed):
		d.before++
	default:
		d.waited = append(d.waited, got.at.Sub(killed))
	}
}

func (b *bench) killRow(d *deaths, kills int) row {
	copies, otherIDs := 0, 0
	for n := range kills {
		got := b.sink.received(emailOf(n))
		for _, again := range got[min(1, len(got)):] {
			if copies++; again.id != got[0].id {
				otherIDs++
			}
		}
	}
	slices.Sort(d.waited)
	r := row{
		Operation: fmt.Sprintf("kill -9 after the answer, %d times", d.kills),
		Figure: fmt.Sprintf("%d lost; %d mails arrived before the kill, %d after the restart (p50 %.1f s, latest %.1f s); %d second copies with the same Message-ID, %d with another",
			len(d.lost), d.before, len(d.waited), percentile(d.waited, 0.5).Seconds(), percentile(d.waited, 1).Seconds(), copies-otherIDs, otherIDs),
		Target: "0 lost, copies only with the same Message-ID", Verdict: verdict(len(d.lost) == 0 && otherIDs == 0 && d.kills == kills),
		Numbers: map[string]float64{"kills": float64(d.kills), "lost": float64(len(d.lost)), "before": float64(d.before), "copies": float64(copies), "other_ids": float64(otherIDs)},
	}
	return r
}
