// Package story reads what is known of somebody's newest recovery, from the
// asking to the password set, in the form that a diagnosis is made from.
package story

import (
	"time"

	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/token"
)

// Servers is how the way out of the house stands.
type Servers struct {
	None         bool      // no mail server is configured
	AllDownSince time.Time // every configured server fails since then
}

// Person is whose story is told.
type Person struct {
	ID           id.User
	Name         string
	Email        string
	EmailKey     string
	LastSignInAt time.Time
}

// told is how long after it began a recovery is still worth a word.
const told = 14 * 24 * time.Hour

// Of reads the stories of a page of people: eight statements for all of them,
// nine where a mail is not sent yet.
// One with nothing to tell has none.
func Of(tx *db.Tx, env environment.Environment, people []Person, servers Servers) (map[id.User]diagnosis.Story, error) {
	since := tx.Now().Add(-told)
	ids, keys := make([]id.User, len(people)), make([]string, len(people))
	for i, p := range people {
		ids[i], keys[i] = p.ID, p.EmailKey
	}
	suppressed, err := suppressions(tx, env.ID, keys)
	if err != nil {
		return nil, err
	}
	mails, err := outbox.RecoveryMails(tx, env.ID, ids, since)
	if err != nil {
		return nil, err
	}
	r := reader{tx: tx, env: env.ID, since: since}
	if len(mails) > 0 {
		if err := r.read(ids, mails); err != nil {
			return nil, err
		}
	}
	stories := map[id.User]diagnosis.Story{}
	for _, p := range people {
		s := r.story(p, mails)
		s.Suppressed = suppressed[p.EmailKey]
		s.LinksOff = env.Policy.AdminLinks == environment.Off
		s.NoServer, s.AllDownSince = servers.None, servers.AllDownSince
		if len(s.Mails) > 0 || s.Suppressed != nil || !s.UnmailedAt.IsZero() {
			stories[p.ID] = s
		}
	}
	return stories, nil
}

// reader holds what the stories of a page are made of.
type reader struct {
	tx       *db.Tx
	env      id.Environment
	since    time.Time
	tokens   map[id.User]token.Token // the newest of each
	last     map[id.Message]outbox.Last
	underWay map[id.Message]bool
	reports  map[id.Message][]outbox.Report
	looks    map[id.User][]token.Look
	refusals map[id.User][]diagnosis.Refusal
	unmailed map[id.User]time.Time // the newest of each
}

func (r *reader) read(users []id.User, mails []outbox.WithToken) error {
	ids, links := make([]id.Message, len(mails)), make([]string, len(mails))
	var pending []id.Message
	for i, m := range mails {
		ids[i], links[i] = m.ID, m.Link
		if m.State == outbox.Queued || m.State == outbox.Deferred {
			pending = append(pending, m.ID)
		}
	}
	var err error
	if len(pending) > 0 {
		if r.underWay, err = outbox.UnderWay(r.tx, r.env, pending); err != nil {
			return err
		}
	}
	if r.tokens, err = token.NewestAmong(r.tx, r.env, users); err != nil {
		return err
	}
	if r.last, err = outbox.LastAttempts(r.tx, r.env, ids); err != nil {
		return err
	}
	reports, err := outbox.Reports(r.tx, r.env, ids)
	if err != nil {
		return err
	}
	r.reports = map[id.Message][]outbox.Report{}
	for _, p := range reports {
		r.reports[p.Message] = append(r.reports[p.Message], p)
	}
	looks, err := token.Looks(r.tx, r.env, links)
	if err != nil {
		return err
	}
	r.looks = map[id.User][]token.Look{}
	for _, l := range looks {
		r.looks[l.User] = append(r.looks[l.User], l)
	}
	refused, err := audit.OfKind(r.tx, r.env, audit.ResetRefused, users, r.since)
	r.refusals = map[id.User][]diagnosis.Refusal{}
	for _, e := range refused {
		r.refusals[e.User] = append(r.refusals[e.User], diagnosis.Refusal{At: e.At, Reason: e.Detail()["why"]})
	}
	if err != nil {
		return err
	}
	unmailed, err := audit.OfKind(r.tx, r.env, audit.AskedTooOften, users, r.tx.Now().Add(-time.Hour)) // then mails go out again
	r.unmailed = map[id.User]time.Time{}
	for _, e := range unmailed {
		if e.At.After(r.unmailed[e.User]) {
			r.unmailed[e.User] = e.At
		}
	}
	return err
}

