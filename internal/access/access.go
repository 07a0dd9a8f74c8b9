// Package access says who may do what: one table, no database.
//
// Verbs ask it first thing with an Actor, so that no door can forget.
// What is not allowed answers Denied; things of another environment are not
// found at all, which the environment-scoped statements see to.
package access

import (
	"slices"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Role is what a user is in the environment.
type Role string

// The roles of an environment, weakest first.
const (
	Member      Role = "member"
	Helpdesk    Role = "helpdesk"
	ClientAdmin Role = "client-admin"
)

// ServerOperator is the role of the people who run the server, in the reserved
// environment of theirs and nowhere else.
const ServerOperator Role = "operator"

// Roles lists those of a client's environment in the order they are offered.
var Roles = []Role{Member, Helpdesk, ClientAdmin}

// Valid tells whether r is one of the roles of a client's environment.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// ValidIn tells whether somebody of this environment may have the role. In the
// operators' own everybody is one, but for the server's canary: a member, who
// may do nothing there.
func (r Role) ValidIn(env id.Environment) bool {
	if env == id.OperatorEnvironment {
		return r == ServerOperator || r == Member
	}
	return r.Valid()
}

// Words is the role as people read it.
func (r Role) Words() string {
	switch r {
	case Helpdesk:
		return "Help desk"
	case ClientAdmin:
		return "Client Admin"
	case ServerOperator:
		return "Operator"
	default:
		return "Member"
	}
}

// Actor is who is asking: a signed-in user, or the operator at the command line.
type Actor struct {
	Environment id.Environment // where the user is signed in; empty for the operator
	User        id.User        // empty for the operator
	Name        string
	Role        Role // empty for the operator
	Operator    bool
	From
}

// From says where a request came from, for the record.
type From struct {
	Network string // an IPv4 address or an IPv6 /64
	Agent   string // the browser
}

// OperatorID stands in records for the person with a shell on the server.
const OperatorID = "operator"

// ID is who that was, as records keep it: a user id, OperatorID, or "" for
// somebody unknown.
func (a Actor) ID() string {
	if a.Operator {
		return OperatorID
	}
	return string(a.User)
}

// Operator is the person with a shell on the server.
func Operator() Actor { return Actor{Operator: true, Name: "operator"} }

// Action is something an actor may want to do in an environment.
type Action string

// The actions. Those up to CreateUser work on the environment, the rest on one user.
const (
	OpenUserManager Action = "open the User Manager"
	SeeUnmatched    Action = "see requests that matched nobody"
	ChangeSettings  Action = "change settings"
	AnswerApproval  Action = "agree to what another Client Admin asks"
	WriteHelp       Action = "write help articles"
	SeeFeedback     Action = "see what readers say of the help articles"
	SeeNumbers      Action = "see the numbers of recovery"
	CreateUser      Action = "create users"

	// OpenConsole works on the server; ask for it in id.OperatorEnvironment.
	OpenConsole Action = "open the operators' console"

	SeeTimeline      Action = "see a timeline"
	ResetPassword    Action = "Reset Password"
	SendResetLink    Action = "Send password reset link"
	CancelToken      Action = "Cancel reset token"
	EndSessions      Action = "End sessions"
	ResendInvitation Action = "Resend invitation"
	EditUser         Action = "Edit"
	Deactivate       Action = "Deactivate"
	Activate         Action = "Activate"
	DeleteUser       Action = "Delete"
	CloseCase        Action = "take out of the queue"
	AllowMail        Action = "Allow mail again"
)

// Target is the user an action is about.
type Target struct {
	User id.User
	Role Role
}

// onMembers is what a help desk may do, and only to members.
var onMembers = map[Action]bool{
	SeeTimeline: true, ResetPassword: true, SendResetLink: true,
	CancelToken: true, EndSessions: true, ResendInvitation: true, CloseCase: true, AllowMail: true,
}

// May tells whether the actor may do this in its environment; for the actions
// on one user ask MayOn.
func May(a Actor, env id.Environment, action Action) bool {
	if a.Operator {
		return true
	}
	if (action == SeeNumbers || action == SeeFeedback) && May(a, id.OperatorEnvironment, OpenConsole) {
		return env != id.OperatorEnvironment // they name nobody
	}
	if a.Environment != env || env == "" {
		return false
	}
	switch action {
	case OpenUserManager:
		return a.Role == Helpdesk || a.Role == ClientAdmin
	case OpenConsole:
		return env == id.OperatorEnvironment && a.Role == ServerOperator
	default:
		return a.Role == ClientAdmin
	}
}

// MayOn tells whether the actor may do this to one user of its environment.
// Nobody acts on the own row: the account page is for that.
func MayOn(a Actor, env id.Environment, action Action, t Target) bool {
	if a.Operator {
		return true
	}
	if a.Environment != env || env == "" {
		return false
	}
	switch a.Role {
	case ClientAdmin:
		return action == SeeTimeline || a.User != t.User
	case Helpdesk:
		return onMembers[action] && t.Role == Member
	default:
		return false
	}
}

// Check is May as an error.
func Check(a Actor, env id.Environment, action Action) error {
	if May(a, env, action) {
		return nil
	}
	return denied(action)
}

// CheckOn is MayOn as an error.
func CheckOn(a Actor, env id.Environment, action Action, t Target) error {
	if MayOn(a, env, action, t) {
		return nil
	}
	if a.User == t.User && a.Environment == env {
		return fault.New(fault.Denied, "Nobody does this to their own account. Use the account page, or ask another administrator.")
	}
	return denied(action)
}

func denied(action Action) error {
	return fault.New(fault.Denied, "Your role does not allow this (%s). Ask a Client Admin.", action)
}
