// Package user holds a person in one environment: identity, role, state,
// password and address.
//
// Its steps see to what must always follow: whoever loses a role, an address or
// a state here also loses sessions and tokens in the same transaction.
package user

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/token"
)

// State is how an account stands.
type State string

// The states of an account.
const (
	Invited     State = "invited" // has set no password yet
	Active      State = "active"
	Deactivated State = "deactivated"
)

// Valid tells whether s is one of the states.
func (s State) Valid() bool { return s == Invited || s == Active || s == Deactivated }

// User is a person in one environment.
type User struct {
	ID            id.User     `db:"id"`
	Email         string      `db:"email"`
	EmailKey      string      `db:"email_key"`
	PendingEmail  string      `db:"pending_email"`
	Name          string      `db:"name"`
	Role          access.Role `db:"role"`
	State         State       `db:"state"`
	ExternalID    string      `db:"external_id"`
	PasswordHash  string      `db:"password_hash"`
	PasswordShape string      `db:"password_shape"` // format and cost of the hash
	MadeAt        time.Time   `db:"made_at"`
	LastSignInAt  time.Time   `db:"last_sign_in_at"`
	SortKey       string      `db:"sort_key"`
}

// Target is the user as the table of permissions sees it.
func (u User) Target() access.Target { return access.Target{User: u.ID, Role: u.Role} }

// MaySignIn tells whether the account is open at all.
func (u User) MaySignIn() bool { return u.State == Active && u.PasswordHash != "" }

const columns = `u.id, u.email, u.email_key, u.pending_email, u.name, u.role, u.state, u.external_id,
	u.password_hash, u.password_shape, u.made_at, u.last_sign_in_at, u.sort_key`

// ErrNone says that there is no such user, or none that the actor may know of.
var ErrNone = fault.New(fault.NotFound, "There is no such user in this environment.")

func notFound(u User, err error) (User, error) {
	if errors.Is(err, db.ErrNone) {
		return u, ErrNone
	}
	return u, err
}

