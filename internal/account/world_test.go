package account_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/account"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

const passphrase = "spare key under the mat"

// world is an environment with Jane, who is signed in twice, and Bob.
type world struct {
	*account.Account
	t            *testing.T
	ahead        atomic.Int64
	env          environment.Environment
	jane, bob    user.User
	here, there  session.Session
	hereText     string
	actor, other access.Actor
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
	ring, err := keyring.Open(t.Context(), d, filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	w.Account = &account.Account{DB: d, Ring: ring, Hasher: password.NewHasher(password.Options{Memory: 64, Time: 1})}
	hash, err := w.Hasher.Hash(t.Context(), passphrase)
	require.NoError(t, err)
	w.update(func(tx *db.Tx) (err error) {
		if w.env, err = environment.Create(tx, "acme", "Acme"); err != nil {
			return err
		}
		w.jane = w.add(tx, "jane@acme.example", "Jane Doe", hash)
		w.bob = w.add(tx, "bob@acme.example", "Bob Builder", hash)
		life := session.Life{Idle: time.Hour, Most: 24 * time.Hour}
		if _, w.there, err = session.Start(tx, w.env.ID, w.jane.ID, life, access.From{Network: "192.0.2.1", Agent: "Phone"}); err != nil {
			return err
		}
		w.hereText, w.here, err = session.Start(tx, w.env.ID, w.jane.ID, life, access.From{Network: "192.0.2.2", Agent: "Desk"})
		return err
	})
	w.actor = access.Actor{Environment: w.env.ID, User: w.jane.ID, Name: w.jane.Name, Role: w.jane.Role, From: access.From{Network: "192.0.2.2", Agent: "Desk"}}
	w.other = access.Actor{Environment: w.env.ID, User: w.bob.ID, Name: w.bob.Name, Role: w.bob.Role}
	return w
}

func (w *world) add(tx *db.Tx, email, name, hash string) user.User {
	a, err := address.Parse(email)
	require.NoError(w.t, err)
	n := user.New{Email: a, Name: name, Role: access.Member, State: user.Invited}
	if hash != "" {
		n.State, n.PasswordHash, n.PasswordShape = user.Active, hash, password.Shape(hash)
	}
	u, err := user.Create(tx, w.env.ID, n)
	require.NoError(w.t, err)
	return u
}

func (w *world) update(fn func(tx *db.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.DB.Update(w.t.Context(), fn))
}

func (w *world) find(u id.User) user.User {
	w.t.Helper()
	var found user.User
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) (err error) {
		found, err = user.Find(tx, w.env.ID, u)
		return err
	}))
	return found
}

// sessions gives Jane's.
func (w *world) sessions() (live []session.Session) {
	w.t.Helper()
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) (err error) {
		live, err = session.OfUser(tx, w.env.ID, w.jane.ID)
		return err
	}))
	return live
}

// mails gives the kinds of the messages about a user with their addresses, oldest first.
func (w *world) mails(u id.User) []string {
	w.t.Helper()
	var all []string
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) error {
		found, err := outbox.OfUser(tx, w.env.ID, u, 100)
		for _, m := range found {
			all = append([]string{m.Kind + " " + m.ToEmail}, all...)
		}
		return err
	}))
	return all
}

// confirmLink gives the text of the newest confirmation link of a user, and
// whether it works.
func (w *world) confirmLink(u id.User) (string, bool) {
	w.t.Helper()
	var l token.Link
	works := false
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) error {
		link, err := db.One[string](tx, `SELECT id FROM links WHERE environment_id = $1 AND user_id = $2 AND purpose = 'confirm'
			ORDER BY made_at DESC LIMIT 1`, w.env.ID, u)
		if err != nil {
			return err
		}
		l, err = token.FindLink(tx, w.env.ID, link)
		works = token.Judge(token.Token{}, l, tx.Now()) == token.Works
		return err
	}))
	link, err := l.LinkID()
	require.NoError(w.t, err)
	text, err := w.Ring.Text(w.t.Context(), secret.Confirm, w.env.ID, uint8(l.KeyID), link)
	require.NoError(w.t, err)
	return text, works
}
