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
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/throttle"
)

// Asked is an asking that was taken.
type Asked struct {
	Address address.Address
	// Case is the number of this asking, for telling an administrator. It is given
	// whether or not anybody has the address.
	Case string
}

// Ask records that somebody typed an address into "I forgot my password" and
// promises the rest. It never reads the users table, so that nothing about its
// answer can tell a known address from an unknown one.
// It refuses a malformed address (Invalid) and too many from one network (Throttled).
func (r *Recovery) Ask(ctx context.Context, env environment.Environment, typed string, from access.From) (Asked, error) {
	a, err := address.Parse(typed)
	if err != nil {
		return Asked{}, err
	}
	asked := Asked{Address: a}
	err = r.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if err := r.mayAsk(tx, env, from); err != nil {
			return err
		}
		asked.Case, err = request(tx, env.ID, a, from)
		return err
	})
	return asked, err
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

// request writes an asking down and gives its case number. The links it may mail are
// named now, so that it mails the same ones if it is resolved twice; see Resolve.
func request(tx *db.Tx, env id.Environment, a address.Address, from access.From) (string, error) {
	r := id.New[id.Request]()
	for {
		number := secret.NewCaseNumber()
		n, err := tx.Exec(`INSERT INTO requests (environment_id, id, case_number, address, address_key, network, agent, made_at, link_id, not_me_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
			env, r, number, a.Mail, a.Key, from.Network, from.Agent, tx.Now(), secret.NewLinkID().String(), secret.NewLinkID().String())
		if err != nil {
			return "", err
		}
		if n == 0 {
			continue // the number is taken: one in a billion
		}
		return number, outbox.Enqueue(tx, env, outbox.Resolve, string(r), nil)
	}
}
