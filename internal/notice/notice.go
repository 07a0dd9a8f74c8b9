// Package notice decides which mail follows from what happened: it makes the
// links the mail needs and queues it, in the transaction of its cause.
//
// What the mails say is in package mail; sending them is delivery's.
package notice

import (
	"encoding/json"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
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
func ResetLink(tx *db.Tx, env id.Environment, to To, t token.Token, life time.Duration, by access.Actor) error {
	return resetMail(tx, env, to, t, life, resetKind(by), by, false)
}

// ResetCode is ResetLink with the shortest mail there is: the code alone. An
// invitation has no code and goes out as always.
func ResetCode(tx *db.Tx, env id.Environment, to To, t token.Token, life time.Duration, by access.Actor) error {
	return resetMail(tx, env, to, t, life, resetKind(by), by, true)
}

// AfterNotMe is ResetLink for somebody who said "This wasn't me" of a password
// that was set: it begins with that.
func AfterNotMe(tx *db.Tx, env id.Environment, to To, t token.Token, life time.Duration) error {
	return resetMail(tx, env, to, t, life, mail.ResetAfterNotMe, access.Actor{}, false)
}

func resetKind(by access.Actor) mail.Kind {
	if by.Name != "" {
		return mail.ResetByAdmin
	}
	return mail.Reset
}

func resetMail(tx *db.Tx, env id.Environment, to To, t token.Token, life time.Duration, kind mail.Kind, by access.Actor, short bool) error {
	channel := token.Mail
	if t.Purpose == secret.Invite {
		kind = mail.Invitation
	}
	if !t.Fresh {
		mailed, err := token.WasMailed(tx, env, t.ID)
		if err != nil {
			return err
		}
		if mailed {
			channel = token.MailAgain
		}
	}
	link, err := token.AddLink(tx, env, token.NewLink{
		ID: to.Names.Link, Purpose: t.Purpose, Token: t.ID, User: to.User, Channel: channel, By: by, EndsAt: tx.Now().Add(life),
	})
	if err != nil {
		return err
	}
	if kind == mail.Invitation {
		return queue(tx, env, to, kind, link.ID, "", Detail{By: by.Name})
	}
	return withNotMe(tx, env, to, kind, link.ID, t.ID, Detail{By: by.Name, At: tx.Now(), Short: short})
}

// AdminLink tells the user that an administrator made a link.
func AdminLink(tx *db.Tx, env id.Environment, to To, t token.Token, by access.Actor) error {
	return withNotMe(tx, env, to, mail.AdminLink, "", t.ID, Detail{By: by.Name, At: tx.Now()})
}

// PasswordChanged tells the user. The token is the one that was used, if any.
func PasswordChanged(tx *db.Tx, env id.Environment, to To, used id.Token, from access.Actor, sessionsEnded int) error {
	return withNotMe(tx, env, to, mail.PasswordChanged, "", used,
		Detail{Device: from.Agent, Network: from.Network, At: tx.Now(), Sessions: sessionsEnded})
}

// Digest tells an administrator who needs help signing in.
func Digest(tx *db.Tx, env id.Environment, to To, stuck []Stuck, more int) error {
	return queue(tx, env, to, mail.Digest, "", "", Detail{At: tx.Now(), Stuck: stuck, MoreStuck: more})
}

// NewSignIn tells the user that a browser signed in that has not been seen before.
func NewSignIn(tx *db.Tx, env id.Environment, to To, from access.Actor) error {
	return withNotMe(tx, env, to, mail.NewSignIn, "", "", Detail{Device: from.Agent, Network: from.Network, At: tx.Now()})
}

// AddressChange asks the new address for confirmation and tells the old one at
// once, with a way to undo it.
func AddressChange(tx *db.Tx, env id.Environment, to To, newAddress string, by access.Actor) error {
	confirm, err := token.AddLink(tx, env, token.NewLink{
		Purpose: secret.Confirm, User: to.User, Channel: token.Notice, By: by, EndsAt: tx.Now().Add(ConfirmLife), Detail: newAddress,
	})
	if err != nil {
		return err
	}
	d := Detail{By: by.Name, At: tx.Now(), Old: to.Email, New: newAddress}
	old := to
	to.Email = newAddress
	to.Name = "" // whose address this is nobody knows yet: no words of whoever typed it go there
	if err := queue(tx, env, to, mail.AddressConfirm, confirm.ID, "", d); err != nil {
		return err
	}
	return withNotMe(tx, env, old, mail.AddressChanged, "", "", d)
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

func withNotMe(tx *db.Tx, env id.Environment, to To, kind mail.Kind, link string, t id.Token, d Detail) error {
	about, err := json.Marshal(About{Kind: kind, Address: to.Email})
	if err != nil {
		return err
	}
	notMe, err := token.AddLink(tx, env, token.NewLink{
		ID: to.Names.NotMe, Purpose: secret.NotMe, Token: t, User: to.User, Channel: token.Notice, EndsAt: tx.Now().Add(NotMeLife), Detail: string(about),
	})
	if err != nil {
		return err
	}
	return queue(tx, env, to, kind, link, notMe.ID, d)
}

func queue(tx *db.Tx, env id.Environment, to To, kind mail.Kind, link, notMe string, d Detail) error {
	detail, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return outbox.Queue(tx, env, outbox.Message{
		ID: to.Names.Message, User: to.User, Kind: string(kind), ToName: to.Name, ToEmail: to.Email, Link: link, NotMe: notMe, Detail: string(detail),
	})
}
