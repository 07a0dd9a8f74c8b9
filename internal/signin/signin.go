// Package signin lets users in and out: it checks the password, slows down
// guessing and starts, resumes and ends the session of a browser.
package signin

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// SignIn holds what its verbs need.
type SignIn struct {
	DB     *db.DB
	Ring   *keyring.Ring
	Hasher *password.Hasher
	// NoLimits lifts the limits on logging in, for load tests.
	NoLimits bool

	shapes sync.Map // id.Environment -> *counted
	turns  turns    // by environment and subject
}

// Limits on wrong passwords.
const (
	freeTries      = 10 // for one address, or one browser that knows it
	window         = 15 * time.Minute
	wrongOfNetwork = 100 // see Policy.Times
)

// ErrWrong is the one answer to a pair that does not fit, whatever the reason.
var ErrWrong = fault.New(fault.Invalid, "This e-mail address and password do not fit together.")

// Try is what the login form brings.
type Try struct {
	Email, Password string
	Device          string // cookie of a browser that has signed in as this address before, or ""
	From            access.From
}

// In is a browser signed in.
type In struct {
	User    user.User
	Session string // secret text for the cookie
	Device  string // secret text for the cookie that lets strangers' tries not count against this browser
	EndsAt  time.Time
}

// In checks an address and a password and starts a session.
// It refuses with ErrWrong, Throttled after too many tries (the password is not
// looked at), or Unavailable when too many wait.
func (s *SignIn) In(ctx context.Context, env environment.Environment, t Try) (In, error) {
	a, err := address.Parse(t.Email)
	if err != nil {
		// No user has such an address. It is tried like one nobody has.
		a = address.Address{Key: "?" + secret.Hash(t.Email)}
	}
	subject := "login:" + a.Key
	if s.KnownDevice(env, a.Key, t.Device) {
		subject += ":" + secret.Hash(t.Device)[:16]
	}
	network := "login-network:" + t.From.Network
	if !s.NoLimits {
		if err := s.mayTry(ctx, env, network, t.From.Network); err != nil {
			return In{}, err
		}
		leave, err := s.turns.take(ctx, string(env.ID)+" "+subject)
		if err != nil {
			return In{}, err
		}
		defer leave()
	}
	if err := s.spendTry(ctx, env, subject, network, t.From.Network); err != nil {
		return In{}, err
	}
	u, result, err := s.check(ctx, env, a.Key, t.Password)
	if err != nil {
		// The password was not looked at: the try does not count.
		return In{}, errors.Join(err, s.giveBack(ctx, env, subject, network))
	}
	if !result.OK || !u.MaySignIn() {
		return In{}, s.refuse(ctx, env, u, t)
	}
	hash := ""
	if result.Upgrade {
		hash, err = s.Hasher.Hash(ctx, t.Password)
		if err != nil && !fault.Is(err, fault.Unavailable) { // too much to do: the next login upgrades
			return In{}, err
		}
	}
	return s.start(ctx, env, u, hash, t, subject, network)
}

// mayTry keeps a network that is over its limit out of the line for an address:
// it would only make others wait.
func (s *SignIn) mayTry(ctx context.Context, env environment.Environment, networkSubject, network string) error {
	return s.DB.View(ctx, func(tx *db.Tx) error {
		n, ends, err := throttle.Counted(tx, env.ID, networkSubject)
		if err != nil || n < wrongOfNetwork*env.Policy.Times(network) {
			return err
		}
		return networkSlowed(ends.Sub(tx.Now()))
	})
}

// spendTry counts the try before the password is looked at.
func (s *SignIn) spendTry(ctx context.Context, env environment.Environment, subject, networkSubject, network string) error {
	if s.NoLimits {
		return nil
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, ends, err := throttle.Count(tx, env.ID, networkSubject, window)
		if err != nil {
			return err
		}
		if n > wrongOfNetwork*env.Policy.Times(network) {
			return networkSlowed(ends.Sub(tx.Now()))
		}
		wait, err := throttle.Slow(tx, env.ID, subject, freeTries, window)
		if err != nil || wait == 0 {
			return err
		}
		return slowed(wait, "There were many wrong passwords for this address.")
	})
}

