// Package recovery is the way back in: asking for a reset link, the links and
// codes themselves, what an administrator may do with them, and setting the new
// password.
//
// ask.go: "I forgot my password". resolve.go: what follows from it. admin.go:
// Reset Password -> Go. open.go and use.go: the reset page. code.go: the code.
// notme.go: "This wasn't me". How long a link lives is decided in token/life.go.
package recovery

import (
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/user"
)

// Recovery holds what its verbs need.
type Recovery struct {
	DB     *db.DB
	Ring   *keyring.Ring
	Hasher *password.Hasher
	// NoLimits lifts the limits on asking, for load tests. The tries of a code stay.
	NoLimits bool
}

// Limits on asking, trying codes and sending.
const (
	asksPerMinute = 30 // from one network; see Policy.Times
	mailsPerHour  = 5  // for one address
	sendsPerHour  = 5  // by admins, for one user
)

// to says who is written to.
func to(u user.User) notice.To { return notice.To{User: u.ID, Name: u.Name, Email: u.Email} }

// purpose is the kind of token a user of this state gets.
func purpose(u user.User) secret.Purpose {
	if u.State == user.Invited {
		return secret.Invite
	}
	return secret.Reset
}

// life is how long a mailed link of a user works.
func life(env environment.Environment, u user.User) time.Duration {
	if u.State == user.Invited {
		return env.Policy.InvitationLife
	}
	return env.Policy.LinkLife
}

// self is the user as an actor, for events about what the owner of a link did.
func self(env environment.Environment, u user.User, from access.From) access.Actor {
	return access.Actor{Environment: env.ID, User: u.ID, Name: u.Name, Role: u.Role, From: from}
}

// stranger is somebody who has not proven to be anybody.
func stranger(from access.From) access.Actor { return access.Actor{From: from} }
