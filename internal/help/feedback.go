package help

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/proofofwork"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/throttle"
)

// Reason is why an article did not help.
type Reason string

// The reasons. Their texts are stored: add, never rename.
const (
	StepsFail   Reason = "steps"
	NotMyCase   Reason = "case"
	HardToRead  Reason = "unclear"
	OutOfDate   Reason = "outdated"
	NotFound    Reason = "screens"
	OtherReason Reason = "other"
)

// Reasons lists them in the order they are offered, in words.
var Reasons = []struct {
	Reason Reason
	Words  string
}{
	{StepsFail, "I followed the steps and they did not work"},
	{NotMyCase, "My case is not in it"},
	{HardToRead, "It is hard to follow"},
	{NotFound, "I could not find the screens it speaks of"},
	{OutOfDate, "Something in it is wrong or out of date"},
	{OtherReason, "Something else"},
}

// Words is the reason as people read it.
func (r Reason) Words() string {
	for _, known := range Reasons {
		if known.Reason == r {
			return known.Words
		}
	}
	return string(r)
}

// Reader is who gives feedback.
type Reader struct {
	access.Actor        // zero User for somebody who is not signed in
	Browser      string // the cookie of an earlier answer, or ""
}

// Opinion is an answer to "Was this article helpful?".
type Opinion struct {
	Helpful bool
	Reasons []Reason // where it was not
	Remark  string
	Proof   string // of work; not asked of somebody who is signed in
}

const (
	// MostRemark bounds a remark, in characters.
	MostRemark = 2_000
	// readersPerHour is how many new readers one network may bring in an hour.
	readersPerHour = 30
	use            = "help"
)

// The sentences of a refused opinion: the article's own words.
const (
	NoReason = "Select at least one of the reasons"
	NoProof  = "CAPTCHA verification is required."
)

// Challenge gives the work that feedback without a session costs.
func (h *Help) Challenge(env environment.Environment) (proofofwork.Challenge, error) {
	return proofofwork.Ask(h.key(), usedAt(env), proofofwork.Light, h.DB.Now())
}

func (h *Help) key() secret.PurposeKey { return h.Ring.Cookie(proofofwork.Purpose) }

// usedAt binds a proof to the environment whose memory knows whether it was used.
func usedAt(env environment.Environment) string { return use + " " + string(env.ID) }