func (s *SignIn) giveBack(ctx context.Context, env environment.Environment, subjects ...string) error {
	if s.NoLimits {
		return nil
	}
	return s.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		for _, subject := range subjects {
			if err := throttle.GiveBack(tx, env.ID, subject); err != nil {
				return err
			}
		}
		return nil
	})
}

func networkSlowed(wait time.Duration) error {
	return slowed(wait, "Too many wrong passwords came from your network.")
}

func slowed(wait time.Duration, why string) error {
	return fault.Throttle(wait, why+" Wait a little before the next try. “I forgot my password” stays open.")
}

// check costs one hash in every case, of a format that is in use.
func (s *SignIn) check(ctx context.Context, env environment.Environment, key, plain string) (user.User, password.Result, error) {
	var u user.User
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		u, err = user.FindByEmail(tx, env.ID, key)
		return err
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return u, password.Result{}, err
	}
	shape, err := s.decoyShape(ctx, env, key)
	if err != nil {
		return u, password.Result{}, err
	}
	if u.PasswordHash == "" {
		return u, password.Result{}, s.Hasher.VerifyDecoy(ctx, plain, shape)
	}
	result, err := s.Hasher.Verify(ctx, plain, u.PasswordHash)
	return u, result, err
}

// refuse writes the same for a known and an unknown address, so that time does
// not tell them apart.
func (s *SignIn) refuse(ctx context.Context, env environment.Environment, u user.User, t Try) error {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		return audit.Record(tx, env.ID, audit.Event{
			Kind: audit.SignInRefused, User: u.ID, Actor: access.Actor{From: t.From},
		})
	})
	if err != nil {
		return err
	}
	return ErrWrong
}

func (s *SignIn) start(ctx context.Context, env environment.Environment, u user.User, upgraded string, t Try, subject, networkSubject string) (In, error) {
	in := In{Device: t.Device}
	known := s.KnownDevice(env, u.EmailKey, t.Device)
	if !known {
		in.Device = s.NewDevice(env, u.EmailKey)
	}
	actor := access.Actor{Environment: env.ID, User: u.ID, Name: u.Name, Role: u.Role, From: t.From}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		now, err := user.Lock(tx, env.ID, u.ID)
		if err != nil {
			return err
		}
		if !now.MaySignIn() || now.PasswordHash != u.PasswordHash {
			return ErrWrong // changed while we were hashing
		}
		in.User = now
		if upgraded != "" {
			if err := user.UpgradePassword(tx, env.ID, now, upgraded, password.Shape(upgraded)); err != nil {
				return err
			}
		}
		if !s.NoLimits {
			// In the order of spendTry, or two logins would wait for each other.
			if err := throttle.GiveBack(tx, env.ID, networkSubject); err != nil {
				return err
			}
			if err := throttle.Lift(tx, env.ID, subject); err != nil {
				return err
			}
		}
		if !known {
			if err := tellOfNewBrowser(tx, env, now, actor); err != nil {
				return err
			}
		}
		life := session.Life{Idle: env.Policy.SessionIdle, Most: env.Policy.SessionLife}
		text, started, err := session.Start(tx, env.ID, u.ID, life, t.From)
		if err != nil {
			return err
		}
		in.Session, in.EndsAt = text, started.EndsAt
		if err := user.SignedIn(tx, env.ID, now); err != nil {
			return err
		}
		detail, err := afterReset(tx, env, now)
		if err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.SignedIn, User: u.ID, Actor: actor, Detail: detail})
	})
	return in, err
}

// afterReset says how long the way back was, at the first sign-in after a reset.
// u is as it was before this sign-in.
func afterReset(tx *db.Tx, env environment.Environment, u user.User) (audit.Detail, error) {
	t, err := token.UsedSince(tx, env.ID, u.ID, u.LastSignInAt)
	if errors.Is(err, db.ErrNone) {
		return nil, nil
	}
	if err != nil || t.Purpose != secret.Reset {
		return nil, err
	}
	return audit.Detail{audit.SinceAsked: strconv.Itoa(int(tx.Now().Sub(t.MadeAt).Seconds()))}, nil
}

