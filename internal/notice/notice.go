// Package notice decides which mail follows from what happened: it makes the
// links the mail needs and queues it, in the transaction of its cause.
//
// A mail that leaves at once is as it was when it was queued: what else happens to its
// links in that transaction must have happened before, or be announced (To.More).
//
// What the mails say is in package mail; sending them is delivery's.
package notice

import (
	"encoding/json"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
)

// Lives of the links that only mails carry.
const (
	NotMeLife   = 72 * time.Hour
	ConfirmLife = 72 * time.Hour
)

// To is the user a mail is for; the address is fixed when it is queued.
type To struct {
	User  id.User
	Name  string
	Email string
	Names Names
	// More: what follows in this transaction may change what the mail says, or end its
	// link. So the letter is read after the commit, and not given along.
	More bool
}

// Names are what a mail and its links are called, if that was settled before; what
// is empty is named when the mail is queued.
type Names struct {
	Message     id.Message
	Link, NotMe string // forms of a secret.LinkID
}

// Detail is what a mail says beyond its links. It is stored: no secrets.
type Detail struct {
	By       string    `json:"by,omitempty"`
	Device   string    `json:"device,omitempty"`
	Network  string    `json:"network,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Sessions int       `json:"sessions,omitempty"`
	Old      string    `json:"old,omitempty"`
	New      string    `json:"new,omitempty"`
	// Short: the code alone, no link and no HTML, for filters that stop more.
	Short bool `json:"short,omitempty"`
	// Of a digest.
	Stuck     []Stuck `json:"stuck,omitempty"`
	MoreStuck int     `json:"more_stuck,omitempty"`
}

// Stuck is somebody who needs help signing in, and why.
type Stuck struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// ReadDetail reads what a message stores.
func ReadDetail(stored string) Detail {
	var d Detail
	_ = json.Unmarshal([]byte(stored), &d) // written by queue
	return d
}

// ResetLink adds a mailed link to an open token and queues the mail: a reset
// mail or, for an invited user, the invitation. By is zero when the user asked.
func ResetLink(tx *db.Tx, env environment.Environment, to To, t token.Token, life time.Duration, by access.Actor) error {
	return resetMail(tx, env, to, t, life, resetKind(by), by, false)
}

// ResetCode is ResetLink with the shortest mail there is: the code alone. An
// invitation has no code and goes out as always.
func ResetCode(tx *db.Tx, env environment.Environment, to To, t token.Token, life time.Duration, by access.Actor) error {
	return resetMail(tx, env, to, t, life, resetKind(by), by, true)
}

// AfterNotMe is ResetLink for somebody who said "This wasn't me" of a password
// that was set: it begins with that.
func AfterNotMe(tx *db.Tx, env environment.Environment, to To, t token.Token, life time.Duration) error {
	return resetMail(tx, env, to, t, life, mail.ResetAfterNotMe, access.Actor{}, false)
}

func resetKind(by access.Actor) mail.Kind {
	if by.Name != "" {
		return mail.ResetByAdmin
	}
	return mail.Reset
}

func resetMail(tx *db.Tx, env environment.Environment, to To, t token.Token, life time.Duration, kind mail.Kind, by access.Actor, short bool) error {
	channel := token.Mail
	if t.Purpose == secret.Invite {
		kind = mail.Invitation
	}
	if !t.Fresh {
		mailed, err := token.WasMailed(tx, env.ID, t.ID)
		if err != nil {
			return err
		}
		if mailed {
			channel = token.MailAgain
		}
	}
	link, err := token.AddLink(tx, env.ID, token.NewLink{
		ID: to.Names.Link, Purpose: t.Purpose, Token: t.ID, User: to.User, Channel: channel, By: by, EndsAt: tx.Now().Add(life),
	})
	if err != nil {
		return err
	}
	l := Letter{Environment: env, Link: link, Token: t}
	if kind == mail.Invitation {
		return queue(tx, l, to, kind, Detail{By: by.Name})
	}
	return withNotMe(tx, l, to, kind, t.ID, Detail{By: by.Name, At: tx.Now(), Short: short})
}

// AdminLink tells the user that an administrator made a link.
func AdminLink(tx *db.Tx, env environment.Environment, to To, t token.Token, by access.Actor) error {
	return withNotMe(tx, Letter{Environment: env}, to, mail.AdminLink, t.ID, Detail{By: by.Name, At: tx.Now()})
}

// PasswordChanged tells the user. The token is the one that was used, if any.
func PasswordChanged(tx *db.Tx, env environment.Environment, to To, used id.Token, from access.Actor, sessionsEnded int) error {
	return withNotMe(tx, Letter{Environment: env}, to, mail.PasswordChanged, used,
		Detail{Device: from.Agent, Network: from.Network, At: tx.Now(), Sessions: sessionsEnded})
}

// Digest tells an administrator who needs help signing in.
func Digest(tx *db.Tx, env environment.Environment, to To, stuck []Stuck, more int) error {
	return queue(tx, Letter{Environment: env}, to, mail.Digest, Detail{At: tx.Now(), Stuck: stuck, MoreStuck: more})
}

// NewSignIn tells the user that a browser signed in that has not been seen before.
func NewSignIn(tx *db.Tx, env environment.Environment, to To, from access.Actor) error {
	return withNotMe(tx, Letter{Environment: env}, to, mail.NewSignIn, "", Detail{Device: from.Agent, Network: from.Network, At: tx.Now()})
}

// AddressChange asks the new address for confirmation and tells the old one at
// once, with a way to undo it. Of a new address that is taken, the link to confirm
// it ends where it begins, so that its mail is not needed and never sent.
func AddressChange(tx *db.Tx, env environment.Environment, to To, newAddress string, taken bool, by access.Actor) error {
	confirm, err := token.AddLink(tx, env.ID, token.NewLink{
		Purpose: secret.Confirm, User: to.User, Channel: token.Notice, By: by, EndsAt: tx.Now().Add(ConfirmLife), Detail: newAddress,
	})
	if err != nil {
		return err
	}
	if taken {
		confirm.EndedAt, confirm.EndedWhy = tx.Now(), "the address is taken"
		if _, err := token.EndLink(tx, env.ID, to.User, confirm.ID, confirm.EndedWhy); err != nil {
			return err
		}
	}
	d := Detail{By: by.Name, At: tx.Now(), Old: to.Email, New: newAddress}
	old := to
	to.Email = newAddress
	to.Name = "" // whose address this is nobody knows yet: no words of whoever typed it go there
	if err := queue(tx, Letter{Environment: env, Link: confirm}, to, mail.AddressConfirm, d); err != nil {
		return err
	}
	return withNotMe(tx, Letter{Environment: env}, old, mail.AddressChanged, "", d)
}

// About says what a "This wasn't me" link undoes; it is the detail of the link.
type About struct {
	Kind    mail.Kind `json:"kind"`
	Address string    `json:"address"` // where it was mailed: its owner may come back to it
}

// ReadAbout reads the detail of a "This wasn't me" link.
func ReadAbout(l token.Link) About {
	var a About
	_ = json.Unmarshal([]byte(l.Detail), &a) // written by withNotMe
	return a
}

// withNotMe queues a letter with a "This wasn't me" link, of the token if there is one.
func withNotMe(tx *db.Tx, l Letter, to To, kind mail.Kind, t id.Token, d Detail) error {
	about, err := json.Marshal(About{Kind: kind, Address: to.Email})
	if err != nil {
		return err
	}
	l.NotMe, err = token.AddLink(tx, l.Environment.ID, token.NewLink{
		ID: to.Names.NotMe, Purpose: secret.NotMe, Token: t, User: to.User, Channel: token.Notice, EndsAt: tx.Now().Add(NotMeLife), Detail: string(about),
	})
	if err != nil {
		return err
	}
	return queue(tx, l, to, kind, d)
}

// queue writes down the message of a letter that has its links, and promises to send it.
func queue(tx *db.Tx, l Letter, to To, kind mail.Kind, d Detail) error {
	detail, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if l.Held, err = held(tx, l.Environment.ID, to.Email); err != nil {
		return err
	}
	l.Message = outbox.NewMessage(tx)
	if to.Names.Message != "" {
		l.Message.ID = to.Names.Message
	}
	l.Message.User, l.Message.ToName, l.Message.ToEmail = to.User, to.Name, to.Email
	l.Message.Kind, l.Message.Detail = string(kind), string(detail)
	l.Message.Link, l.Message.NotMe = l.Link.ID, l.NotMe.ID
	if to.More {
		return outbox.Queue(tx, l.Environment.ID, l.Message, nil)
	}
	return outbox.Queue(tx, l.Environment.ID, l.Message, l)
}
