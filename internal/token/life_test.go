package token_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// modelLink and modelToken are the life of a token told a second time, in the
// simplest words: what happened to it, and when.
type modelLink struct {
	id     string
	token  *modelToken
	endsAt time.Time
	ended  bool
}

type modelToken struct{ used, revoked bool }

func (l modelLink) verdict(now time.Time) token.Verdict {
	switch {
	case l.token.used:
		return token.Used
	case l.token.revoked || l.ended:
		return token.Cancelled
	case !now.Before(l.endsAt):
		return token.Expired
	}
	return token.Works
}

// world is one user whose token lives through random actions.
type world struct {
	d     *db.DB
	env   id.Environment
	user  id.User
	now   time.Time
	open  *modelToken
	links []modelLink
}

func (w *world) update(t require.TestingT, fn func(tx *db.Tx) error) {
	require.NoError(t, w.d.Update(context.Background(), fn))
}

func (w *world) check(t *rapid.T) {
	works := 0
	w.update(t, func(tx *db.Tx) error {
		for _, l := range w.links {
			tok, link, err := token.Find(tx, w.env, l.id)
			require.NoError(t, err)
			got := token.Judge(tok, link, tx.Now())
			require.Equal(t, l.verdict(tx.Now()), got)
			if got == token.Works {
				works++
			}
		}
		live, ok, err := token.Live(tx, w.env, w.user)
		require.NoError(t, err)
		require.Equal(t, works > 0, ok, "a user has a token while one of its links works")
		require.Len(t, live.Links, works, "all links that work belong to the one live token")
		return nil
	})
}

func TestTheLifeOfATokenFollowsItsModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		w.update(t, func(tx *db.Tx) error { // every run begins with nothing open
			_, err := token.Revoke(tx, w.env, w.user, "new run")
			return err
		})
		w.open, w.links = nil, nil
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				life := time.Duration(rapid.IntRange(10, 24*60).Draw(t, "minutes")) * time.Minute
				w.update(t, func(tx *db.Tx) error {
					tok, err := token.Open(tx, w.env, w.user, secret.Reset)
					require.NoError(t, err)
					require.Equal(t, w.open == nil, tok.Fresh, "at most one token is open")
					if tok.Fresh {
						w.open = &modelToken{}
					}
					ends := tx.Now().Add(life)
					l, err := token.AddLink(tx, w.env, token.NewLink{Purpose: secret.Reset, Token: tok.ID, User: w.user, Channel: token.Mail, EndsAt: ends})
					require.NoError(t, err)
					w.links = append(w.links, modelLink{id: l.ID, token: w.open, endsAt: ends})
					return nil
				})
			},
			"use a link": func(t *rapid.T) {
				if len(w.links) == 0 {
					t.Skip("no link")
				}
				l := rapid.SampledFrom(w.links).Draw(t, "link")
				w.update(t, func(tx *db.Tx) error {
					tok, link, err := token.Find(tx, w.env, l.id)
					require.NoError(t, err)
					if token.Judge(tok, link, tx.Now()) != token.Works {
						return nil
					}
					won, err := token.Use(tx, w.env, tok.ID, "operation", "browser")
					require.NoError(t, err)
					require.True(t, won)
					again, err := token.Use(tx, w.env, tok.ID, "other", "browser")
					require.NoError(t, err)
					require.False(t, again, "a token is used once")
					l.token.used = true
					w.open = nil
					return nil
				})
			},
			"revoke": func(t *rapid.T) {
				w.update(t, func(tx *db.Tx) error {
					revoked, err := token.Revoke(tx, w.env, w.user, "test")
					require.NoError(t, err)
					require.Equal(t, w.open != nil, revoked)
					if w.open != nil {
						w.open.revoked = true
						w.open = nil
					}
					return nil
				})
			},
			"end one link": func(t *rapid.T) {
				if len(w.links) == 0 {
					t.Skip("no link")
				}
				i := rapid.IntRange(0, len(w.links)-1).Draw(t, "link")
				w.update(t, func(tx *db.Tx) error {
					ended, err := token.EndLink(tx, w.env, w.user, w.links[i].id, "test")
					require.NoError(t, err)
					require.Equal(t, !w.links[i].ended && tx.Now().Before(w.links[i].endsAt), ended)
					w.links[i].ended = w.links[i].ended || ended
					return nil
				})
			},
			"time passes": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 20*60).Draw(t, "minutes")) * time.Minute)
			},
			"": w.check,
		})
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	folder := t.TempDir()
	var err error
	w.d, err = db.Open(t.Context(), db.Config{Engine: "sqlite", DSN: filepath.Join(folder, "x.db"), Clock: func() time.Time { return w.now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.d.Close()) })
	_, err = w.d.Migrate(t.Context())
	require.NoError(t, err)
	_, err = keyring.Open(t.Context(), w.d, filepath.Join(folder, "key"))
	require.NoError(t, err)
	w.update(t, func(tx *db.Tx) error {
		env, err := environment.Create(tx, "acme", "Acme")
		require.NoError(t, err)
		a, err := address.Parse("jane@acme.example")
		require.NoError(t, err)
		u, err := user.Create(tx, env.ID, user.New{Email: a, Name: "Jane", Role: access.Member, State: user.Active})
		w.env, w.user = env.ID, u.ID
		return err
	})
	return w
}

// TestJudgeInOrder says which of several reasons counts.
func TestJudgeInOrder(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	past, future := now.Add(-time.Minute), now.Add(time.Minute)
	for _, c := range []struct {
		name string
		t    token.Token
		l    token.Link
		want token.Verdict
	}{
		{"works", token.Token{}, token.Link{EndsAt: future}, token.Works},
		{"ends at its very moment", token.Token{}, token.Link{EndsAt: now}, token.Expired},
		{"used counts before expired", token.Token{UsedAt: past}, token.Link{EndsAt: past}, token.Used},
		{"cancelled counts before expired", token.Token{RevokedAt: past}, token.Link{EndsAt: past}, token.Cancelled},
		{"its key has leaked", token.Token{}, token.Link{EndsAt: future, KeyRevokedAt: past}, token.Cancelled},
		{"ended alone", token.Token{}, token.Link{EndsAt: future, EndedAt: past}, token.Cancelled},
	} {
		require.Equal(t, c.want, token.Judge(c.t, c.l, now), c.name)
	}
}
