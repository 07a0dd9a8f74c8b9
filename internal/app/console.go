package app

import (
	"context"

	"github.com/sparekey/sparekey/internal/console"
	"github.com/sparekey/sparekey/internal/relay"
)

func newConsole(c *Core, r *relay.Relay) *console.Console {
	return &console.Console{
		DB: c.DB, Servers: r.Health,
		Canary: func(context.Context) (console.Canary, error) { return console.Canary{}, nil },
	}
}
