package delivery

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/story"
	"github.com/sparekey/sparekey/internal/token"
)

// Verdict is what became of news.
type Verdict string

// The verdicts.
const (
	Taken     Verdict = "taken"
	Replayed  Verdict = "replayed"  // the same was taken before
	Forged    Verdict = "forged"    // nothing proves that it is about a mail of ours
	Late      Verdict = "late"      // the mail is too old for it
	Unmatched Verdict = "unmatched" // its mail is not known, or no longer
	Ignored   Verdict = "ignored"   // it says nothing we keep
)

// Took tells what came and what became of it.
type Took struct {
	Kind    dsn.Kind
	Verdict Verdict
}

// believedFor is how long after a mail left news about it are believed. Servers
// try for five days (RFC 5321 section 4.5.4.1), and a forward may begin anew.
const believedFor = 7 * 24 * time.Hour

// news is what a returned mail or an event of a provider says about one mail.
type news struct {
	report   outbox.Report
	found    diagnosis.Finding
	provider string // whose own list keeps the address, or ""
	// behind is the last answer behind a delay or a giving up, where one is told.
	behind diagnosis.Class
}

// forOperators is what the people who run the server learn from: behind many
// delays may be one cause.
func (n news) forOperators() diagnosis.Finding {
	f := n.found
	if n.behind == diagnosis.Unreachable || n.behind == diagnosis.RateLimited {
		f.Class = n.behind
	}
	return f
}

// take keeps news about a message and draws the consequences.
func take(tx *db.Tx, env id.Environment, m outbox.Message, n news) (Verdict, error) {
	left := m.AcceptedAt
	if left.IsZero() { // its outcome was unknown, and this is the answer
		left = m.MadeAt
	}
	if tx.Now().Sub(left) > believedFor {
		return Late, nil
	}
	n.clean()
	r := n.report
	r.Message, r.User = m.ID, m.User
	r.Class, r.Hard, r.Code, r.Status, r.Reply = string(n.found.Class), n.found.Hard, n.found.Code, n.found.Enhanced, n.found.Reply
	if r.At.Before(m.MadeAt) || r.At.After(tx.Now()) { // who reports has another clock, or none
		r.At = tx.Now()
	}
	fresh, err := outbox.RecordReport(tx, env, r)
	if err != nil {
		return "", err
	}
	if !fresh {
		if dsn.Kind(r.Kind) == dsn.Delay { // told again after a while, it is a long one by now
			err = heed(tx, env, m, n)
		}
		return Replayed, err
	}
	if arrived := dsn.Kind(r.Kind) == dsn.Delivered || dsn.Kind(r.Kind) == dsn.AutoReply; arrived && m.AcceptedAt.IsZero() {
		if err := outbox.Took(tx, env, m, r.At); err != nil {
			return "", err
		}
	}
	err = alarm.Notice(tx, alarm.Answer{Finding: n.forOperators(), Server: r.Reporter, Domain: address.Domain(m.ToEmail), MadeAt: m.MadeAt})
	if err != nil {
		return Taken, err
	}
	return Taken, heed(tx, env, m, n)
}

// enhanced is a status code as RFC 3463 writes it.
var enhanced = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)

// clean bounds what others wrote. It may quote our mail, with its link and code.
func (n *news) clean() {
	n.found.Reply = relay.Clean(n.found.Reply)
	r := &n.report
	if a, err := address.Parse(strings.Trim(r.Recipient, "<> ")); err == nil {
		r.Recipient = a.Mail // one domain may be written in two ways
	}
	r.Reporter, r.Recipient = clipped(relay.Clean(r.Reporter)), clipped(relay.Clean(r.Recipient))
	if !enhanced.MatchString(n.found.Enhanced) {
		n.found.Enhanced = ""
	}
	if n.found.Code < 200 || n.found.Code > 599 {
		n.found.Code = 0
	}
	if sum := sha256.Sum256([]byte(r.Fingerprint)); len(r.Fingerprint) > maxName {
		r.Fingerprint = base64.RawURLEncoding.EncodeToString(sum[:])
	}
}

// maxName bounds the name of a mailbox or a server (RFC 5321 section 4.5.3.1).
const maxName = 320

func clipped(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxName)], "") }

// heed draws the consequences of news. A mail whose link a person opened before
// did arrive: what comes back then is about a copy or a forward.
func heed(tx *db.Tx, env id.Environment, m outbox.Message, n news) error {
	switch dsn.Kind(n.report.Kind) {
	case dsn.Delivered:
		return delivered(tx, env, m)
	case dsn.Complaint:
		if err := stopMail(tx, env, m, n.found, n.provider); err != nil {
			return err
		}
		return needsHelp(tx, env, m, cases.Bounced)
	case dsn.Bounce, dsn.Delay:
		arrived, err := opened(tx, env, m)
		if err != nil || arrived {
			return err
		}
		if dsn.Kind(n.report.Kind) == dsn.Delay {
			if tx.Now().Sub(m.MadeAt) < waitsLong { // a greylist, most likely
				return nil
			}
			return needsHelp(tx, env, m, cases.Waiting)
		}
		if n.found.Suppresses() && !diagnosis.PassedOn(n.report.Recipient, m.ToEmail) {
			if err := stopMail(tx, env, m, n.found, n.provider); err != nil {
				return err
			}
		}
		return needsHelp(tx, env, m, cases.Bounced)
	}
	return nil
}

// delivered ends the waiting of a mail's reader, and of one whose mail came back
// before and got there after all.
func delivered(tx *db.Tx, env id.Environment, m outbox.Message) error {
	recovers, err := waitedFor(tx, env, m)
	if err != nil || !recovers {
		return err
	}
	if err := cases.Arrived(tx, env, m.User, cases.Waiting); err != nil {
		return err
	}
	back, err := outbox.CameBack(tx, env, m.User, tx.Now().Add(-believedFor))
	if err != nil || back {
		return err
	}
	return cases.Arrived(tx, env, m.User, cases.Bounced)
}

// opened tells whether a person opened a link of the mail, as far as is known by
// now: a filter with the name of a browser shows only later that it was none.
func opened(tx *db.Tx, env id.Environment, m outbox.Message) (bool, error) {
	for _, link := range []string{m.Link, m.NotMe} {
		if link == "" {
			continue
		}
		l, err := token.FindLink(tx, env, link)
		if errors.Is(err, db.ErrNone) {
			continue
		}
		if err != nil {
			return false, err
		}
		if l.OpenedAt.IsZero() {
			continue
		}
		if person, err := byPerson(tx, env, m, l); err != nil || person {
			return person, err
		}
	}
	return false, nil
}

// byPerson guesses as the pages do. An opening of which no more was kept than that
// it was no scanner's counts as a person's.
func byPerson(tx *db.Tx, env id.Environment, m outbox.Message, l token.Link) (bool, error) {
	looks, err := token.Looks(tx, env, []string{l.ID})
	if err != nil || len(looks) == 0 {
		return err == nil, err
	}
	t, _, err := token.Find(tx, env, l.ID)
	if err != nil && !errors.Is(err, db.ErrNone) {
		return false, err
	}
	around := diagnosis.Around{AcceptedAt: m.AcceptedAt, FormAt: t.UsedAt, Now: tx.Now()}
	for _, look := range looks {
		around.Opens = append(around.Opens, story.Open(look))
	}
	return slices.ContainsFunc(around.Opens, func(o diagnosis.Open) bool {
		return diagnosis.Look(o, around).By == diagnosis.ByPerson
	}), nil
}
