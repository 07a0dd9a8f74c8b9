// Package canary walks through a reset of the server's own, the whole real way:
// it asks on the page, the mail goes out by the real servers and comes back to
// the listener for returned mail, and its link is opened and used. What breaks
// on that way, people meet too.
//
// canary.go: when a walk begins, how it stands. walk.go: the steps over HTTP.
//
// Each walk has a user of its own in the operators' environment, a member who
// may do nothing there, and takes away the one before: so no walk meets the
// limits of another, and nothing piles up. The mail may come back to any node;
// that one goes on with the walk. So nothing of the mail is kept, and the row in
// the database holds no secret.
package canary

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/user"
)

// Canary holds what walking needs.
type Canary struct {
	DB     *db.DB
	Ring   *keyring.Ring
	URL    *url.URL      // the public address, which the link in the mail begins with
	Domain string        // that returned mail comes in for
	Every  time.Duration // between two walks; 0 switches it off
	// At gives the address of our own pages, as this machine reaches them.
	At   func() string
	Log  *slog.Logger
	HTTP http.RoundTripper // nil: as usual

	arrived chan letter
}

// letter is a mail that came back.
type letter struct {
	walk string
	to   string
	raw  []byte
}

// patience is how long a mail may take there and back, where walks are as far
// apart; else until the next walk.
const patience = 3 * time.Minute

// mark begins the local part of a canary's address.
const mark = "canary-"

// New makes a canary that is ready to take mail.
func New(c Canary) *Canary {
	c.arrived = make(chan letter, 8)
	return &c
}

// Walk is how the newest walk stands.
type Walk struct {
	ID      string    `db:"walk"`
	DueAt   time.Time `db:"due_at"` // when the next one begins
	AskedAt time.Time `db:"asked_at"`
	EndedAt time.Time `db:"ended_at"` // zero while under way
	Problem string    `db:"problem"`  // of the newest one that has ended; "" if it was good
	Took    int64     `db:"took"`     // microseconds, of the newest good one
	GoodAt  time.Time `db:"good_at"`
}

const columns = "walk, due_at, asked_at, ended_at, problem, took, good_at"

// Newest gives how the newest walk stands; the zero Walk before the first.
func (c *Canary) Newest(ctx context.Context) (Walk, error) {
	var w Walk
	err := c.DB.View(ctx, func(tx *db.Tx) (err error) {
		w, err = newest(tx)
		return err
	})
	return w, err
}

func newest(tx *db.Tx) (Walk, error) {
	w, err := db.One[Walk](tx, "SELECT "+columns+" FROM canary WHERE one = 1")
	if errors.Is(err, db.ErrNone) {
		return Walk{}, nil
	}
	return w, err
}

// lookEvery is how often a node looks whether a walk is due or late.
const lookEvery = 2 * time.Second

// Run looks until ctx ends, and goes on with walks whose mail has come back.
func (c *Canary) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case l := <-c.arrived:
			err = c.goOn(ctx, l)
		case <-tick.C:
			err = c.Look(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("canary", "error", err)
		}
	}
}

// Look begins a walk that is due, ends one whose mail did not come back in time,
// and keeps the alarm up while the newest one is bad. Any number of nodes may do it.
func (c *Canary) Look(ctx context.Context) error {
	if c.Every == 0 {
		return nil
	}
	var (
		begun bool
		mine  Walk
	)
	err := c.DB.Update(ctx, func(tx *db.Tx) error {
		begun = false
		w, err := newest(tx)
		if err != nil {
			return err
		}
		if late := w.EndedAt.IsZero() && !w.AskedAt.IsZero() && tx.Now().Sub(w.AskedAt) > min(c.Every, patience); late {
			w.Problem = "The mail did not come back within " + words(min(c.Every, patience)) + "."
			if err := end(tx, w); err != nil {
				return err
			}
			w.EndedAt = tx.Now()
		}
		if w.Problem != "" {
			if err := alarm.Raise(tx, w.alarm()); err != nil {
				return err
			}
		}
		mine, begun, err = c.begin(tx, w)
		return err
	})
	if err != nil || !begun {
		return err
	}
	if err := c.ask(ctx, c.addressOf(mine.ID)); err != nil {
		return c.ended(ctx, mine.ID, fmt.Sprintf("Asking failed: %v.", err))
	}
	return nil
}

func words(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}

