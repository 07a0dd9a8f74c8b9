package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load says how hard a system is driven: by so many clients, each sending its
// next request as soon as the last one is answered, for a time or (if count is
// set) for so many requests in all.
type load struct {
	clients int
	length  time.Duration
	count   int
}

// outcome is what came of one load.
type outcome struct {
	done, failed int
	refused      int // with errRefused, where a load expects that
	took         time.Duration
	latencies    []time.Duration // of those done, sorted
	why          error           // the first failure
}

func (o outcome) perSecond() float64 {
	if o.took <= 0 {
		return 0
	}
	return float64(o.done) / o.took.Seconds()
}

// ms gives a percentile (0 to 1) of the latencies in milliseconds.
func (o outcome) ms(p float64) float64 { return milliseconds(percentile(o.latencies, p)) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile is the nearest rank of a sorted list; zero for an empty one.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// errRefused is the 503 of a full queue.
var errRefused = errors.New("refused with 503")

// step is one request: n counts all requests of the load, from 0. An error
// counts as failed.
type step func(c *client, n int) error

// drive runs the load against an address.
func drive(address string, l load, do step) outcome {
	clients := make([]*client, l.clients)
	for i := range clients {
		clients[i] = newClient(address)
		if err := clients[i].connect(); err != nil {
			return outcome{failed: 1, why: err}
		}
	}
	var next atomic.Int64
	parts := make([]outcome, l.clients)
	var running sync.WaitGroup
	started := time.Now()
	for i, c := range clients {
		running.Go(func() {
			parts[i] = closedLoop(c, l, started, &next, do)
			c.close()
		})
	}
	running.Wait()
	return merge(parts, time.Since(started))
}

func closedLoop(c *client, l load, started time.Time, next *atomic.Int64, do step) outcome {
	o := outcome{latencies: make([]time.Duration, 0, 1<<14)}
	for before := time.Now(); ; {
		n := int(next.Add(1)) - 1
		if l.count > 0 && n >= l.count || l.count == 0 && before.Sub(started) >= l.length {
			return o
		}
		err := do(c, n)
		now := time.Now()
		if errors.Is(err, errRefused) {
			o.refused++
		} else if err != nil {
			o.fail(err)
			if o.done == 0 && o.failed > 20 { // it does not work at all: do not spin
				return o
			}
		} else {
			o.done++
			o.latencies = append(o.latencies, now.Sub(before))
		}
		before = now
	}
}

func (o *outcome) fail(err error) {
	o.failed++
	if o.why == nil {
		o.why = err
	}
}

func merge(parts []outcome, took time.Duration) outcome {
	all := outcome{took: took}
	for _, p := range parts {
		all.done += p.done
		all.failed += p.failed
		all.refused += p.refused
		if all.why == nil {
			all.why = p.why
		}
		all.latencies = append(all.latencies, p.latencies...)
	}
	slices.Sort(all.latencies)
	return all
}

// expect turns an answer that is not the wanted one into an error.
func expect(a answer, err error, status int) error {
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("answered %d, wanted %d", a.status, status)
	}
	return nil
}

// median of some figures; zero of none.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// medians of a figure over rounds.
func medians(rounds []outcome, figure func(outcome) float64) float64 {
	var all []float64
	for _, o := range rounds {
		all = append(all, figure(o))
	}
	return median(all)
}

// ratio is the median of the ratios within each round: both sides of one ratio
// were measured seconds apart, so that a noisy neighbour disturbs it least.
func ratio(of, to []outcome) float64 {
	var all []float64
	for i := range min(len(of), len(to)) {
		if base := to[i].perSecond(); base > 0 {
			all = append(all, of[i].perSecond()/base)
		}
	}
	return median(all)
}

// failures of some rounds, and the first reason.
func failures(rounds []outcome) (failed int, why error) {
	for _, o := range rounds {
		failed += o.failed
		if why == nil {
			why = o.why
		}
	}
	return failed, why
}
