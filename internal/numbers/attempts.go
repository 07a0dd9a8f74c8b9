package numbers

import (
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
)

// attempt is one try of one person to get back in.
type attempt struct {
	ID     id.Token  `db:"id"`
	User   id.User   `db:"user_id"`
	MadeAt time.Time `db:"made_at"`
	UsedAt time.Time `db:"used_at"`

	askedAt    time.Time // of the asking that made the token
	signedInAt time.Time
	step       Step
	helped     bool            // an administrator made a link or had one sent
	scanned    bool            // a link scanner opened a link
	reported   diagnosis.Class // what came back about a mail
	answered   diagnosis.Class // the last refusal of a mail server
	class      diagnosis.Class
}

// reach notes that the person came at least this far.
func (a *attempt) reach(s Step) {
	if slices.Index(Steps, s) > slices.Index(Steps, a.step) {
		a.step = s
	}
}

// attempts reads the tries after one and before a time, at most slice, with all
// that is known about them.
func attempts(tx *db.Tx, env id.Environment, after attempt, before time.Time) ([]attempt, error) {
	some, err := db.All[attempt](tx, `SELECT id, user_id, made_at, used_at FROM tokens
		WHERE environment_id = $1 AND made_at >= $2 AND made_at < $3 AND (made_at > $2 OR id > $4) AND purpose = $5 ORDER BY made_at, id LIMIT $6`,
		env, after.MadeAt, before, after.ID, secret.Reset, slice)
	if err != nil || len(some) == 0 {
		return some, err
	}
	r := reading{tx: tx, env: env, byToken: map[id.Token]*attempt{}, byUser: map[id.User][]*attempt{}, byLink: map[string]*attempt{}, byMessage: map[id.Message]*attempt{}}
	for i := range some {
		a := &some[i]
		a.askedAt, a.step = a.MadeAt, Asked
		r.byToken[a.ID] = a
		r.byUser[a.User] = append(r.byUser[a.User], a)
	}
	r.since, r.until = some[0].MadeAt, some[len(some)-1].MadeAt.Add(day+settledAfter)
	for _, read := range []func() error{r.links, r.mails, r.answers, r.reports, r.askings, r.events} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	for i := range some {
		some[i].class = some[i].unfinished()
	}
	return some, nil
}

// reading gathers what belongs to some attempts.
type reading struct {
	tx           *db.Tx
	env          id.Environment
	since, until time.Time
	byToken      map[id.Token]*attempt
	byUser       map[id.User][]*attempt
	byLink       map[string]*attempt
	byMessage    map[id.Message]*attempt
}

// among lists keys for a statement, behind its other arguments.
func among[K ~string, V any](m map[K]V, args ...any) (string, []any) {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return db.Among(args, keys)
}

func (r *reading) links() error {
	type row struct {
		ID        string        `db:"id"`
		Token     id.Token      `db:"token_id"`
		Channel   token.Channel `db:"channel"`
		MadeBy    string        `db:"made_by"`
		MadeAt    time.Time     `db:"made_at"`
		OpenedAt  time.Time     `db:"opened_at"`
		ScannedAt time.Time     `db:"scanned_at"`
	}
	in, args := among(r.byToken, r.env)
	rows, err := db.All[row](r.tx, "SELECT id, token_id, channel, made_by, made_at, opened_at, scanned_at FROM links WHERE environment_id = $1 AND token_id IN ("+in+")", args...)
	for _, l := range rows {
		a := r.byToken[l.Token]
		r.byLink[l.ID] = a
		if l.MadeBy != "" && (a.UsedAt.IsZero() || !l.MadeAt.After(a.UsedAt)) {
			a.helped = true
		}
		if !l.OpenedAt.IsZero() || l.Channel == token.ByCode {
			a.reach(Opened)
		}
		a.scanned = a.scanned || !l.ScannedAt.IsZero()
	}
	return err
}