// begin takes a walk that is due; of several nodes one gets it.
func (c *Canary) begin(tx *db.Tx, w Walk) (Walk, bool, error) {
	if w.DueAt.After(tx.Now()) {
		return w, false, nil
	}
	w.ID = strings.ReplaceAll(string(id.New[id.Request]()), "-", "")
	if _, err := tx.Exec("INSERT INTO canary (one, due_at) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", tx.Now()); err != nil {
		return w, false, err
	}
	n, err := tx.Exec("UPDATE canary SET walk = $1, due_at = $2, asked_at = $3, ended_at = NULL WHERE one = 1 AND due_at <= $3",
		w.ID, tx.Now().Add(c.Every), tx.Now())
	if err != nil || n == 0 {
		return w, false, err
	}
	return w, true, c.newUser(tx, w.ID)
}

// newUser makes the user of a walk and takes away those of earlier ones, with all
// they left. Its events are no evidence of anything anybody did.
func (c *Canary) newUser(tx *db.Tx, walk string) error {
	const others = "SELECT id FROM users WHERE environment_id = $1 AND role = $2"
	for _, statement := range []string{
		"DELETE FROM events WHERE environment_id = $1 AND number IS NULL AND user_id IN (" + others + ")",
		"DELETE FROM users WHERE environment_id = $1 AND id IN (" + others + ")",
	} {
		if _, err := tx.Exec(statement, id.OperatorEnvironment, access.Member); err != nil {
			return err
		}
	}
	a, err := address.Parse(c.addressOf(walk))
	if err != nil {
		return fmt.Errorf("canary's address: %w", err)
	}
	_, err = user.Create(tx, id.OperatorEnvironment, user.New{Email: a, Name: "Canary", Role: access.Member, State: user.Active})
	return err
}

// addressOf gives the address of a walk, which nobody else can make up.
func (c *Canary) addressOf(walk string) string {
	return mark + walk + "-" + c.mac(walk) + "@" + c.Domain
}

// mac is in lower case, since some servers make it so; with walk and mark it
// stays below the 64 octets of RFC 5321 section 4.5.3.1.1.
func (c *Canary) mac(walk string) string {
	return hex.EncodeToString([]byte(secret.Sign(c.Ring.Cookie(secret.Returned), "canary", walk)))[:20]
}

// Has tells whether an address is a canary's that we made.
func (c *Canary) Has(to string) bool { return c.walkOf(to) != "" }

func (c *Canary) walkOf(to string) string {
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	rest, ok := strings.CutPrefix(local, mark)
	walk, _, _ := strings.Cut(rest, "-")
	if !ok || c.Every == 0 || !strings.EqualFold(domain, c.Domain) || !strings.EqualFold(to, c.addressOf(walk)) {
		return ""
	}
	return walk
}

// Take hands over a mail that came back. It does not wait; what comes too fast
// is dropped, for no canary gets that many.
func (c *Canary) Take(to string, raw []byte) {
	walk := c.walkOf(to)
	if walk == "" {
		return
	}
	select {
	case c.arrived <- letter{walk: walk, to: to, raw: raw}:
	default:
	}
}

// goOn walks from the mail to the end, and writes down how it went.
func (c *Canary) goOn(ctx context.Context, l letter) error {
	link := c.linkIn(l.raw)
	if link == "" {
		return nil // the notice of the new password, or a stranger's mail
	}
	w, err := c.Newest(ctx)
	if err != nil || w.ID != l.walk || !w.EndedAt.IsZero() {
		return err // it comes too late, or twice
	}
	if err := c.useLink(ctx, link, strings.ToLower(l.to)); err != nil {
		return c.ended(ctx, l.walk, fmt.Sprintf("The mail came back, and then: %v.", err))
	}
	return c.ended(ctx, l.walk, "")
}

// ended writes down how a walk went, if it is still the newest.
func (c *Canary) ended(ctx context.Context, walk, problem string) error {
	return c.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		w, err := newest(tx)
		if err != nil || w.ID != walk || !w.EndedAt.IsZero() {
			return err
		}
		w.Problem = problem
		if problem == "" {
			w.GoodAt, w.Took = tx.Now(), tx.Now().Sub(w.AskedAt).Microseconds()
		}
		if err := end(tx, w); err != nil {
			return err
		}
		if problem != "" {
			return alarm.Raise(tx, w.alarm())
		}
		err = alarm.Clear(tx, "", alarm.Canary, "")
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
}

func end(tx *db.Tx, w Walk) error {
	_, err := tx.Exec("UPDATE canary SET ended_at = $1, problem = $2, took = $3, good_at = $4 WHERE one = 1 AND walk = $5 AND ended_at IS NULL",
		tx.Now(), w.Problem, w.Took, w.GoodAt, w.ID)
	return err
}

func (w Walk) alarm() alarm.Alarm {
	return alarm.Alarm{
		Name: alarm.Canary, Severity: alarm.Urgent, Detail: w.Problem,
		Sentence: "The server's own reset did not go through, so people's may not either. Look at the mail servers, and check DNS and mail setup. " + w.Problem,
	}
}
