package recovery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Reason says why a link cannot be used.
type Reason string

// The five reasons, each with its own words and next step on the page.
const (
	Incomplete  Reason = "incomplete"
	Damaged     Reason = "damaged"
	Expired     Reason = "expired"
	AlreadyUsed Reason = "used"
	Cancelled   Reason = "cancelled"
)

// Unusable is the error for a link that does not work. To whoever holds a
// genuine link it tells everything about that link.
type Unusable struct {
	Reason  Reason
	At      time.Time // when it expired, was used or was cancelled
	Why     string    // in general terms, for a cancelled one
	Agent   string    // of the browser that used it
	ByAdmin bool      // it was made by an administrator
	MayAsk  bool      // "Send a new link" is offered: a mailed link that expired, of a user who could ask now
	email   string    // of the user, for asking again; never shown
}

func (u *Unusable) Error() string { return "this link does not work: " + string(u.Reason) }

// Opened is a link that works, as its page needs it.
type Opened struct {
	Name        string
	MaskedEmail string
	Email       string
	Invitation  bool
	Operation   string // for the form: settles a repeated POST
	MinLength   int
	Until       time.Time
}

// found is a genuine link with all that hangs on it.
type found struct {
	user  user.User
	token token.Token
	link  token.Link
}

// Open looks at a link for its page and records the opening; nothing else
// changes, so scanners may open links as often as they like.
// The error is *Unusable for a link that does not work.
func (r *Recovery) Open(ctx context.Context, env environment.Environment, text string, from From, head bool) (Opened, error) {
	f, err := r.read(ctx, env, text)
	if err != nil {
		return Opened{}, err
	}
	if err := r.recordOpen(ctx, env, f, from, head); err != nil {
		return Opened{}, err
	}
	if err := r.usable(env, f); err != nil {
		return Opened{}, err
	}
	return Opened{
		Name: f.user.Name, MaskedEmail: mask(f.user.Email), Email: f.user.Email, Invitation: f.token.Purpose == secret.Invite,
		Operation: secret.NewToken(), MinLength: env.Policy.PasswordMinLength, Until: f.link.EndsAt,
	}, nil
}

// read finds the row of a genuine link. Invitations share the page and the
// rules of reset links.
func (r *Recovery) read(ctx context.Context, env environment.Environment, text string) (found, error) {
	id, problem, err := r.Ring.Read(ctx, secret.Reset, env.ID, text)
	if err == nil && problem == secret.Damaged {
		id, problem, err = r.Ring.Read(ctx, secret.Invite, env.ID, text)
	}
	if err != nil {
		return found{}, err
	}
	if problem != secret.Fine {
		return found{}, &Unusable{Reason: Reason(problem)}
	}
	var f found
	err = r.DB.View(ctx, func(tx *db.Tx) (err error) {
		f, err = find(tx, env, id.String())
		return err
	})
	return f, err
}

func find(tx *db.Tx, env environment.Environment, link string) (found, error) {
	t, l, err := token.Find(tx, env.ID, link)
	if err != nil {
		return found{}, goneWithUser(err)
	}
	u, err := user.Find(tx, env.ID, t.User)
	return found{user: u, token: t, link: l}, goneWithUser(err)
}

// goneWithUser: a genuine link whose rows are gone belonged to a user who was deleted.
func goneWithUser(err error) error {
	if errors.Is(err, db.ErrNone) || fault.Is(err, fault.NotFound) {
		return &Unusable{Reason: Cancelled, Why: "the account no longer exists"}
	}
	return err
}

// usable judges a link at this moment.
func (r *Recovery) usable(env environment.Environment, f found) error {
	return judge(env, f, r.DB.Now())
}

func judge(env environment.Environment, f found, now time.Time) error {
	u := &Unusable{ByAdmin: f.link.Channel == token.Admin, email: f.user.Email}
	switch token.Judge(f.token, f.link, now) {
	case token.Used:
		u.Reason, u.At, u.Agent = AlreadyUsed, f.token.UsedAt, f.token.UsedAgent
	case token.Cancelled:
		u.Reason, u.At, u.Why = Cancelled, cancelledAt(f), cancelledWhy(f)
	case token.Expired:
		u.Reason, u.At = Expired, f.link.EndsAt
		u.MayAsk = !u.ByAdmin && f.user.State != user.Deactivated && !env.Suspended()
	case token.Works:
		if f.user.State == user.Deactivated {
			u.Reason, u.Why = Cancelled, token.Deactivated
			return u
		}
		return nil
	}
	return u
}

func cancelledAt(f found) time.Time {
	for _, at := range []time.Time{f.token.RevokedAt, f.link.EndedAt} {
		if !at.IsZero() {
			return at
		}
	}
	return f.link.KeyRevokedAt
}

func cancelledWhy(f found) string {
	switch {
	case !f.token.RevokedAt.IsZero():
		return f.token.RevokedWhy
	case !f.link.EndedAt.IsZero():
		return f.link.EndedWhy
	default:
		return "all links of that time were cancelled"
	}
}

func (r *Recovery) recordOpen(ctx context.Context, env environment.Environment, f found, from From, head bool) error {
	scanner := head || agent.Scanner(from.Agent)
	return r.DB.Update(ctx, func(tx *db.Tx) error {
		first, err := token.RecordOpen(tx, env.ID, f.link.ID, scanner)
		if err != nil || !first {
			return err
		}
		kind := audit.LinkOpened
		if scanner {
			kind = audit.LinkScanned
		}
		return audit.Record(tx, env.ID, audit.Event{
			Kind: kind, User: f.user.ID, Actor: stranger(from), Detail: audit.Detail{"channel": string(f.link.Channel)},
		})
	})
}

// AskAgain is "Send a new link" on an expired link: an ordinary asking for its
// user, without showing the address.
func (r *Recovery) AskAgain(ctx context.Context, env environment.Environment, text string, from From) error {
	f, err := r.read(ctx, env, text)
	if err != nil {
		return err
	}
	var u *Unusable
	if err := r.usable(env, f); !errors.As(err, &u) || !u.MayAsk {
		return fault.New(fault.Conflict, "A new link cannot be asked for here. Choose I forgot my password.")
	}
	_, err = r.Ask(ctx, env, u.email, from)
	return err
}

// PasswordContext is what a password of this user must not be.
func PasswordContext(env environment.Environment, u user.User) []string {
	return []string{u.Name, u.Email, env.Name, env.Slug, "Sparekey"}
}

func passwordPolicy(env environment.Environment, u user.User) password.Policy {
	return password.Policy{MinLength: env.Policy.PasswordMinLength, Context: PasswordContext(env, u)}
}

// mask shows enough of an address to recognise one's own: j•••@acme.example.
func mask(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	for _, first := range local {
		return string(first) + "•••@" + domain
	}
	return "•••@" + domain
}
