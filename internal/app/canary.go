package app

import (
	"context"
	"net"
	"time"

	"github.com/sparekey/sparekey/internal/canary"
	"github.com/sparekey/sparekey/internal/console"
	"github.com/sparekey/sparekey/internal/relay"
)

func newConsole(c *Core, r *relay.Relay, walks *canary.Canary) *console.Console {
	return &console.Console{DB: c.DB, Servers: r.Health, Canary: func(ctx context.Context) (console.Canary, error) {
		w, err := walks.Newest(ctx)
		return console.Canary{
			On: walks.Every > 0, AskedAt: w.AskedAt, Problem: w.Problem, Took: time.Duration(w.Took) * time.Microsecond, GoodAt: w.GoodAt,
		}, err
	}}
}

func (s *Server) newCanary() *canary.Canary {
	return canary.New(canary.Canary{
		DB: s.DB, Ring: s.Ring, URL: s.Config.URL, Domain: s.Config.BounceDomain, Every: s.Config.Canary, At: s.ownAddress, Log: s.Log,
	})
}

// ownAddress is where this machine reaches our pages: the listener that Run
// serves, or the public address.
func (s *Server) ownAddress() string {
	at, ok := s.servedAt.Load().(net.Addr)
	if !ok {
		return s.Config.URL.String()
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