// Find gives a user; NotFound if the environment has none of that id.
func Find(tx *db.Tx, env id.Environment, user id.User) (User, error) {
	return notFound(db.One[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 AND u.id = $2", env, user))
}

// FindByEmail gives the user of an address's canonical key; NotFound if there is none.
func FindByEmail(tx *db.Tx, env id.Environment, key string) (User, error) {
	return notFound(db.One[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 AND u.email_key = $2", env, key))
}

// Lock gives a user and locks the row until the transaction ends. Every step
// that makes, ends or uses a token or session, or changes a user, comes after it.
func Lock(tx *db.Tx, env id.Environment, user id.User) (User, error) {
	return notFound(db.One[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 AND u.id = $2"+tx.Dialect().ForUpdate, env, user))
}

// LockByEmail is Lock for the user of an address's canonical key.
func LockByEmail(tx *db.Tx, env id.Environment, key string) (User, error) {
	return notFound(db.One[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 AND u.email_key = $2"+tx.Dialect().ForUpdate, env, key))
}

// LockFor is Lock for an actor who wants to do this to the user. Permission is
// checked on the locked row: a role may just have changed. To an actor of
// another environment there is no such user.
func LockFor(tx *db.Tx, actor access.Actor, env id.Environment, user id.User, action access.Action) (User, error) {
	if !actor.Operator && actor.Environment != env {
		return User{}, ErrNone
	}
	u, err := Lock(tx, env, user)
	if err != nil {
		return u, err
	}
	return u, access.CheckOn(actor, env, action, u.Target())
}

// New says what a new user is like.
type New struct {
	Email         address.Address
	Name          string
	Role          access.Role
	State         State
	ExternalID    string
	PasswordHash  string
	PasswordShape string
}

// Create adds a user. The address counts as confirmed.
func Create(tx *db.Tx, env id.Environment, n New) (User, error) {
	r, err := Prepare(n)
	if err != nil {
		return User{}, err
	}
	if !n.Role.ValidIn(env) {
		return User{}, RoleFault(env)
	}
	inserted, err := Insert(tx, env, []Row{r})
	if err != nil {
		return User{}, err
	}
	if inserted == 0 {
		return User{}, Taken()
	}
	return User{
		ID: r.ID, Email: n.Email.Mail, EmailKey: n.Email.Key, Name: r.New.Name, Role: n.Role, State: n.State, ExternalID: n.ExternalID,
		PasswordHash: n.PasswordHash, PasswordShape: n.PasswordShape, MadeAt: tx.Now(), SortKey: r.SortKey,
	}, nil
}

// RoleFault says which roles there are in an environment.
func RoleFault(env id.Environment) error {
	if env == id.OperatorEnvironment {
		return fault.InvalidField("role", "In the environment operator everybody has the role operator.")
	}
	return fault.InvalidField("role", "The role is one of member, helpdesk and client-admin.")
}

// Taken says that an address is another user's.
func Taken() error {
	return fault.OfField(fault.Conflict, "email", "Another user of this environment has this address, or one that reads the same.")
}

// CheckName gives a name without white space around it, or a fault about the field "name".
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", fault.InvalidField("name", "Enter a name.")
	}
	// The two joiners show nothing, but Persian names and families of emoji need them.
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' }
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 100 || strings.ContainsFunc(name, unprintable) {
		return "", fault.InvalidField("name", "A name has at most 100 characters, all of them printable.")
	}
	return name, nil
}

func searchText(name, email string) string { return folding.Findable(name + " " + email) }

// Rename changes the name.
func Rename(tx *db.Tx, env id.Environment, u User, name string) error {
	name, err := CheckName(name)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE users SET name = $3, search_text = $4, sort_key = $5 WHERE environment_id = $1 AND id = $2",
		env, u.ID, name, searchText(name, u.Email), folding.SortKey(name))
	return err
}

// SetPassword stores a hash, revokes the open token and ends all sessions but
// one ("" spares none). It gives the number of sessions ended. An invited user
// becomes active, and a case of the user ends.
func SetPassword(tx *db.Tx, env id.Environment, u User, hash, shape string, spare id.Session, why string) (int, error) {
	_, err := tx.Exec(`UPDATE users SET password_hash = $3, password_shape = $4, state = CASE WHEN state = 'invited' THEN 'active' ELSE state END
		WHERE environment_id = $1 AND id = $2`, env, u.ID, hash, shape)
	if err != nil {
		return 0, err
	}
	if _, err := cases.Close(tx, env, u.ID); err != nil {
		return 0, err
	}
	return loseAccess(tx, env, u, spare, token.PasswordSet, why)
}

// UpgradePassword stores the same password in today's format, unless it has
// changed meanwhile.
func UpgradePassword(tx *db.Tx, env id.Environment, u User, hash, shape string) error {
	_, err := tx.Exec("UPDATE users SET password_hash = $3, password_shape = $4 WHERE environment_id = $1 AND id = $2 AND password_hash = $5",
		env, u.ID, hash, shape, u.PasswordHash)
	return err
}

// DropPassword makes the password unusable and ends all sessions.
func DropPassword(tx *db.Tx, env id.Environment, u User) (int, error) {
	if _, err := tx.Exec("UPDATE users SET password_hash = '', password_shape = '' WHERE environment_id = $1 AND id = $2", env, u.ID); err != nil {
		return 0, err
	}
	return loseAccess(tx, env, u, "", token.NotMe, session.NotMe)
}

// SetRole changes the role; links made by somebody who loses it end.
func SetRole(tx *db.Tx, env id.Environment, u User, role access.Role) (int, error) {
	if !role.ValidIn(env) {
		return 0, RoleFault(env)
	}
	if _, err := tx.Exec("UPDATE users SET role = $3 WHERE environment_id = $1 AND id = $2", env, u.ID, role); err != nil {
		return 0, err
	}
	if err := token.EndLinksMadeBy(tx, env, u.ID); err != nil {
		return 0, err
	}
	return loseAccess(tx, env, u, "", token.RoleChanged, session.RoleChanged)
}

// Deactivate closes the account.
func Deactivate(tx *db.Tx, env id.Environment, u User) (int, error) {
	if _, err := tx.Exec("UPDATE users SET state = $3 WHERE environment_id = $1 AND id = $2", env, u.ID, Deactivated); err != nil {
		return 0, err
	}
	if err := token.EndLinksMadeBy(tx, env, u.ID); err != nil {
		return 0, err
	}
	if _, err := cases.Close(tx, env, u.ID); err != nil {
		return 0, err
	}
	return loseAccess(tx, env, u, "", token.Deactivated, session.Deactivated)
}

// Activate opens a deactivated account again: active if it has a password, else
// invited.
func Activate(tx *db.Tx, env id.Environment, u User) (State, error) {
	next := Active
	if u.PasswordHash == "" {
		next = Invited
	}
	_, err := tx.Exec("UPDATE users SET state = $3 WHERE environment_id = $1 AND id = $2 AND state = 'deactivated'", env, u.ID, next)
	return next, err
}

// SetPendingEmail notes an address that counts once it is confirmed; "" drops it.
func SetPendingEmail(tx *db.Tx, env id.Environment, u User, email string) error {
	_, err := tx.Exec("UPDATE users SET pending_email = $3 WHERE environment_id = $1 AND id = $2", env, u.ID, email)
	return err
}

// SetEmail makes a confirmed address the user's own.
func SetEmail(tx *db.Tx, env id.Environment, u User, a address.Address) (int, error) {
	other, err := FindByEmail(tx, env, a.Key)
	if err == nil && other.ID != u.ID {
		return 0, Taken()
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, err
	}
	_, err = tx.Exec("UPDATE users SET email = $3, email_key = $4, pending_email = '', search_text = $5 WHERE environment_id = $1 AND id = $2",
		env, u.ID, a.Mail, a.Key, searchText(u.Name, a.Mail))
	if db.IsUnique(err) {
		return 0, Taken()
	}
	if err != nil {
		return 0, err
	}
	if err := rememberAddress(tx, env, u, a.Key); err != nil {
		return 0, err
	}
	return loseAccess(tx, env, u, "", token.EmailChanged, session.EmailChanged)
}

// rememberAddress keeps the address a user had until now: people go on typing
// it. Whoever has an address now is not looked for under it any more.
func rememberAddress(tx *db.Tx, env id.Environment, u User, next string) error {
	if u.EmailKey == next {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO former_addresses (environment_id, address_key, user_id, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment_id, address_key) DO UPDATE SET user_id = excluded.user_id, until = excluded.until`,
		env, u.EmailKey, u.ID, tx.Now())
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM former_addresses WHERE environment_id = $1 AND address_key = $2", env, next)
	return err
}

// ByFormerAddress gives the user who had an address before; NotFound if nobody did.
func ByFormerAddress(tx *db.Tx, env id.Environment, key string) (User, error) {
	return notFound(db.One[User](tx, "SELECT "+columns+` FROM former_addresses f
		JOIN users u ON u.environment_id = f.environment_id AND u.id = f.user_id
		WHERE f.environment_id = $1 AND f.address_key = $2`, env, key))
}

// Delete removes the user; events about the user stay.
func Delete(tx *db.Tx, env id.Environment, u User) error {
	if err := token.EndLinksMadeBy(tx, env, u.ID); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM users WHERE environment_id = $1 AND id = $2", env, u.ID)
	return err
}

// SignedIn notes the last sign-in; who is in needs no more help.
func SignedIn(tx *db.Tx, env id.Environment, u User) error {
	if _, err := tx.Exec("UPDATE users SET last_sign_in_at = $3 WHERE environment_id = $1 AND id = $2", env, u.ID, tx.Now()); err != nil {
		return err
	}
	_, err := cases.Close(tx, env, u.ID)
	return err
}

func loseAccess(tx *db.Tx, env id.Environment, u User, spare id.Session, tokenWhy, sessionWhy string) (int, error) {
	if _, err := token.Revoke(tx, env, u.ID, tokenWhy); err != nil {
		return 0, err
	}
	return session.EndAll(tx, env, u.ID, spare, sessionWhy)
}

// ShapeCount is how many users have a password of a format and cost.
type ShapeCount struct {
	Shape string `db:"password_shape"`
	Users int    `db:"users"`
}

// Shapes counts the password formats in use, for what an unknown address costs.
func Shapes(tx *db.Tx, env id.Environment) ([]ShapeCount, error) {
	return db.All[ShapeCount](tx, `SELECT password_shape, count(*) AS users FROM users
		WHERE environment_id = $1 AND password_shape <> '' GROUP BY password_shape ORDER BY password_shape`, env)
}
