package recovery

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/throttle"
)

// Ask records that somebody typed an address into "I forgot my password" and
// promises the rest. It never reads the users table, so that nothing about its
// answer can tell a known address from an unknown one.
// It refuses a malformed address (Invalid) and too many from one network (Throttled).
func (r *Recovery) Ask(ctx context.Context, env environment.Environment, typed string, from access.From) (address.Address, error) {
	a, err := address.Parse(typed)
	if err != nil {
		return a, err
	}
	err = r.DB.Update(ctx, func(tx *db.Tx) error {
		if err := r.mayAsk(tx, env, from); err != nil {
			return err
		}
		return request(tx, env.ID, a, from)
	})
	return a, err
}

func (r *Recovery) mayAsk(tx *db.Tx, env environment.Environment, from access.From) error {
	if r.NoLimits {
		return nil
	}
	n, ends, err := throttle.Count(tx, env.ID, "ask-network:"+from.Network, time.Minute)
	if err != nil {
		return err
	}
	if n > asksPerMinute*env.Policy.Times(from.Network) {
		return fault.Throttle(ends.Sub(tx.Now()), "Many reset links were asked for from your network in the last minute. Wait a moment, then try again.")
	}
	return nil
}

func request(tx *db.Tx, env id.Environment, a address.Address, from access.From) error {
	r := id.New[id.Request]()
	_, err := tx.Exec("INSERT INTO requests (environment_id, id, address, address_key, network, agent, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		env, r, a.Mail, a.Key, from.Network, from.Agent, tx.Now())
	if err != nil {
		return err
	}
	return outbox.Enqueue(tx, env, outbox.Resolve, string(r))
}
