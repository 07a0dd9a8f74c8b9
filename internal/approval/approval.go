// Package approval holds the agreement of a second Client Admin to an act on
// another Client Admin, in environments whose policy wants it.
//
// What needs it: a reset link, and a change of address or role, which is as
// strong as a link. Asking makes a row that any Client Admin but the two people
// concerned may agree to; the one who asked then has an hour.
package approval

import (
	"errors"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Lives of a question and of an agreement.
const (
	AskedFor  = 24 * time.Hour
	AgreedFor = time.Hour
)

// Approval is one question and what became of it.
type Approval struct {
	ID          id.Approval `db:"id"`
	User        id.User     `db:"user_id"` // on whom it wants to act
	AskedByName string      `db:"asked_by_name"`
	AskedAt     time.Time   `db:"asked_at"`
	AgreedAt    time.Time   `db:"agreed_at"`
	DeclinedAt  time.Time   `db:"declined_at"`
}

const columns = "id, user_id, asked_by_name, asked_at, agreed_at, declined_at"

// Needed tells whether an act of the actor on the target needs a second one's
// agreement where the policy wants it.
func Needed(actor access.Actor, target access.Target) bool {
	return !actor.Operator && target.Role == access.ClientAdmin && target.User != actor.User
}

// MayGive tells whether the actor may give somebody a role where the policy wants
// a second one's agreement: a Client Admin is added by operators there. Else one
// of them makes the second one, by hand or from a file.
func MayGive(actor access.Actor, role access.Role) bool {
	return actor.Operator || role != access.ClientAdmin
}

// OperatorsAdd is what somebody reads who may not.
const OperatorsAdd = "In this environment an operator adds a Client Admin, so that no Client Admin can make the second one whose agreement is needed."

// Given tells whether the actor may act on the user now; if not, the question
// stands, and is asked unless it already is.
func Given(tx *db.Tx, env id.Environment, actor access.Actor, user id.User) (bool, error) {
	newest, err := db.One[Approval](tx, "SELECT "+columns+` FROM approvals
		WHERE environment_id = $1 AND user_id = $2 AND asked_by = $3 AND declined_at IS NULL ORDER BY asked_at DESC, id DESC LIMIT 1`, env, user, actor.User)
	switch {
	case err != nil && !errors.Is(err, db.ErrNone):
		return false, err
	case err == nil && newest.AgreedAt.After(tx.Now().Add(-AgreedFor)):
		return true, nil
	case err == nil && newest.open(tx.Now()):
		return false, nil
	}
	_, err = tx.Exec("INSERT INTO approvals (environment_id, id, user_id, asked_by, asked_by_name, asked_at) VALUES ($1, $2, $3, $4, $5, $6)",
		env, id.New[id.Approval](), user, actor.User, actor.Name, tx.Now())
	if err != nil {
		return false, err
	}
	return false, audit.Record(tx, env, audit.Event{Kind: audit.ApprovalAsked, User: user, Actor: actor})
}

func (a Approval) open(now time.Time) bool {
	return a.AgreedAt.IsZero() && a.DeclinedAt.IsZero() && a.AskedAt.After(now.Add(-AskedFor))
}

// Open lists the questions that the actor may answer, oldest first: not those
// of their own, and not those about themselves.
func Open(tx *db.Tx, env id.Environment, actor access.Actor) ([]Approval, error) {
	return db.All[Approval](tx, "SELECT "+columns+` FROM approvals
		WHERE environment_id = $1 AND asked_at > $2 AND agreed_at IS NULL AND declined_at IS NULL AND asked_by <> $3 AND user_id <> $3
		ORDER BY asked_at, id LIMIT 20`, env, tx.Now().Add(-AskedFor), actor.User)
}

// Answer agrees to a question or declines it. Conflict if it is not open to
// this actor.
func Answer(tx *db.Tx, env id.Environment, actor access.Actor, which id.Approval, agree bool) (Approval, error) {
	column, kind := "declined_at", audit.ApprovalDeclined
	if agree {
		column, kind = "agreed_at", audit.ApprovalGiven
	}
	a, err := db.One[Approval](tx, "UPDATE approvals SET "+column+` = $4, answered_by = $3
		WHERE environment_id = $1 AND id = $2 AND asked_at > $5 AND agreed_at IS NULL AND declined_at IS NULL AND asked_by <> $3 AND user_id <> $3
		RETURNING `+columns, env, which, actor.User, tx.Now(), tx.Now().Add(-AskedFor))
	if errors.Is(err, db.ErrNone) {
		return a, fault.New(fault.Conflict, "This question is no longer open: it was answered, or its time is over. Who asked can ask again.")
	}
	if err != nil {
		return a, err
	}
	return a, audit.Record(tx, env, audit.Event{Kind: kind, User: a.User, Actor: actor, Detail: audit.Detail{"why": "asked by " + a.AskedByName}})
}

// keep is how long questions and answers are remembered; the events stay.
const keep = 90 * 24 * time.Hour

// Forget removes up to limit old questions, and tells how many.
func Forget(tx *db.Tx, env id.Environment, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM approvals WHERE environment_id = $1 AND id IN (
		SELECT id FROM approvals WHERE environment_id = $1 AND asked_at < $2 LIMIT $3)`, env, tx.Now().Add(-keep), limit)
}
