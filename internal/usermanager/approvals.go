package usermanager

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// Approval is another Client Admin's question for the actor's agreement.
type Approval struct {
	ID          id.Approval
	User        user.User // on whom it wants to act
	AskedByName string
	AskedAt     time.Time
}

// approvals gives the questions that the actor may answer.
func approvals(tx *db.Tx, actor access.Actor, env environment.Environment) ([]Approval, error) {
	open, err := approval.Open(tx, env.ID, actor)
	if err != nil {
		return nil, err
	}
	var all []Approval
	for _, a := range open {
		u, err := user.Find(tx, env.ID, a.User)
		if err != nil {
			return nil, err
		}
		all = append(all, Approval{ID: a.ID, User: u, AskedByName: a.AskedByName, AskedAt: a.AskedAt})
	}
	return all, nil
}

// AnswerApproval agrees to another Client Admin's question, or declines it.
func (m *UserManager) AnswerApproval(ctx context.Context, actor access.Actor, env environment.Environment, which id.Approval, agree bool) (approval.Approval, error) {
	if err := may(actor, env, access.AnswerApproval); err != nil {
		return approval.Approval{}, err
	}
	var a approval.Approval
	err := m.DB.Update(ctx, func(tx *db.Tx) (err error) {
		a, err = approval.Answer(tx, env.ID, actor, which, agree)
		return err
	})
	return a, err
}
