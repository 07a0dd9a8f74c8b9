package recovery

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Opened is a link that works, as its page needs it.
type Opened struct {
	Name        string
	MaskedEmail string
	Email       string
	Invitation  bool
	Operation   string // for the form: settles a repeated POST
	MinLength   int
	Until       time.Time
	Look        id.Open // names this opening to Styled
}

// Opening is what came with the request that opened a link.
type Opening struct {
	access.From
	Method   string
	Language bool // it names languages, as browsers do
	// The cookies of a browser that asked, or has signed in before; "" without.
	Asked, Device string
}

// found is a genuine link with all that hangs on it.
type found struct {
	user  user.User
	token token.Token
	link  token.Link
}

// Open looks at a link for its page and records the opening; nothing else
// changes, so scanners may open links as often as they like.
// The error is *token.Unusable for a link that does not work.
func (r *Recovery) Open(ctx context.Context, env environment.Environment, text string, o Opening) (Opened, error) {
	f, err := r.read(ctx, env, text)
	if err != nil {
		return Opened{}, err
	}
	look, err := r.recordOpen(ctx, env, f, o)
	if err != nil {
		return Opened{}, err
	}
	if err := r.usable(env, f); err != nil {
		return Opened{}, err
	}
	return Opened{
		Name: f.user.Name, MaskedEmail: mask(f.user.Email), Email: f.user.Email, Invitation: f.token.Purpose == secret.Invite,
		Operation: secret.NewToken(), MinLength: env.Policy.PasswordMinLength, Until: f.link.EndsAt, Look: look,
	}, nil
}

// read finds the row of a genuine link. Invitations share the page and the
// rules of reset links.
func (r *Recovery) read(ctx context.Context, env environment.Environment, text string) (found, error) {
	link, problem, err := r.Ring.Read(ctx, secret.Reset, env.ID, text)
	if err == nil && problem == secret.Damaged {
		link, problem, err = r.Ring.Read(ctx, secret.Invite, env.ID, text)
	}
	if err != nil {
		return found{}, err
	}
	if problem != secret.Fine {
		return found{}, &token.Unusable{Verdict: token.Verdict(problem)}
	}
	var f found
	err = r.present(ctx, env, link)
	if err != nil {
		return f, err
	}
	err = r.DB.View(ctx, func(tx *db.Tx) (err error) {
		f, err = find(tx, env, link.String())
		return err
	})
	return f, err
}

// present sees to it that a genuine link has its row, if it can have one. The mail may
// have left and what follows from its asking may be lost; see Resolve. Whoever holds
// the link need not wait until that is done again.
func (r *Recovery) present(ctx context.Context, env environment.Environment, link secret.LinkID) error {
	err := r.DB.View(ctx, func(tx *db.Tx) error {
		_, err := token.FindLink(tx, env.ID, link.String())
		return err
	})
	if !errors.Is(err, db.ErrNone) {
		return err
	}
	return r.DB.Update(ctx, func(tx *db.Tx) error {
		q, err := db.One[Request](tx, "SELECT "+requestColumns+" FROM requests WHERE environment_id = $1 AND resolved_at IS NULL AND (link_id = $2 OR not_me_id = $2)",
			env.ID, link.String())
		if err != nil {
			return ignoreNone(err)
		}
		return r.resolve(tx, env, q)
	})
}

func find(tx *db.Tx, env environment.Environment, link string) (found, error) {
	t, l, err := token.Find(tx, env.ID, link)
	if err != nil {
		return found{}, token.Gone(err)
	}
	u, err := user.Find(tx, env.ID, t.User)
	return found{user: u, token: t, link: l}, token.Gone(err)
}

// usable judges a link at this moment.
func (r *Recovery) usable(env environment.Environment, f found) error {
	return judge(env, f, r.DB.Now())
}

func judge(env environment.Environment, f found, now time.Time) error {
	u := &token.Unusable{
		Verdict: token.Judge(f.token, f.link, now), ByAdmin: f.link.Channel == token.Admin, Invited: f.token.Purpose == secret.Invite,
	}
	switch u.Verdict {
	case token.Used:
		u.At, u.Agent = f.token.UsedAt, f.token.UsedAgent
	case token.Cancelled:
		u.At, u.Why = cancelledAt(f), cancelledWhy(f)
	case token.Expired:
		u.At = f.link.EndsAt
		u.MayAsk = !u.ByAdmin && f.user.State != user.Deactivated && !env.Suspended()
	case token.Works:
		if f.user.State == user.Deactivated {
			u.Verdict, u.Why = token.Cancelled, token.Deactivated
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

func (r *Recovery) recordOpen(ctx context.Context, env environment.Environment, f found, o Opening) (id.Open, error) {
	scanner := o.Method == http.MethodHead || agent.Scanner(o.Agent)
	look := token.Look{
		ID: id.New[id.Open](), Link: f.link.ID, User: f.user.ID, Method: o.Method, Network: o.Network, Agent: o.Agent, Language: o.Language,
		Known: r.Ring.KnownBrowser(keyring.HasAsked, env.ID, f.user.EmailKey, o.Asked) != "" ||
			r.Ring.KnownBrowser(keyring.HasSignedIn, env.ID, f.user.EmailKey, o.Device) != "",
	}
	return look.ID, r.DB.Update(ctx, func(tx *db.Tx) error {
		first, err := token.RecordOpen(tx, env.ID, f.link.ID, scanner)
		if err != nil {
			return err
		}
		if err := token.RecordLook(tx, env.ID, look); err != nil || !first {
			return err
		}
		kind := audit.LinkOpened
		if scanner {
			kind = audit.LinkScanned
		}
		return audit.Record(tx, env.ID, audit.Event{
			Kind: kind, User: f.user.ID, Actor: stranger(o.From), Detail: audit.Detail{"channel": string(f.link.Channel)},
		})
	})
}

// Styled records that the page of an opening fetched its style sheet, as
// browsers do and most scanners do not. Whoever guesses an id changes nothing else.
func (r *Recovery) Styled(ctx context.Context, env environment.Environment, look id.Open) error {
	return r.DB.Update(ctx, func(tx *db.Tx) error { return token.RecordStyled(tx, env.ID, look) })
}

// AskAgain is "Send a new link" on an expired link: an ordinary asking for its
// user, without showing the address.
func (r *Recovery) AskAgain(ctx context.Context, env environment.Environment, text string, from access.From) (Asked, error) {
	f, err := r.read(ctx, env, text)
	if err != nil {
		return Asked{}, err
	}
	var u *token.Unusable
	if err := r.usable(env, f); !errors.As(err, &u) || !u.MayAsk {
		return Asked{}, fault.New(fault.Conflict, "A new link cannot be asked for here. Choose I forgot my password.")
	}
	return r.Ask(ctx, env, f.user.Email, from)
}

// mask shows enough of an address to recognise one's own: j•••@acme.example.
func mask(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	for _, first := range local {
		return string(first) + "•••@" + domain
	}
	return "•••@" + domain
}
