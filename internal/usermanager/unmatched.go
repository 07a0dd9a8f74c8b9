package usermanager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// Unmatched is an address that was asked for and that nobody has.
type Unmatched struct {
	Key     string    `db:"address_key"` // names it to FindUnmatched and IgnoreUnmatched
	Address string    `db:"address"`     // as it was typed last
	Asked   int       `db:"asked"`       // how often
	LastAt  time.Time `db:"last_at"`
	Guess   *Guess    // who was probably meant; nil if nobody comes near, or the actor does
}

// Unmatched addresses are kept for 30 days; of an environment's at most 1,000.
// To guess who was meant takes a while, so that a page holds few.
const (
	keepUnmatched   = 30 * 24 * time.Hour
	mostUnmatched   = 1000
	recentUnmatched = 5 // beside the list of users
	pageOfUnmatched = 20
)

// UnmatchedPage is a page of such addresses: the newest come first, and within the
// page those with a guess.
type UnmatchedPage struct {
	Rows []Unmatched
	All  int            // how many there are on all pages
	Next UnmatchedPlace // after which the next page begins; zero at the end
}

// UnmatchedPlace is a position in the order of the list. What is asked for again
// moves to the start, so that no page after a place repeats what stood before it.
type UnmatchedPlace struct {
	LastAt time.Time
	Key    string
}

func (u Unmatched) place() UnmatchedPlace { return UnmatchedPlace{u.LastAt, u.Key} }

// before is the order of the list: the newest first.
func (p UnmatchedPlace) before(other UnmatchedPlace) bool {
	if p.LastAt.Equal(other.LastAt) {
		return p.Key < other.Key
	}
	return p.LastAt.After(other.LastAt)
}

// UnmatchedAfter gives the page after a place, from the start if that is zero. Each
// address contains all the words.
func (m *UserManager) UnmatchedAfter(ctx context.Context, actor access.Actor, env environment.Environment, words string, after UnmatchedPlace) (UnmatchedPage, error) {
	if err := may(actor, env, access.SeeUnmatched); err != nil {
		return UnmatchedPage{}, err
	}
	var page UnmatchedPage
	err := m.DB.View(ctx, func(tx *db.Tx) (err error) {
		page, err = unmatched(tx, actor, env.ID, words, after, pageOfUnmatched)
		return err
	})
	return page, err
}

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

// newestUnmatched gives those of so long until now, the newest first.
func newestUnmatched(tx *db.Tx, env id.Environment, lately time.Duration) ([]Unmatched, error) {
	return db.All[Unmatched](tx, `SELECT address_key, address, asked, last_at FROM unmatched
		WHERE environment_id = $1 AND last_at > $2 ORDER BY last_at DESC, address_key LIMIT $3`, env, tx.Now().Add(-lately), mostUnmatched)
}

func unmatched(tx *db.Tx, actor access.Actor, env id.Environment, words string, after UnmatchedPlace, limit int) (UnmatchedPage, error) {
	all, err := newestUnmatched(tx, env, keepUnmatched)
	if err != nil {
		return UnmatchedPage{}, err
	}
	wanted := strings.Fields(folding.Fold(words))
	all = slices.DeleteFunc(all, func(u Unmatched) bool { return !containsAll(folding.Findable(u.Address), wanted) })
	from := 0
	if after != (UnmatchedPlace{}) {
		for from < len(all) && !after.before(all[from].place()) {
			from++
		}
	}
	to := min(from+limit, len(all))
	p := UnmatchedPage{Rows: all[from:to], All: len(all)}
	if to < len(all) {
		p.Next = all[to-1].place()
	}
	for i := range p.Rows {
		if p.Rows[i].Guess, err = guess(tx, actor, env, p.Rows[i].Key); err != nil {
			return UnmatchedPage{}, err
		}
	}
	slices.SortStableFunc(p.Rows, func(a, b Unmatched) int { return unlikely(a) - unlikely(b) })
	return p, nil
}

func unlikely(u Unmatched) int {
	if u.Guess == nil {
		return 1
	}
	return 0
}

// unmatchedOf gives the entry of one asking, whether or not it still stands in the list.
func unmatchedOf(tx *db.Tx, actor access.Actor, env id.Environment, a Asking) (UnmatchedPage, error) {
	u, err := db.One[Unmatched](tx, "SELECT address_key, address, asked, last_at FROM unmatched WHERE environment_id = $1 AND address_key = $2", env, a.AddressKey)
	if errors.Is(err, db.ErrNone) {
		u, err = Unmatched{Key: a.AddressKey, Address: a.Address, Asked: 1, LastAt: a.MadeAt}, nil
	}
	if err != nil {
		return UnmatchedPage{}, err
	}
	u.Guess, err = guess(tx, actor, env, u.Key)
	return UnmatchedPage{Rows: []Unmatched{u}, All: 1}, err
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
