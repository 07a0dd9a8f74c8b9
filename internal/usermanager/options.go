package usermanager

import (
	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/user"
)

// offered lists the actions in the order of the dropdown, each with when it applies.
var offered = []struct {
	action  access.Action
	applies func(env environment.Environment, u user.User, live bool) bool
}{
	{access.ResetPassword, func(env environment.Environment, u user.User, _ bool) bool {
		return u.State == user.Active && env.Policy.AdminLinks != environment.Off
	}},
	{access.SendResetLink, inState(user.Active)},
	{access.CancelToken, func(_ environment.Environment, _ user.User, live bool) bool { return live }},
	{access.EditUser, always},
	{access.EndSessions, inState(user.Active)},
	{access.ResendInvitation, inState(user.Invited)},
	{access.Deactivate, inState(user.Active, user.Invited)},
	{access.Activate, inState(user.Deactivated)},
	{access.DeleteUser, always},
}

func always(environment.Environment, user.User, bool) bool { return true }

func inState(states ...user.State) func(environment.Environment, user.User, bool) bool {
	return func(_ environment.Environment, u user.User, _ bool) bool {
		for _, s := range states {
			if u.State == s {
				return true
			}
		}
		return false
	}
}

// options gives what the actor may do with a user now, in the order of the
// dropdown. Live tells whether the user has a live token.
func options(actor access.Actor, env environment.Environment, u user.User, live bool) []access.Action {
	var all []access.Action
	for _, o := range offered {
		if o.applies(env, u, live) && access.MayOn(actor, env.ID, o.action, u.Target()) {
			all = append(all, o.action)
		}
	}
	return all
}