// story tells of the newest token: its mails, who looked at their links, and
// how it ended.
func (r *reader) story(p Person, mails []outbox.WithToken) diagnosis.Story {
	s := diagnosis.Story{Name: p.Name, Address: p.Email}
	if at := r.unmailed[p.ID]; at.After(p.LastSignInAt) {
		s.UnmailedAt = at
	}
	t := r.tokens[p.ID]
	ours := map[string]bool{} // the links of this token's mails
	for _, m := range mails {
		if m.User == p.ID && m.Token == t.ID {
			ours[m.Link] = true
			s.Mails = append(s.Mails, r.mail(m.Message))
			s.AskedAt = m.MadeAt // the oldest comes last
		}
	}
	if len(s.Mails) == 0 {
		return s
	}
	for _, l := range r.looks[p.ID] {
		if ours[l.Link] {
			s.Opens = append(s.Opens, Open(l))
		}
	}
	for _, refusal := range r.refusals[p.ID] {
		if refusal.At.After(s.AskedAt) {
			s.Refusals = append(s.Refusals, refusal)
		}
	}
	s.UsedAt = t.UsedAt
	if !t.UsedAt.IsZero() && !p.LastSignInAt.Before(t.UsedAt) {
		s.SignedInAt = p.LastSignInAt
	}
	return s
}

func (r *reader) mail(m outbox.Message) diagnosis.Mail {
	last := r.last[m.ID]
	d := diagnosis.Mail{
		Link: m.Link, State: diagnosis.State(m.State), QueuedAt: m.MadeAt, DueAt: m.MadeAt,
		LastTryAt: last.Ended(), NextTryAt: m.NextTryAt, AcceptedAt: m.AcceptedAt, UnderWay: r.underWay[m.ID],
		Class: diagnosis.Class(last.Class), Hard: last.Hard, UnknownOutcome: last.Outcome == "unknown",
		Ours: last.Server != "" && last.Class != "" && (last.Code < 400 || last.Stage != "rcpt" && last.Stage != "data"),
	}
	if last.Server != "" { // else it is what we wrote down ourselves
		d.Reply = last.Reply
	}
	if !m.NextTryAt.IsZero() {
		d.DueAt = m.NextTryAt
	}
	for _, p := range r.reports[m.ID] {
		d.Reports = append(d.Reports, diagnosis.Report{
			At: p.At, Kind: p.Kind, Class: diagnosis.Class(p.Class), Hard: p.Hard, Reply: p.Reply, Recipient: p.Recipient,
		})
	}
	return d
}

// Open is an opening as a diagnosis looks at it.
func Open(l token.Look) diagnosis.Open {
	return diagnosis.Open{
		Link: l.Link, At: l.At, Method: l.Method, Agent: l.Agent, Network: l.Network, Language: l.Language, Known: l.Known, StyledAt: l.StyledAt,
	}
}

func suppressions(tx *db.Tx, env id.Environment, keys []string) (map[string]*diagnosis.Suppression, error) {
	entries, err := suppression.Among(tx, env, keys)
	all := make(map[string]*diagnosis.Suppression, len(entries))
	for _, e := range entries {
		all[e.AddressKey] = &diagnosis.Suppression{Class: diagnosis.Class(e.Class), Since: e.Since, Reply: e.Reply}
	}
	return all, err
}
