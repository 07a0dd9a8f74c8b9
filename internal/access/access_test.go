package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

const (
	acme   id.Environment = "acme"
	globex id.Environment = "globex"
	ada    id.User        = "ada"
	jane   id.User        = "jane"
)

var onEnvironment = []access.Action{access.OpenUserManager, access.SeeUnmatched, access.ChangeSettings, access.CreateUser}

var onUser = []access.Action{
	access.SeeTimeline, access.ResetPassword, access.SendResetLink, access.CancelToken, access.EndSessions, access.ResendInvitation,
	access.EditUser, access.Deactivate, access.Activate, access.DeleteUser,
}

func actor(role access.Role) access.Actor {
	return access.Actor{Environment: acme, User: ada, Role: role}
}

func TestWhoMayDoWhatInAnEnvironment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		who  access.Actor
		may  []access.Action
	}{
		{"nobody", access.Actor{}, nil},
		{"a member", actor(access.Member), nil},
		{"the help desk", actor(access.Helpdesk), []access.Action{access.OpenUserManager}},
		{"a Client Admin", actor(access.ClientAdmin), onEnvironment},
		{"the operator", access.Operator(), onEnvironment},
		{"a role nobody knows", actor("root"), nil},
		{"no role at all", actor(""), nil},
	} {
		var may []access.Action
		for _, action := range onEnvironment {
			if access.May(test.who, acme, action) {
				may = append(may, action)
			}
			require.Equal(t, access.May(test.who, acme, action), access.Check(test.who, acme, action) == nil, "Check is May")
			require.Equal(t, test.who.Operator, access.May(test.who, globex, action), "%s in another environment: %s", test.name, action)
		}
		require.Equal(t, test.may, may, test.name)
	}
}

func TestWhoMayDoWhatToWhom(t *testing.T) {
	t.Parallel()
	helps := []access.Action{
		access.SeeTimeline, access.ResetPassword, access.SendResetLink, access.CancelToken, access.EndSessions, access.ResendInvitation,
	}
	for _, test := range []struct {
		name   string
		who    access.Actor
		target access.Target
		may    []access.Action
	}{
		{"nobody", access.Actor{}, access.Target{User: jane, Role: access.Member}, nil},
		{"a member on a member", actor(access.Member), access.Target{User: jane, Role: access.Member}, nil},
		{"a member on the own row", actor(access.Member), access.Target{User: ada, Role: access.Member}, nil},
		{"the help desk on a member", actor(access.Helpdesk), access.Target{User: jane, Role: access.Member}, helps},
		{"the help desk on the help desk", actor(access.Helpdesk), access.Target{User: jane, Role: access.Helpdesk}, nil},
		{"the help desk on a Client Admin", actor(access.Helpdesk), access.Target{User: jane, Role: access.ClientAdmin}, nil},
		{"the help desk on the own row", actor(access.Helpdesk), access.Target{User: ada, Role: access.Helpdesk}, nil},
		{"a Client Admin on a member", actor(access.ClientAdmin), access.Target{User: jane, Role: access.Member}, onUser},
		{"a Client Admin on another", actor(access.ClientAdmin), access.Target{User: jane, Role: access.ClientAdmin}, onUser},
		{"a Client Admin on the own row", actor(access.ClientAdmin), access.Target{User: ada, Role: access.ClientAdmin}, []access.Action{access.SeeTimeline}},
		{"the operator", access.Operator(), access.Target{User: jane, Role: access.ClientAdmin}, onUser},
		{"a role nobody knows", actor("root"), access.Target{User: jane, Role: access.Member}, nil},
	} {
		var may []access.Action
		for _, action := range onUser {
			if access.MayOn(test.who, acme, action, test.target) {
				may = append(may, action)
			}
			require.Equal(t, access.MayOn(test.who, acme, action, test.target), access.CheckOn(test.who, acme, action, test.target) == nil, "CheckOn is MayOn")
			require.Equal(t, test.who.Operator, access.MayOn(test.who, globex, action, test.target), "%s in another environment: %s", test.name, action)
		}
		require.Equal(t, test.may, may, test.name)
	}
}

// TestWhatOperatorsSeeOfAnEnvironment: what names nobody, of every client's, and
// only where they signed in as operators.
func TestWhatOperatorsSeeOfAnEnvironment(t *testing.T) {
	t.Parallel()
	operator := access.Actor{Environment: id.OperatorEnvironment, User: ada, Role: access.ServerOperator}
	canary, strange := operator, operator
	canary.Role, strange.Environment = access.Member, globex
	for _, action := range append([]access.Action{access.SeeNumbers, access.SeeFeedback, access.WriteHelp}, onEnvironment...) {
		want := action == access.SeeNumbers || action == access.SeeFeedback
		require.Equal(t, want, access.May(operator, acme, action), action)
		require.False(t, access.May(operator, id.OperatorEnvironment, action), action)
		require.False(t, access.May(canary, acme, action), action)
		require.False(t, access.May(strange, acme, action), action)
		require.False(t, access.May(strange, globex, action), action)
	}
}

func TestNoEnvironmentIsNobodysEnvironment(t *testing.T) {
	t.Parallel()
	who := access.Actor{User: ada, Role: access.ClientAdmin}
	require.False(t, access.May(who, "", access.OpenUserManager))
	require.False(t, access.MayOn(who, "", access.EditUser, access.Target{User: jane, Role: access.Member}))
}

func TestARefusalSaysWhatAndWhomToAsk(t *testing.T) {
	t.Parallel()
	err := access.CheckOn(actor(access.Helpdesk), acme, access.EditUser, access.Target{User: jane, Role: access.Member})
	require.True(t, fault.Is(err, fault.Denied))
	require.Equal(t, "Your role does not allow this (Edit). Ask a Client Admin.", fault.As(err).Sentence)
}

func TestRolesInWords(t *testing.T) {
	t.Parallel()
	words := []string{}
	for _, r := range access.Roles {
		require.True(t, r.Valid())
		words = append(words, r.Words())
	}
	require.Equal(t, []string{"Member", "Help desk", "Client Admin"}, words)
	require.False(t, access.Role("root").Valid())
	require.False(t, access.Role("").Valid())
}
