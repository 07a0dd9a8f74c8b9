package relay

import (
	"slices"
	"strings"
	"time"
)

// ServerHealth is how a mail server stands.
type ServerHealth struct {
	Server string // HOST:PORT
	Health
}

// DomainHealth is how a domain that mails go to stands.
type DomainHealth struct {
	Domain string
	Health
	UnderWay int  // mails to it at this moment
	Slow     bool // its conversations last long, so it has few senders
}

// Configured tells whether there is any server.
func (r *Relay) Configured() bool { return len(r.hosts) > 0 }

// Health gives the servers in the order they are tried, as this process knows
// them: another node may know better.
func (r *Relay) Health() []ServerHealth {
	now := r.options.Clock()
	all := make([]ServerHealth, len(r.hosts))
	for i, h := range r.hosts {
		all[i] = ServerHealth{h.server.Address(), h.breaker.health(now)}
	}
	return all
}

// mostShown bounds DomainHealth.
const mostShown = 100

// DomainHealth gives the domains that keep mails waiting, at most 100, by name.
func (r *Relay) DomainHealth() []DomainHealth {
	now := r.options.Clock()
	s := r.domains
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []DomainHealth
	for _, d := range s.known {
		h := DomainHealth{d.name, d.breaker.health(now), len(d.flights.started), d.slow(now)}
		if h.State != Closed || h.Slow {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b DomainHealth) int { return strings.Compare(a.Domain, b.Domain) })
	return all[:min(len(all), mostShown)]
}

// AllDownSince gives since when no server can be used; zero if one can, as far
// as we know, or none is configured.
func (r *Relay) AllDownSince() time.Time {
	var since time.Time
	for _, h := range r.Health() {
		if h.State == Closed {
			return time.Time{}
		}
		if h.Since.After(since) {
			since = h.Since
		}
	}
	return since
}
