package notice

import (
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/token"
)

// Letter is a message with everything it speaks of: all that is needed to send it.
// Whoever queues a message has its letter in hand, and gives it along, so that it
// need not be read again to send it at once.
type Letter struct {
	Message     outbox.Message
	Environment environment.Environment
	Link        token.Link       // zero: the message has none
	Token       token.Token      // of the link, if it is one of a token
	NotMe       token.Link       // zero: the message has none
	Held        bool             // its address gets no mail
	Earlier     []outbox.Attempt // oldest first
}

// Find gives the letter of a message as it stands now, without earlier attempts;
// db.ErrNone or fault.NotFound if something of it is gone.
func Find(tx *db.Tx, env id.Environment, message id.Message) (Letter, error) {
	var (
		l   Letter
		err error
	)
	if l.Message, err = outbox.Find(tx, env, message); err != nil {
		return l, err
	}
	if l.Environment, err = environment.ByID(tx, env); err != nil {
		return l, err
	}
	if l.Message.Link != "" {
		if l.Link, err = token.FindLink(tx, env, l.Message.Link); err != nil {
			return l, err
		}
	}
	if l.Link.Token != "" {
		if l.Token, err = token.ByID(tx, env, l.Link.Token); err != nil {
			return l, err
		}
	}
	if l.Message.NotMe != "" {
		if l.NotMe, err = token.FindLink(tx, env, l.Message.NotMe); err != nil {
			return l, err
		}
	}
	l.Held, err = held(tx, env, l.Message.ToEmail)
	return l, err
}

func held(tx *db.Tx, env id.Environment, email string) (bool, error) {
	_, held, err := suppression.Of(tx, env, address.KeyOf(email))
	return held, err
}
