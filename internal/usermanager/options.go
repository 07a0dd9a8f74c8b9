package usermanager

import (
	"slices"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/user"
)

// standing is what decides which actions apply to a user.
type standing struct {
	user     user.User
	live     bool // has a live token
	signedIn bool // has a live session
}

// offered lists the actions in the order of the dropdown, each with when it applies.
var offered = []struct {
	action  access.Action
	applies func(env environment.Environment, s standing) bool
}{
	{access.ResetPassword, func(env environment.Environment, s standing) bool {
		return s.user.State == user.Active && env.Policy.AdminLinks != environment.Off
	}},
	{access.SendResetLink, inState(user.Active)},
	{access.CancelToken, func(_ environment.Environment, s standing) bool { return s.live }},
	{access.EditUser, always},
	{access.EndSessions, func(_ environment.Environment, s standing) bool { return s.user.State == user.Active && s.signedIn }},
	{access.ResendInvitation, inState(user.Invited)},
	{access.Deactivate, inState(user.Active, user.Invited)},
	{access.Activate, inState(user.Deactivated)},
	{access.DeleteUser, always},
}

func always(environment.Environment, standing) bool { return true }

func inState(states ...user.State) func(environment.Environment, standing) bool {
	return func(_ environment.Environment, s standing) bool { return slices.Contains(states, s.user.State) }
}

// options gives what the actor may do with a user now, in the order of the
// dropdown.
func options(actor access.Actor, env environment.Environment, s standing) []access.Action {
	var all []access.Action
	for _, o := range offered {
		if o.applies(env, s) && access.MayOn(actor, env.ID, o.action, s.user.Target()) {
			all = append(all, o.action)
		}
	}
	return all
}
