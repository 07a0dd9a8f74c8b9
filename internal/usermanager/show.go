package usermanager

import (
	"context"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Shown is a user as scripts read it. The names of its fields are a promise; a
// field that does not apply is null; never a secret.
type Shown struct {
	ID          id.User        `json:"id"`
	Environment string         `json:"environment"` // the slug
	Email       string         `json:"email"`
	Name        string         `json:"name"`
	Role        access.Role    `json:"role"`
	State       user.State     `json:"state"`
	LastSignIn  *time.Time     `json:"last_sign_in"`
	Token       ShownToken     `json:"token"`
	Links       []ShownLink    `json:"links"` // of the newest token, newest first
	Mail        ShownMail      `json:"mail"`
	Messages    []ShownMessage `json:"messages"` // newest first
	Case        *string        `json:"case"`     // number of the newest asking
}

// ShownToken tells whether the user has a live token, and until when.
type ShownToken struct {
	Live    bool       `json:"live"`
	Expires *time.Time `json:"expires"`
}

// ShownLink is a link that somebody was given; never the link itself.
type ShownLink struct {
	Channel  token.Channel `json:"channel"` // mail, mail-again or admin
	MadeBy   *string       `json:"made_by"` // the name of an administrator; null for a mail asked for from outside
	MadeAt   *time.Time    `json:"made_at"`
	OpenedAt *time.Time    `json:"opened_at"`
	OpenedBy *string       `json:"opened_by"` // person or scanner
}

// ShownMail is the diagnosis of the user's mail.
type ShownMail struct {
	Class      *string    `json:"class"`
	Family     *string    `json:"family"`
	Since      *time.Time `json:"since"`
	Sentence   *string    `json:"sentence"`
	Action     *string    `json:"action"`
	Suppressed bool       `json:"suppressed"` // nothing is mailed to the address until somebody clears it
}

// ShownMessage is one mail.
type ShownMessage struct {
	Kind      string         `json:"kind"`
	State     string         `json:"state"`
	MessageID *string        `json:"message_id"`
	Attempts  []ShownAttempt `json:"attempts"` // oldest first
}

// ShownAttempt is one conversation with a mail server.
type ShownAttempt struct {
	At       *time.Time `json:"at"`
	Server   *string    `json:"server"`
	Stage    *string    `json:"stage"`
	Code     *int       `json:"code"`
	Enhanced *string    `json:"enhanced"`
	Reply    *string    `json:"reply"`
}

// Show gives the user of an address as scripts read it.
func (m *UserManager) Show(ctx context.Context, actor access.Actor, env environment.Environment, email string) (Shown, error) {
	if err := within(actor, env); err != nil {
		return Shown{}, err
	}
	a, err := address.Parse(email)
	if err != nil {
		return Shown{}, err
	}
	var d Details
	err = m.DB.View(ctx, func(tx *db.Tx) error {
		u, err := user.FindByEmail(tx, env.ID, a.Key)
		if err != nil {
			return err
		}
		d, err = m.details(tx, actor, env, u)
		return err
	})
	if err != nil {
		return Shown{}, err
	}
	return show(env, d), nil
}

// Find gives the user of an address; NotFound if nobody has it.
func (m *UserManager) Find(ctx context.Context, actor access.Actor, env environment.Environment, email string) (user.User, error) {
	if err := may(actor, env, access.OpenUserManager); err != nil {
		return user.User{}, err
	}
	a, err := address.Parse(email)
	if err != nil {
		return user.User{}, err
	}
	var u user.User
	err = m.DB.View(ctx, func(tx *db.Tx) (err error) {
		u, err = user.FindByEmail(tx, env.ID, a.Key)
		return err
	})
	return u, err
}

func show(env environment.Environment, d Details) Shown {
	s := Shown{
		ID: d.User.ID, Environment: env.Slug, Email: d.User.Email, Name: d.User.Name, Role: d.User.Role, State: d.User.State,
		LastSignIn: present(d.User.LastSignInAt), Token: ShownToken{Live: d.Live, Expires: present(d.Expires)},
		Links: []ShownLink{}, Messages: []ShownMessage{}, Mail: showMail(d.Diagnosis), Case: present(d.Asking.Case),
	}
	s.Mail.Suppressed = d.Suppressed
	for _, l := range d.Links {
		if l.Token == d.Token.ID && (l.Channel == token.Mail || l.Channel == token.MailAgain || l.Channel == token.Admin) {
			s.Links = append(s.Links, showLink(l))
		}
	}
	for _, m := range d.Messages {
		s.Messages = append(s.Messages, showMessage(m))
	}
	return s
}

func showMail(g diagnosis.Diagnosis) ShownMail {
	return ShownMail{
		Class: present(string(g.Class)), Family: present(string(g.Family)), Since: present(g.Since),
		Sentence: present(g.Sentence), Action: present(g.Button.Words),
	}
}

func showLink(l Link) ShownLink {
	s := ShownLink{Channel: l.Channel, MadeBy: present(l.MadeByName), MadeAt: present(l.MadeAt)}
	switch {
	case !l.OpenedAt.IsZero():
		s.OpenedAt, s.OpenedBy = present(l.OpenedAt), present("person")
	case !l.ScannedAt.IsZero():
		s.OpenedAt, s.OpenedBy = present(l.ScannedAt), present("scanner")
	}
	return s
}

func showMessage(m Message) ShownMessage {
	s := ShownMessage{Kind: m.Kind, State: string(m.State), MessageID: present(m.MessageID), Attempts: []ShownAttempt{}}
	for _, a := range m.Attempts {
		s.Attempts = append(s.Attempts, ShownAttempt{
			At: present(a.At), Server: present(a.Server), Stage: present(a.Stage), Code: present(a.Code),
			Enhanced: present(a.Enhanced), Reply: present(a.Reply),
		})
	}
	return s
}

// present gives nil for a zero value, which becomes null.
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
