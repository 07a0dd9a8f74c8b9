package usermanager

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// Unmatched is an address that was asked for and that nobody has.
type Unmatched struct {
	Key     string    `db:"address_key"` // names it to FindUnmatched and IgnoreUnmatched
	Address string    `db:"address"`     // as it was typed last
	Asked   int       `db:"asked"`       // how often
	FirstAt time.Time `db:"first_at"`
	LastAt  time.Time `db:"last_at"`
	Guess   *Guess    // who was probably meant; nil if nobody comes near, or the actor does
}

// Unmatched addresses are kept for 30 days; of an environment's at most 1,000,
// a look goes through the newest.
const (
	keepUnmatched = 30 * 24 * time.Hour
	mostUnmatched = 200
)

// FindUnmatched tells whether a request is still in the list; NotFound if not.
func (m *UserManager) FindUnmatched(ctx context.Context, actor access.Actor, env environment.Environment, key string) error {
	if err := may(actor, env, access.SeeUnmatched); err != nil {
		return err
	}
	return m.DB.View(ctx, func(tx *db.Tx) error {
		_, err := db.One[string](tx, "SELECT address_key FROM unmatched WHERE environment_id = $1 AND address_key = $2 AND last_at > $3",
			env.ID, key, tx.Now().Add(-keepUnmatched))
		if errors.Is(err, db.ErrNone) {
			return errNotInList()
		}
		return err
	})
}

func errNotInList() error { return fault.New(fault.NotFound, "This request is no longer in the list.") }

// unmatched gives those of the newest whose address contains all the words.
func unmatched(tx *db.Tx, actor access.Actor, env id.Environment, words string, limit int) ([]Unmatched, error) {
	newest, err := db.All[Unmatched](tx, `SELECT address_key, address, asked, first_at, last_at FROM unmatched
		WHERE environment_id = $1 AND last_at > $2 ORDER BY last_at DESC, address_key LIMIT $3`, env, tx.Now().Add(-keepUnmatched), mostUnmatched)
	if err != nil {
		return nil, err
	}
	var all []Unmatched
	for _, u := range newest {
		if len(all) == limit {
			break
		}
		if !containsAll(address.Fold(u.Address), strings.Fields(address.Fold(words))) {
			continue
		}
		if u.Guess, err = guess(tx, actor, env, u.Key); err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// unmatchedOf gives the entry of one asking, whether or not it still stands in the list.
func unmatchedOf(tx *db.Tx, actor access.Actor, env id.Environment, a Asking) ([]Unmatched, error) {
	u, err := db.One[Unmatched](tx, "SELECT address_key, address, asked, first_at, last_at FROM unmatched WHERE environment_id = $1 AND address_key = $2", env, a.AddressKey)
	if errors.Is(err, db.ErrNone) {
		u, err = Unmatched{Key: a.AddressKey, Address: a.Address, Asked: 1, FirstAt: a.MadeAt, LastAt: a.MadeAt}, nil
	}
	if err != nil {
		return nil, err
	}
	u.Guess, err = guess(tx, actor, env, u.Key)
	return []Unmatched{u}, err
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// SettleUnmatched notes whom an address that nobody has was meant for: its
// askings are that user's from now on, and it leaves the list. A second
// administrator may have done so by now.
func (m *UserManager) SettleUnmatched(ctx context.Context, actor access.Actor, env environment.Environment, key string, meant id.User) error {
	if err := may(actor, env, access.SeeUnmatched); err != nil {
		return err
	}
	return m.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := user.Find(tx, env.ID, meant); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE requests SET user_id = $3 WHERE environment_id = $1 AND user_id = '' AND made_at > $4 AND address_key = $2`,
			env.ID, key, meant, tx.Now().Add(-keepUnmatched))
		if err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM unmatched WHERE environment_id = $1 AND address_key = $2", env.ID, key)
		return err
	})
}

// IgnoreUnmatched forgets an address until somebody asks for it again.
func (m *UserManager) IgnoreUnmatched(ctx context.Context, actor access.Actor, env environment.Environment, key string) error {
	if err := may(actor, env, access.SeeUnmatched); err != nil {
		return err
	}
	return m.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("DELETE FROM unmatched WHERE environment_id = $1 AND address_key = $2", env.ID, key)
		if err == nil && n == 0 {
			return errNotInList()
		}
		return err
	})
}
