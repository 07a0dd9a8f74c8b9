// Package usermanager is what administrators do with the users of their
// environment: find them, see what happened, create, edit, close and delete.
//
// list.go: the list. details.go: one user's page, and watch.go what tells that it
// is old. options.go: what may be done with whom. diagnose.go: why mail does or
// does not arrive. needs_help.go: the queue of those who are stuck, and case
// numbers; digest.go mails it. create.go, edit.go, state.go: changes; approvals.go
// where a second one agrees. unmatched.go: requests that matched nobody, with
// guess.go. show.go: the form for scripts. Links and tokens are made and shown by
// recovery, not here.
package usermanager

import (
	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/story"
	"github.com/sparekey/sparekey/internal/user"
)

// UserManager holds what its verbs need.
type UserManager struct {
	DB     *db.DB
	Hasher *password.Hasher
	// Servers tells how the mail servers stand.
	Servers func(tx *db.Tx) (story.Servers, error)
}

// within tells NotFound to an actor of another environment: what is there is
// none of their business.
func within(actor access.Actor, env environment.Environment) error {
	if actor.Operator || actor.Environment == env.ID {
		return nil
	}
	return user.ErrNone
}

// may checks a permission on the environment.
func may(actor access.Actor, env environment.Environment, action access.Action) error {
	if err := within(actor, env); err != nil {
		return err
	}
	return access.Check(actor, env.ID, action)
}

func to(u user.User) notice.To { return notice.To{User: u.ID, Name: u.Name, Email: u.Email} }
