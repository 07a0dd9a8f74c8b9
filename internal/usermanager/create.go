package usermanager

import (
	"context"
	"slices"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// New says who is to be created.
type New struct {
	Email string
	Name  string
	Role  access.Role // "" stands for member, or operator where all are
	Quiet bool        // do not mail the invitation yet; Resend invitation does it later
}

// Create adds a user and mails the invitation. Faults are about the fields
// "email", "name" and "role"; Conflict if somebody has the address, Denied for a
// Client Admin's choice of client-admin where the policy wants a second one.
func (m *UserManager) Create(ctx context.Context, actor access.Actor, env environment.Environment, n New) (user.User, error) {
	if err := may(actor, env, access.CreateUser); err != nil {
		return user.User{}, err
	}
	row, err := n.check(env)
	if err != nil {
		return user.User{}, err
	}
	if err := mayGiveRole(actor, env, row.Role); err != nil {
		return user.User{}, err
	}
	row.State = user.Invited
	var u user.User
	err = m.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if u, err = create(tx, actor, env, row); err != nil || n.Quiet {
			return err
		}
		return invite(tx, actor, env, u)
	})
	return u, err
}

// Invited tells whether an invitation is among the user's mails.
func (d Details) Invited() bool {
	return slices.ContainsFunc(d.Messages, func(m Message) bool { return mail.Kind(m.Kind) == mail.Invitation })
}

// CreateWithPassword is for the operator alone, who has a password at hand: the
// user is active at once and gets no mail. The policy holds for this password,
// too; faults are also about the field "password".
func (m *UserManager) CreateWithPassword(ctx context.Context, actor access.Actor, env environment.Environment, n New, plain string) (user.User, error) {
	if !actor.Operator {
		return user.User{}, fault.New(fault.Denied, "Only an operator sets the password of a new user. Create the user without one: the invitation asks for it.")
	}
	row, err := n.check(env)
	if err != nil {
		return user.User{}, err
	}
	if err := password.Check(plain, env.PasswordPolicy(row.Name, row.Email.Mail)); err != nil {
		return user.User{}, err
	}
	if row.PasswordHash, err = m.Hasher.Hash(ctx, plain); err != nil {
		return user.User{}, err
	}
	row.PasswordShape, row.State = password.Shape(row.PasswordHash), user.Active
	var u user.User
	err = m.DB.Update(ctx, func(tx *db.Tx) (err error) {
		u, err = create(tx, actor, env, row)
		return err
	})
	return u, err
}

// check looks at all fields, so that a form learns of all its mistakes at once.
func (n New) check(env environment.Environment) (user.New, error) {
	if n.Role == "" {
		n.Role = standardRole(env)
	}
	email, errEmail := address.Parse(n.Email)
	name, errName := user.CheckName(n.Name)
	return user.New{Email: email, Name: name, Role: n.Role}, together(errEmail, errName, checkRole(env, n.Role))
}

// standardRole is what somebody becomes of whom nothing else is said.
func standardRole(env environment.Environment) access.Role {
	if env.IsOperators() {
		return access.ServerOperator
	}
	return access.Member
}

func checkRole(env environment.Environment, r access.Role) error {
	if env.IsOperators() && r == access.ServerOperator || !env.IsOperators() && r.Valid() {
		return nil
	}
	return user.RoleFault(env.ID)
}

func mayGiveRole(actor access.Actor, env environment.Environment, role access.Role) error {
	if !env.Policy.SecondAdmin || approval.MayGive(actor, role) {
		return nil
	}
	return fault.OfField(fault.Denied, "role", approval.OperatorsAdd)
}

// together makes one fault of several about single fields; anything else comes first.
func together(errs ...error) error {
	var all *fault.Error
	for _, err := range errs {
		f := fault.As(err)
		switch {
		case err == nil:
		case f == nil || f.Kind != fault.Invalid:
			return err
		case all == nil:
			all = fault.New(f.Kind, "%s", f.Sentence)
			all.Fields = append(all.Fields, f.Fields...)
		default:
			all.Fields = append(all.Fields, f.Fields...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

func create(tx *db.Tx, actor access.Actor, env environment.Environment, row user.New) (user.User, error) {
	u, err := user.Create(tx, env.ID, row)
	if err != nil {
		return u, err
	}
	return u, audit.Record(tx, env.ID, audit.Event{Kind: audit.UserCreated, User: u.ID, Actor: actor, Detail: audit.Detail{"role": string(u.Role)}})
}

func invite(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User) error {
	t, err := token.Open(tx, env.ID, u.ID, secret.Invite)
	if err != nil {
		return err
	}
	if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.UserInvited, User: u.ID, Actor: actor}); err != nil {
		return err
	}
	return notice.ResetLink(tx, env, to(u), t, env.Policy.InvitationLife, actor)
}
