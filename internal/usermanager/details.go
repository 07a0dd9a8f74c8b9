package usermanager

import (
	"context"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Details is everything about one user, without anything secret.
type Details struct {
	Row
	Token    token.Token // the live one, else the newest there was, else zero
	Expires  time.Time   // of a live token: when its last link ends
	Expired  time.Time   // of one that expired: when its last link did
	Links    []Link      // the ledger: of all recent tokens, newest first
	Messages []Message   // newest first
	Looks    []Look      // at the links of this page, oldest first
	Asking   Asking      // the newest; zero if nobody asked
	Events   []audit.Entry
	Sessions int // live ones
	// CodesTried is how often a code was typed for this address, right or wrong,
	// in the 24 hours before CodesUntil; a password set makes it zero.
	CodesTried int
	CodesUntil time.Time
	MoreLog    bool // there are older events than those given
}

// Link is a line of the ledger. Its Ref names it to recovery's EndLink.
type Link struct {
	Ref        string
	Token      id.Token
	Channel    token.Channel
	MadeByName string // "" for a mail asked for from outside
	MadeAt     time.Time
	EndsAt     time.Time
	OpenedAt   time.Time // first by a person
	ScannedAt  time.Time // first by a scanner
	Verdict    token.Verdict
	EndedAt    time.Time // when it was used or cancelled, if that is known
	EndedWhy   string
	Mail       outbox.State // of the mail it went out with; "" if there is none, or no longer
	CameBack   bool         // that mail did
}

// Message is one mail with its attempts, oldest first.
type Message struct {
	Kind       string // a mail.Kind
	To         string
	MessageID  string
	State      outbox.State
	MadeAt     time.Time
	SettledAt  time.Time
	NextTryAt  time.Time
	AcceptedAt time.Time // when a server took it
	link       string
	Attempts   []outbox.Attempt
	Reports    []outbox.Report // what came back, oldest first
}

// CameBack gives the report that the mail came back or was called spam; false if
// none did, or a delivery followed. Hard ones count for more.
func (m Message) CameBack() (outbox.Report, bool) {
	var worst outbox.Report
	for _, r := range m.Reports {
		switch dsn.Kind(r.Kind) {
		case dsn.Bounce, dsn.Complaint:
			if r.Hard || !worst.Hard {
				worst = r
			}
		case dsn.Delivered:
			if !worst.Hard && worst.Kind != string(dsn.Complaint) {
				worst = outbox.Report{}
			}
		}
	}
	return worst, worst.Kind != ""
}

// Arrived tells whether a server reported the delivery.
func (m Message) Arrived() bool {
	return slices.ContainsFunc(m.Reports, func(r outbox.Report) bool { return dsn.Kind(r.Kind) == dsn.Delivered })
}

// How much of a user's past a page shows.
const (
	shownTokens   = 10
	shownLinks    = 40
	shownMessages = 40
	shownEvents   = 200
)

// User gives one user's page. A help desk sees members only.
func (m *UserManager) User(ctx context.Context, actor access.Actor, env environment.Environment, userID id.User) (Details, error) {
	if err := within(actor, env); err != nil {
		return Details{}, err
	}
	var d Details
	err := m.DB.View(ctx, func(tx *db.Tx) error {
		u, err := user.Find(tx, env.ID, userID)
		if err != nil {
			return err
		}
		d, err = m.details(tx, actor, env, u)
		return err
	})
	return d, err
}

func (m *UserManager) details(tx *db.Tx, actor access.Actor, env environment.Environment, u user.User) (Details, error) {
	var d Details
	if err := access.CheckOn(actor, env.ID, access.SeeTimeline, u.Target()); err != nil {
		return d, err
	}
	all, err := m.rows(tx, actor, env, []user.User{u})
	if err != nil {
		return d, err
	}
	d.Row = all[0]
	links, err := d.readTokens(tx, env.ID)
	if err != nil {
		return d, err
	}
	if d.Messages, err = messages(tx, env.ID, u.ID); err != nil {
		return d, err
	}
	d.tellMailed()
	if err := d.readLooks(tx, env.ID, links); err != nil {
		return d, err
	}
	if d.Asking, err = newestAsking(tx, env.ID, u.ID); err != nil {
		return d, err
	}
	if d.Events, err = audit.OfUser(tx, env.ID, u.ID, shownEvents+1); err != nil {
		return d, err
	}
	if d.MoreLog = len(d.Events) > shownEvents; d.MoreLog {
		d.Events = d.Events[:shownEvents]
	}
	if d.CodesTried, d.CodesUntil, err = throttle.Tried(tx, env.ID, "code:"+u.EmailKey); err != nil {
		return d, err
	}
	sessions, err := session.OfUser(tx, env.ID, u.ID)
	d.Sessions = len(sessions)
	return d, err
}

func (d *Details) readTokens(tx *db.Tx, env id.Environment) ([]token.Link, error) {
	tokens, err := token.OfUser(tx, env, d.User.ID, shownTokens)
	if err != nil {
		return nil, err
	}
	byID := map[id.Token]token.Token{}
	for _, t := range tokens {
		byID[t.ID] = t
	}
	if len(tokens) > 0 {
		d.Token = tokens[0] // an open one is always the newest
	}
	links, err := token.LinksOfUser(tx, env, d.User.ID, shownLinks)
	if err != nil {
		return nil, err
	}
	d.Live = false
	for _, l := range links {
		t, ok := byID[l.Token]
		if !ok {
			continue
		}
		line := ledgerLine(t, l, tx.Now())
		if line.Verdict == token.Works && l.Travelling() {
			d.Live = true
			if l.EndsAt.After(d.Expires) {
				d.Expires = l.EndsAt
			}
		}
		d.Links = append(d.Links, line)
	}
	if !d.Live && len(tokens) > 0 {
		d.Expired, err = token.ExpiredAt(tx, env, d.Token)
	}
	return links, err
}

// tellMailed says of each link what became of its mail.
func (d *Details) tellMailed() {
	mails := map[string]Message{}
	for _, m := range d.Messages {
		if m.link != "" {
			mails[token.Ref(token.Link{ID: m.link})] = m
		}
	}
	for i, l := range d.Links {
		m := mails[l.Ref]
		d.Links[i].Mail = m.State
		_, d.Links[i].CameBack = m.CameBack()
	}
}

func ledgerLine(t token.Token, l token.Link, now time.Time) Link {
	line := Link{
		Ref: token.Ref(l), Token: t.ID, Channel: l.Channel, MadeByName: l.MadeByName, MadeAt: l.MadeAt, EndsAt: l.EndsAt,
		OpenedAt: l.OpenedAt, ScannedAt: l.ScannedAt, Verdict: token.Judge(t, l, now),
	}
	switch {
	case line.Verdict == token.Used:
		line.EndedAt = t.UsedAt
	case line.Verdict != token.Cancelled:
	case !t.RevokedAt.IsZero():
		line.EndedAt, line.EndedWhy = t.RevokedAt, t.RevokedWhy
	case !l.EndedAt.IsZero():
		line.EndedAt, line.EndedWhy = l.EndedAt, l.EndedWhy
	default:
		line.EndedAt, line.EndedWhy = l.KeyRevokedAt, "all links of that time were cancelled"
	}
	return line
}

func messages(tx *db.Tx, env id.Environment, userID id.User) ([]Message, error) {
	found, err := outbox.OfUser(tx, env, userID, shownMessages)
	if err != nil {
		return nil, err
	}
	ids := make([]id.Message, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	attempts, err := outbox.Attempts(tx, env, ids)
	if err != nil {
		return nil, err
	}
	reports, err := outbox.Reports(tx, env, ids)
	if err != nil {
		return nil, err
	}
	back := map[id.Message][]outbox.Report{}
	for _, p := range reports {
		back[p.Message] = append(back[p.Message], p)
	}
	of := map[id.Message][]outbox.Attempt{}
	for _, a := range attempts {
		of[a.Message] = append(of[a.Message], a)
	}
	all := make([]Message, len(found))
	for i, f := range found {
		all[i] = Message{
			Kind: f.Kind, To: f.ToEmail, MessageID: f.MessageID, State: f.State,
			MadeAt: f.MadeAt, SettledAt: f.SettledAt, NextTryAt: f.NextTryAt, AcceptedAt: f.AcceptedAt, link: f.Link, Attempts: of[f.ID], Reports: back[f.ID],
		}
	}
	return all, nil
}