// Say stores what a reader says of an article; saying it again replaces it, but
// for a remark, which only another remark replaces. It gives the text of the
// cookie that recognises the browser next time.
// Faults are about the fields "reasons", "remark" and "altcha"; Throttled if one
// network brings too many new readers.
func (h *Help) Say(ctx context.Context, reader Reader, env environment.Environment, name string, o Opinion) (string, error) {
	if _, err := h.Article(ctx, reader.Actor, env, name); err != nil {
		return "", err
	}
	proof, err := h.check(reader, env, &o)
	if err != nil {
		return "", err
	}
	browser := h.known(env, reader.Browser)
	fresh := browser == ""
	if fresh {
		browser = secret.NewToken()[:22]
	}
	err = h.DB.Update(ctx, func(tx *db.Tx) error {
		if err := spend(tx, env.ID, proof); err != nil {
			return err
		}
		if fresh && reader.User == "" && !h.NoLimits {
			if err := limit(tx, env, reader.Network); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO help_feedback (environment_id, article, reader, helpful, reasons, remark, signed_in, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (environment_id, article, reader) DO UPDATE SET
			helpful = excluded.helpful, reasons = excluded.reasons,
			remark = CASE WHEN excluded.remark = '' THEN help_feedback.remark ELSE excluded.remark END, signed_in = excluded.signed_in, at = excluded.at`,
			env.ID, name, h.who(env, reader.User, browser), o.Helpful, joined(o.Reasons), o.Remark, reader.User != "", tx.Now())
		return err
	})
	return browser + "." + h.mac(env, browser), err
}

// who is a reader as an answer names them: the user, or the browser of somebody
// who is not signed in.
func (h *Help) who(env environment.Environment, user id.User, browser string) string {
	if user != "" {
		return secret.Sign(h.browserKey(), "help user", string(env.ID), string(user))
	}
	return secret.Sign(h.browserKey(), "help browser", string(env.ID), browser)
}

// Earlier is what a reader said of an article before.
type Earlier struct {
	Answered bool
	Remarked bool // wrote something, too
}

// Earlier tells whether the reader's next answer takes the place of another.
func (h *Help) Earlier(ctx context.Context, reader Reader, env environment.Environment, name string) (Earlier, error) {
	browser := h.known(env, reader.Browser)
	if reader.User == "" && browser == "" {
		return Earlier{}, nil
	}
	var e Earlier
	err := h.DB.View(ctx, func(tx *db.Tx) error {
		remark, err := db.One[string](tx, "SELECT remark FROM help_feedback WHERE environment_id = $1 AND article = $2 AND reader = $3",
			env.ID, name, h.who(env, reader.User, browser))
		if errors.Is(err, db.ErrNone) {
			return nil
		}
		e = Earlier{Answered: err == nil, Remarked: remark != ""}
		return err
	})
	return e, err
}

// check reads the opinion, and the proof where one is needed.
func (h *Help) check(reader Reader, env environment.Environment, o *Opinion) (proofofwork.Proof, error) {
	var none proofofwork.Proof
	if o.Helpful {
		*o = Opinion{Helpful: true}
		return none, nil
	}
	var fields []fault.Field
	o.Reasons = slices.DeleteFunc(slices.Clone(o.Reasons), func(r Reason) bool { return r.Words() == string(r) })
	if len(o.Reasons) == 0 {
		fields = append(fields, fault.Field{Name: "reasons", Reason: NoReason})
	}
	o.Remark = strings.TrimSpace(strings.ReplaceAll(o.Remark, "\r\n", "\n"))
	if utf8.RuneCountInString(o.Remark) > MostRemark || strings.ContainsFunc(o.Remark, func(c rune) bool { return c != '\n' && c != '\t' && unicode.IsControl(c) }) {
		fields = append(fields, fault.Field{Name: "remark", Reason: "A remark has at most 2,000 characters, and plain ones."})
	}
	proof := none
	if reader.User == "" {
		var err error
		if proof, err = proofofwork.Check(h.key(), usedAt(env), o.Proof, h.DB.Now()); err != nil {
			fields = append(fields, fault.Field{Name: "altcha", Reason: NoProof})
		}
	}
	if len(fields) > 0 {
		return none, &fault.Error{Kind: fault.Invalid, Sentence: fields[0].Reason, Fields: fields}
	}
	return proof, nil
}

// spend uses a proof, once.
func spend(tx *db.Tx, env id.Environment, p proofofwork.Proof) error {
	if p.ID == "" {
		return nil
	}
	n, _, err := throttle.Count(tx, env, "proof:"+p.ID, p.Ends.Sub(tx.Now())+time.Minute)
	if err == nil && n > 1 {
		err = fault.InvalidField("altcha", NoProof)
	}
	return err
}

func limit(tx *db.Tx, env environment.Environment, network string) error {
	n, ends, err := throttle.Count(tx, env.ID, "help:"+network, time.Hour)
	if err == nil && n > readersPerHour*env.Policy.Times(network) {
		err = fault.Throttle(ends.Sub(tx.Now()), "Much feedback came from your network in the last hour. Thank you; please come back later.")
	}
	return err
}

func joined(reasons []Reason) string {
	var names []string
	for _, known := range Reasons {
		if slices.Contains(reasons, known.Reason) {
			names = append(names, string(known.Reason))
		}
	}
	return strings.Join(names, ",")
}

func (h *Help) browserKey() secret.PurposeKey { return h.Ring.Cookie(secret.Browser) }

func (h *Help) mac(env environment.Environment, browser string) string {
	return secret.Sign(h.browserKey(), "help cookie", string(env.ID), browser)
}

// known gives the browser that a cookie of ours names, or "".
func (h *Help) known(env environment.Environment, cookie string) string {
	browser, mac, _ := strings.Cut(cookie, ".")
	if !secret.Signed(h.browserKey(), mac, "help cookie", string(env.ID), browser) {
		return ""
	}
	return browser
}