func (r *reading) mails() error {
	type row struct {
		ID         id.Message `db:"id"`
		Link       string     `db:"link_id"`
		AcceptedAt time.Time  `db:"accepted_at"`
	}
	in, args := among(r.byUser, r.env, r.since, r.until)
	rows, err := db.All[row](r.tx, "SELECT id, link_id, accepted_at FROM messages WHERE environment_id = $1 AND user_id IN ("+in+") AND made_at >= $2 AND made_at < $3 AND link_id <> ''", args...)
	for _, m := range rows {
		a := r.byLink[m.Link]
		if a == nil {
			continue
		}
		if !m.AcceptedAt.IsZero() {
			a.reach(Reached)
		}
		if a.UsedAt.IsZero() {
			r.byMessage[m.ID] = a
		}
	}
	return err
}

// answers reads the last refusal of the mails of unfinished attempts.
func (r *reading) answers() error {
	return r.classes("attempts", "class <> ''", func(a *attempt, c diagnosis.Class) { a.answered = c })
}

// reports reads what came back about them.
func (r *reading) reports() error {
	return r.classes("reports", "kind IN ('bounce', 'complaint')", func(a *attempt, c diagnosis.Class) { a.reported = c })
}

// classes hands over the class of each row of a table about these mails, the
// newest last.
func (r *reading) classes(table, which string, take func(a *attempt, c diagnosis.Class)) error {
	if len(r.byMessage) == 0 {
		return nil
	}
	type row struct {
		Message id.Message      `db:"message"`
		Class   diagnosis.Class `db:"class"`
	}
	in, args := among(r.byMessage, r.env)
	rows, err := db.All[row](r.tx, "SELECT message, class FROM "+table+" WHERE environment_id = $1 AND message IN ("+in+") AND "+which+" ORDER BY at", args...)
	for _, m := range rows {
		take(r.byMessage[m.Message], m.Class)
	}
	return err
}

// askings finds when the asking came that made each token: it is resolved in the
// same transaction.
func (r *reading) askings() error {
	type row struct {
		User       id.User   `db:"user_id"`
		MadeAt     time.Time `db:"made_at"`
		ResolvedAt time.Time `db:"resolved_at"`
	}
	in, args := among(r.byUser, r.env, r.since.Add(-day), r.until)
	rows, err := db.All[row](r.tx, "SELECT user_id, made_at, resolved_at FROM requests WHERE environment_id = $1 AND user_id IN ("+in+") AND user_id <> '' AND made_at >= $2 AND made_at < $3", args...)
	for _, q := range rows {
		for _, a := range r.byUser[q.User] {
			if q.ResolvedAt.Equal(a.MadeAt) && q.MadeAt.Before(a.askedAt) {
				a.askedAt = q.MadeAt
			}
		}
	}
	return err
}

// events finds refused forms, and the first sign-in after a password was set.
func (r *reading) events() error {
	type row struct {
		User id.User    `db:"user_id"`
		At   time.Time  `db:"at"`
		Kind audit.Kind `db:"kind"`
	}
	in, args := among(r.byUser, r.env, r.since, r.until, audit.ResetRefused, audit.SignedIn)
	rows, err := db.All[row](r.tx, "SELECT user_id, at, kind FROM events WHERE environment_id = $1 AND user_id IN ("+in+") AND at >= $2 AND at < $3 AND kind IN ($4, $5) ORDER BY at", args...)
	if err != nil {
		return err
	}
	for _, e := range rows {
		for _, a := range r.byUser[e.User] {
			a.happened(e.Kind, e.At)
		}
	}
	for _, a := range r.byToken {
		if !a.UsedAt.IsZero() {
			a.reach(Used)
		}
		if !a.signedInAt.IsZero() {
			a.reach(SignedIn)
		}
	}
	return nil
}

// happened adds an event of the person, if it belongs to this try.
func (a *attempt) happened(kind audit.Kind, at time.Time) {
	over := a.MadeAt.Add(day)
	if !a.UsedAt.IsZero() {
		over = a.UsedAt
	}
	switch {
	case kind == audit.ResetRefused && !at.Before(a.MadeAt) && at.Before(over):
		a.reach(Sent)
	case kind == audit.SignedIn && !a.UsedAt.IsZero() && !at.Before(a.UsedAt) && at.Before(a.UsedAt.Add(settledAfter)) && a.signedInAt.IsZero():
		a.signedInAt = at
	}
}