// tellOfNewBrowser mails a user whose password was used on a browser that has
// not been seen before. The very first sign-in is no news.
func tellOfNewBrowser(tx *db.Tx, env environment.Environment, u user.User, from access.Actor) error {
	if u.LastSignInAt.IsZero() {
		return nil
	}
	seen, err := session.SeenBefore(tx, env.ID, u.ID, from.From)
	if err != nil || seen {
		return err
	}
	return notice.NewSignIn(tx, env, notice.To{User: u.ID, Name: u.Name, Email: u.Email}, from)
}

// NewDevice makes the cookie text of a browser that has signed in as this
// address, or has just reset its password.
func (s *SignIn) NewDevice(env environment.Environment, emailKey string) string {
	return s.Ring.NewBrowser(keyring.HasSignedIn, env.ID, emailKey)
}

// KnownDevice tells whether a cookie text is of NewDevice for this address.
func (s *SignIn) KnownDevice(env environment.Environment, emailKey, cookie string) bool {
	return s.Ring.KnownBrowser(keyring.HasSignedIn, env.ID, emailKey, cookie) != ""
}

// Resume finds the live session of a cookie; NotFound if there is none, with
// the reason as its sentence where it was ended.
func (s *SignIn) Resume(ctx context.Context, slug, cookie string) (session.Live, error) {
	var live session.Live
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		live, err = session.Resume(tx, slug, cookie)
		return err
	})
	if err != nil || !live.Stale(s.DB.Now()) {
		return live, err
	}
	touched := live
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		touched.SeenAt = tx.Now()
		return session.Touch(tx, live.Environment, live.User, live.Session)
	})
	if fault.Is(err, fault.Unavailable) { // on a full disk who is signed in stays so
		return live, nil
	}
	return touched, err
}

// Out ends the session.
func (s *SignIn) Out(ctx context.Context, live session.Live, actor access.Actor) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := user.Lock(tx, live.Environment, live.User); err != nil {
			return err
		}
		err := session.End(tx, live.Environment, live.User, live.Session, session.SignedOut)
		if fault.Is(err, fault.NotFound) {
			return nil // it has ended already
		}
		if err != nil {
			return err
		}
		return audit.Record(tx, live.Environment, audit.Event{Kind: audit.SignedOut, User: live.User, Actor: actor})
	})
}

// mix is which password formats an environment uses, and how often.
type mix struct {
	counts []user.ShapeCount
	total  int
	at     time.Time
}

// counted is the mix of an environment; one login at a time counts it.
type counted struct {
	mix      atomic.Pointer[mix]
	counting sync.Mutex
}

const mixFor = 10 * time.Minute

// decoyShape chooses the format that an address nobody has costs: by a keyed
// hash of the address, in the proportion in use, so that one address always
// costs the same and all together look like the users.
func (s *SignIn) decoyShape(ctx context.Context, env environment.Environment, key string) (string, error) {
	m, err := s.mix(ctx, env.ID)
	if err != nil || m.total == 0 {
		return s.Hasher.Shape(), err
	}
	chance := sha256.Sum256([]byte(secret.Sign(s.Ring.Cookie(secret.Decoy), string(env.ID), key)))
	at := int(binary.BigEndian.Uint64(chance[:]) % uint64(m.total)) //nolint:gosec // a count of users
	for _, c := range m.counts {
		if at -= c.Users; at < 0 {
			return c.Shape, nil
		}
	}
	return s.Hasher.Shape(), nil
}

// mix counts the formats now and then. One login counts; the others go on with
// the old counts meanwhile, and wait only where there are none.
func (s *SignIn) mix(ctx context.Context, env id.Environment) (*mix, error) {
	known, _ := s.shapes.LoadOrStore(env, &counted{})
	c := known.(*counted)
	old, now := c.mix.Load(), s.DB.Now()
	if old != nil && now.Sub(old.at) < mixFor {
		return old, nil
	}
	if old == nil {
		c.counting.Lock()
	} else if !c.counting.TryLock() {
		return old, nil
	}
	defer c.counting.Unlock()
	if m := c.mix.Load(); m != old {
		return m, nil // somebody else has just counted
	}
	m := &mix{at: now}
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		m.counts, err = user.Shapes(tx, env)
		return err
	})
	if err != nil {
		return m, err
	}
	for _, c := range m.counts {
		m.total += c.Users
	}
	c.mix.Store(m)
	return m, nil
}
