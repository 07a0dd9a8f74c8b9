package usermanager_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/story"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// world is environment acme with Ada (Client Admin), Henry (help desk) and Jane
// (member), and environment other with its own admin.
type world struct {
	*usermanager.UserManager
	t                *testing.T
	ahead            atomic.Int64
	env, elsewhere   environment.Environment
	ada, henry, jane user.User
	admin, helpdesk  access.Actor
	stranger         access.Actor // admin of the other environment
}

// eachDB runs a test on both engines; on SQLite alone with -short.
func eachDB(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) { test(t, newWorld(t, engine)) })
}

func newWorld(t *testing.T, engine string) *world {
	t.Helper()
	w := &world{t: t}
	clock := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	d := database.Open(t, engine, clock)
	_, err := keyring.Open(t.Context(), d, filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	w.UserManager = &usermanager.UserManager{
		DB: d, Hasher: password.NewHasher(password.Options{Memory: 64, Time: 1}),
		Servers: func(*db.Tx) (story.Servers, error) { return story.Servers{}, nil },
	}
	w.update(func(tx *db.Tx) (err error) {
		if w.env, err = environment.Create(tx, "acme", "Acme"); err != nil {
			return err
		}
		w.elsewhere, err = environment.Create(tx, "other", "Other")
		return err
	})
	w.ada = w.add("ada@acme.example", "Ada Admin", access.ClientAdmin, user.Active)
	w.henry = w.add("henry@acme.example", "Henry Helpdesk", access.Helpdesk, user.Active)
	w.jane = w.add("jane@acme.example", "Jane Doe", access.Member, user.Active)
	w.admin, w.helpdesk = w.actor(w.ada), w.actor(w.henry)
	w.stranger = access.Actor{Environment: w.elsewhere.ID, User: id.New[id.User](), Name: "Eve", Role: access.ClientAdmin}
	return w
}

func (w *world) actor(u user.User) access.Actor {
	return access.Actor{Environment: w.env.ID, User: u.ID, Name: u.Name, Role: u.Role}
}

func (w *world) add(email, name string, role access.Role, state user.State) user.User {
	w.t.Helper()
	a, err := address.Parse(email)
	require.NoError(w.t, err)
	n := user.New{Email: a, Name: name, Role: role, State: state}
	if state == user.Active {
		n.PasswordHash = "stored"
	}
	var u user.User
	w.update(func(tx *db.Tx) error { u, err = user.Create(tx, w.env.ID, n); return err })
	return u
}

func (w *world) update(fn func(tx *db.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.DB.Update(w.t.Context(), fn))
}

// mailLink makes what an asking makes.
func (w *world) mailLink(u user.User) {
	w.t.Helper()
	w.update(func(tx *db.Tx) error {
		t, err := token.Open(tx, w.env.ID, u.ID, secret.Reset)
		if err != nil {
			return err
		}
		return notice.ResetLink(tx, w.env, notice.To{User: u.ID, Name: u.Name, Email: u.Email}, t, time.Hour, access.Actor{})
	})
}

func (w *world) signIn(u user.User) {
	w.t.Helper()
	w.update(func(tx *db.Tx) error {
		_, _, err := session.Start(tx, w.env.ID, u.ID, session.Life{Idle: time.Hour, Most: time.Hour}, access.From{})
		return err
	})
}

func (w *world) policy(name, value string) {
	w.t.Helper()
	var err error
	w.env.Policy, err = w.env.Policy.With(name, value)
	require.NoError(w.t, err)
}

func (w *world) user(u user.User) usermanager.Details {
	w.t.Helper()
	d, err := w.User(w.t.Context(), access.Operator(), w.env, u.ID)
	require.NoError(w.t, err)
	return d
}

// mails gives the kinds of the messages about a user with their addresses, newest first.
func (w *world) mails(u user.User) []string {
	w.t.Helper()
	var all []string
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) error {
		found, err := outbox.OfUser(tx, w.env.ID, u.ID, 100)
		for _, m := range found {
			all = append(all, m.Kind+" "+m.ToEmail)
		}
		return err
	}))
	return all
}

func (w *world) denied(err error) {
	w.t.Helper()
	require.True(w.t, fault.Is(err, fault.Denied), "%v", err)
}

func (w *world) conflict(err error) {
	w.t.Helper()
	require.True(w.t, fault.Is(err, fault.Conflict), "%v", err)
}

func (w *world) notFound(err error) {
	w.t.Helper()
	require.True(w.t, fault.Is(err, fault.NotFound), "%v", err)
}
