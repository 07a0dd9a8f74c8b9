package usermanager

import (
	"context"
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/user"
)

// Asking is one use of "I forgot my password", as administrators see it.
type Asking struct {
	Case       string    `db:"case_number"`
	Address    string    `db:"address"` // as it was typed
	AddressKey string    `db:"address_key"`
	MadeAt     time.Time `db:"made_at"`
	User       id.User   `db:"user_id"` // "" if nobody has the address
}

const askingColumns = "case_number, address, address_key, made_at, user_id"

// The queue shows the longest-waiting; the badge counts up to a hundred.
const (
	shownCases   = 100
	countedCases = 100
)

// NeedsHelp gives the people whose recovery is stuck, longest first. A help desk
// sees members only.
func (m *UserManager) NeedsHelp(ctx context.Context, actor access.Actor, env environment.Environment) ([]Row, error) {
	if err := may(actor, env, access.OpenUserManager); err != nil {
		return nil, err
	}
	var all []Row
	err := m.DB.View(ctx, func(tx *db.Tx) error {
		stuck, err := cases.Longest(tx, env.ID, membersOnly(actor), shownCases)
		if err != nil {
			return err
		}
		ids := make([]id.User, len(stuck))
		for i, c := range stuck {
			ids[i] = c.User
		}
		found, err := user.Among(tx, env.ID, ids)
		if err != nil {
			return err
		}
		users := make([]user.User, 0, len(stuck))
		for _, c := range stuck {
			users = append(users, found[c.User])
		}
		all, err = m.rows(tx, actor, env, users)
		return err
	})
	return all, err
}

// Waiting counts the people in the queue that the actor sees, at most a hundred;
// nobody for somebody who sees no queue.
func (m *UserManager) Waiting(ctx context.Context, actor access.Actor, env environment.Environment) (int, error) {
	if !seesUsers(actor, env) {
		return 0, nil
	}
	n := 0
	err := m.DB.View(ctx, func(tx *db.Tx) (err error) {
		n, err = cases.Count(tx, env.ID, membersOnly(actor), countedCases)
		return err
	})
	return n, err
}

func seesUsers(actor access.Actor, env environment.Environment) bool {
	return may(actor, env, access.OpenUserManager) == nil
}

func membersOnly(actor access.Actor) bool { return actor.Role == access.Helpdesk }

// CloseCase takes a user out of the queue; whoever is stuck again comes back.
func (m *UserManager) CloseCase(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, error) {
	return m.change(ctx, actor, env, userID, access.CloseCase, func(tx *db.Tx, u user.User) error {
		closed, err := cases.Close(tx, env.ID, u.ID)
		if err != nil || !closed {
			return err // two administrators may help at once
		}
		return record(tx, actor, env, u, audit.CaseClosed, nil)
	})
}

// AllowMail lets mail go to a user's address again that came back or was
// reported as spam.
func (m *UserManager) AllowMail(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (user.User, error) {
	return m.change(ctx, actor, env, userID, access.AllowMail, func(tx *db.Tx, u user.User) error {
		cleared, err := suppression.Clear(tx, env.ID, u.EmailKey)
		if err != nil || !cleared {
			return err
		}
		return record(tx, actor, env, u, audit.MailAllowed, nil)
	})
}

// byCase finds the asking of a case number: its user, or what is known of an
// address nobody has. Without such a number the page has no Asking.
func (m *UserManager) byCase(tx *db.Tx, actor access.Actor, env environment.Environment, number string) (Page, error) {
	a, err := db.One[Asking](tx, "SELECT "+askingColumns+" FROM requests WHERE environment_id = $1 AND case_number = $2 AND case_number <> ''", env.ID, number)
	if errors.Is(err, db.ErrNone) {
		return Page{}, nil
	}
	if err != nil {
		return Page{}, err
	}
	p := Page{Asking: &a}
	u, err := whoAsked(tx, env.ID, a)
	switch {
	case fault.Is(err, fault.NotFound) && access.May(actor, env.ID, access.SeeUnmatched):
		p.Unmatched, err = unmatchedOf(tx, actor, env.ID, a)
		return p, err
	case fault.Is(err, fault.NotFound):
		a.Address = "" // a help desk does not see what matched nobody
		return p, nil
	case err != nil:
		return p, err
	}
	p.Rows, err = m.rows(tx, actor, env, []user.User{u})
	return p, err
}

// whoAsked gives the user an asking was for, also while its job still waits.
func whoAsked(tx *db.Tx, env id.Environment, a Asking) (user.User, error) {
	if a.User != "" {
		return user.Find(tx, env, a.User)
	}
	return user.FindByEmail(tx, env, a.AddressKey)
}

// newestAsking gives the newest asking of a user; zero if there is none.
func newestAsking(tx *db.Tx, env id.Environment, u id.User) (Asking, error) {
	a, err := db.One[Asking](tx, "SELECT "+askingColumns+` FROM requests WHERE environment_id = $1 AND user_id = $2
		AND user_id <> '' ORDER BY made_at DESC LIMIT 1`, env, u)
	if errors.Is(err, db.ErrNone) {
		return Asking{}, nil
	}
	return a, err
}
