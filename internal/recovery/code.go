package recovery

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Limits on wrong codes.
const (
	triesOfBrowser    = 5 // by a browser that asked for this address
	triesOfOthers     = 5 // by all other browsers together
	triesFor          = 24 * time.Hour
	wrongOfNetwork    = 20 // an hour
	wrongOfEverywhere = 200
	codesThatFit      = 2 // of the newest mails
)

// errCode is the one answer to every code that does not fit, whatever the
// reason, so that it tells nothing about the address.
var errCode = fault.InvalidField("code", "This code does not fit, or can no longer be used. A code takes five tries; the link in the mail works as well.")

// Code says what was typed on the page for codes.
type Code struct {
	Email, Code string
	Browser     string // names a browser that asked for this address, or ""
	From        access.From
}

// EnterCode exchanges a right code for a link of 15 minutes on the same token.
// The try is spent by a commit of its own before the code is looked at.
func (r *Recovery) EnterCode(ctx context.Context, env environment.Environment, typed Code) (string, error) {
	a, err := address.Parse(typed.Email)
	digits := secret.ReadCode(typed.Code)
	if err != nil || digits == "" { // nothing that could fit: no try is spent
		return "", errCode
	}
	allowed, err := r.spendTry(ctx, env, a.Key, typed)
	if err != nil {
		return "", err
	}
	if !allowed {
		return "", errCode
	}
	u, fits, err := r.codeFits(ctx, env, a.Key, digits)
	if err != nil {
		return "", err
	}
	if !fits {
		return "", errCode
	}
	return r.linkForCode(ctx, env, u, typed)
}

func (r *Recovery) spendTry(ctx context.Context, env environment.Environment, key string, typed Code) (bool, error) {
	allowed := true
	err := r.DB.Update(ctx, func(tx *db.Tx) error {
		allowed = true
		tries := triesOfOthers
		if typed.Browser != "" {
			tries = triesOfBrowser
		}
		for _, limit := range []struct {
			subject string
			window  time.Duration
			most    int
		}{
			{codeSubject(key, typed.Browser), triesFor, tries},
			{"code-network:" + typed.From.Network, time.Hour, wrongOfNetwork * env.Policy.Times(typed.From.Network)},
			{"code-everywhere", time.Hour, wrongOfEverywhere},
		} {
			n, _, err := throttle.Count(tx, env.ID, limit.subject, limit.window)
			if err != nil {
				return err
			}
			// The limits of everybody are not for one network to use up.
			if allowed = n <= limit.most; !allowed {
				return nil
			}
		}
		return nil
	})
	return allowed, err
}

func codeSubject(key, browser string) string {
	if browser == "" {
		return "code:" + key
	}
	return "code:" + key + ":" + browser
}

// codeFits compares with the codes of the newest mails whose links work. For an
// address nobody has it does the same comparisons with codes of no link.
func (r *Recovery) codeFits(ctx context.Context, env environment.Environment, key, digits string) (user.User, bool, error) {
	var (
		u     user.User
		links []token.Link
	)
	err := r.DB.View(ctx, func(tx *db.Tx) (err error) {
		if u, err = user.FindByEmail(tx, env.ID, key); err != nil {
			return err
		}
		live, _, err := token.Live(tx, env.ID, u.ID)
		links = mailedLinks(live)
		return err
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return u, false, err
	}
	fits := 0
	for i := range codesThatFit {
		id, keyID, real := secret.LinkID{}, uint8(1), 0
		if i < len(links) {
			if id, err = links[i].LinkID(); err != nil {
				return u, false, err
			}
			keyID, real = uint8(links[i].KeyID), 1 //nolint:gosec // the table allows 1 to 255
		}
		code, err := r.Ring.Code(ctx, env.ID, keyID, id)
		if err != nil && real == 1 {
			return u, false, err
		}
		fits |= real & subtle.ConstantTimeCompare([]byte(code), []byte(digits))
	}
	return u, fits == 1 && u.State == user.Active, nil
}

func mailedLinks(live token.LiveToken) []token.Link {
	var mailed []token.Link
	for _, l := range live.Links {
		if l.Purpose == secret.Reset && (l.Channel == token.Mail || l.Channel == token.MailAgain) && len(mailed) < codesThatFit {
			mailed = append(mailed, l)
		}
	}
	return mailed
}

func (r *Recovery) linkForCode(ctx context.Context, env environment.Environment, u user.User, typed Code) (string, error) {
	var link token.Link
	err := r.DB.Update(ctx, func(tx *db.Tx) error {
		u, err := user.Lock(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		live, ok, err := token.Live(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		if !ok || len(mailedLinks(live)) == 0 || u.State != user.Active {
			return errCode // it ended this very moment
		}
		link, err = token.AddLink(tx, env.ID, token.NewLink{
			Purpose: secret.Reset, Token: live.ID, User: u.ID, Channel: token.ByCode, EndsAt: tx.Now().Add(token.CodeLife),
		})
		if err != nil {
			return err
		}
		for _, subject := range []string{"code-network:" + typed.From.Network, "code-everywhere"} {
			if err := throttle.GiveBack(tx, env.ID, subject); err != nil {
				return err
			}
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.CodeAccepted, User: u.ID, Actor: stranger(typed.From)})
	})
	if err != nil {
		return "", err
	}
	id, err := link.LinkID()
	if err != nil {
		return "", err
	}
	return r.Ring.Text(ctx, link.Purpose, env.ID, uint8(link.KeyID), id) //nolint:gosec // the table allows 1 to 255
}

// Browser makes the cookie text of a browser that asked for an address.
func (r *Recovery) Browser(env environment.Environment, key string) string {
	return r.Ring.NewBrowser(keyring.HasAsked, env.ID, key)
}

// KnownBrowser gives the name in such a cookie, or "" if it is not ours or was
// made for another address.
func (r *Recovery) KnownBrowser(env environment.Environment, typedEmail, cookie string) string {
	a, err := address.Parse(typedEmail)
	if err != nil {
		return ""
	}
	return r.Ring.KnownBrowser(keyring.HasAsked, env.ID, a.Key, cookie)
}
