package usermanager_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// asked records an address that matched nobody.
func (w *world) asked(typed string) string {
	w.t.Helper()
	a, err := address.Parse(typed)
	require.NoError(w.t, err)
	w.update(func(tx *db.Tx) error {
		_, err := tx.Exec("INSERT INTO unmatched (environment_id, address_key, address, asked, first_at, last_at) VALUES ($1, $2, $3, 1, $4, $4)",
			w.env.ID, a.Key, a.Mail, tx.Now())
		return err
	})
	w.ahead.Add(int64(time.Second))
	return a.Key
}

func TestWhoWasProbablyMeant(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.add("marina@acme.example", "Marina", access.Member, user.Active)
		w.add("jo@acme.example", "Jo", access.Member, user.Active)
		w.add("jonathan.smith@acme.example", "Jonathan", access.Member, user.Active)
		w.add("dan@acme.example", "Dan", access.Member, user.Deactivated)
		w.add("martin@acme.example", "Martin", access.Member, user.Active)
		w.add("jjansen@acme.example", "J. Jansen", access.Member, user.Active)
		w.add("andreas@acme.example", "Andreas", access.Member, user.Active)
		w.add("müller.jürgen@acme.example", "Jürgen", access.Member, user.Active)
		w.add("andre.lefevre@acme.example", "André", access.Member, user.Active)
		w.add("strasser@acme.example", "Ines", access.Member, user.Active)
		married := w.add("maiden.name@elsewhere.example", "Jo", access.Member, user.Active)
		w.update(func(tx *db.Tx) error {
			next, err := address.Parse("another.one@third.example")
			require.NoError(t, err)
			_, err = user.SetEmail(tx, w.env.ID, married, next)
			return err
		})
		for typed, want := range map[string]string{
			"jane@acme.exampel":             "Jane Doe: same name, .exampel instead of .example",
			"jane@acne.example":             "Jane Doe: same name, acne.example instead of acme.example",
			"jane@gmail.com":                "Jane Doe: same name at acme.example",
			"jnae@acme.example":             "Jane Doe: one letter differs",
			"janee@acme.example":            "Jane Doe: one letter differs",
			"rnarina@acme.example":          "Marina: reads the same",
			"jonatan.smiht@acme.example":    "Jonathan: two letters differ",
			"jonathansmith@acme.example":    "Jonathan: reads the same",
			"martim@acme.example":           "Martin: one letter differs",
			"martni@acme.example":           "Martin: one letter differs",
			"jjanson@acme.example":          "J. Jansen: one letter differs",
			"andrea@acme.example":           "Andreas: one letter differs",
			"jane+news@acme.example":        "Jane Doe: the same but for what follows the plus",
			"muller.jurgen@acme.example":    "Jürgen: the same in plain letters",
			"muller.jurgn@acme.example":     "Jürgen: one letter differs",
			"andré.lefèvré@acme.example":    "André: the same in plain letters",
			"andré.lefèvre@gmail.com":       "André: same name at acme.example",
			"straßer@acme.example":          "Ines: the same in plain letters",
			"maiden.name@elsewhere.example": "Jo: their address before it changed",
			"somebody.else@other.example":   "",
			"dan@acme.exampel":              "",
			"xx@acme.example":               "",
		} {
			w.asked(typed)
			p, err := w.List(t.Context(), w.admin, w.env, user.Filter{})
			require.NoError(t, err)
			require.Contains(t, whoWasMeant(p.Unmatched), typed)
			require.Equal(t, want, whoWasMeant(p.Unmatched)[typed], typed)
		}
	})
}

// whoWasMeant gives the guess for each address shown, in words.
func whoWasMeant(p usermanager.UnmatchedPage) map[string]string {
	all := map[string]string{}
	for _, u := range p.Rows {
		all[u.Address] = ""
		if g := u.Guess; g != nil {
			all[u.Address] = g.Name + ": " + g.Why
		}
	}
	return all
}

func TestAllThatMatchedNobodyCanBeSeen(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.asked("jane@acme.exampel")
		for i := range 41 {
			w.asked(fmt.Sprintf("stranger%d@elsewhere.example", i))
		}
		likely := w.asked("ada@acme.exampel")
		for i := range 3 {
			w.asked(fmt.Sprintf("nobody%d@elsewhere.example", i))
		}
		boss := w.actor(w.add("bea@acme.example", "Bea Boss", access.ClientAdmin, user.Active))
		list, err := w.List(t.Context(), boss, w.env, user.Filter{})
		require.NoError(t, err)
		require.Len(t, list.Unmatched.Rows, 5)
		require.Equal(t, 46, list.Unmatched.All)
		require.Equal(t, likely, list.Unmatched.Rows[0].Key, "of the newest the likely one first")

		seen, after := []string{}, usermanager.UnmatchedPlace{}
		for range 3 {
			p, err := w.UnmatchedAfter(t.Context(), boss, w.env, "", after)
			require.NoError(t, err)
			require.Equal(t, 46, p.All)
			for _, u := range p.Rows {
				seen = append(seen, u.Key)
			}
			after = p.Next
			if len(seen) < 46 { // somebody asks meanwhile again for the last of the page
				w.update(func(tx *db.Tx) error {
					_, err := tx.Exec("UPDATE unmatched SET asked = 2, last_at = $3 WHERE environment_id = $1 AND address_key = $2", w.env.ID, after.Key, tx.Now())
					return err
				})
				w.ahead.Add(int64(time.Second))
			}
		}
		require.Zero(t, after)
		require.Len(t, seen, 46)
		slices.Sort(seen)
		require.Len(t, slices.Compact(seen), 46, "each once")

		p, err := w.UnmatchedAfter(t.Context(), w.admin, w.env, "JANE exampel", usermanager.UnmatchedPlace{LastAt: time.Now().Add(time.Hour), Key: "is gone from the list"})
		require.NoError(t, err)
		require.Len(t, p.Rows, 1)
		w.asked("zoë@elsewhere.example")
		p, err = w.UnmatchedAfter(t.Context(), w.admin, w.env, "zoe@", usermanager.UnmatchedPlace{})
		require.NoError(t, err)
		require.Len(t, p.Rows, 1)
		_, err = w.UnmatchedAfter(t.Context(), w.helpdesk, w.env, "", usermanager.UnmatchedPlace{})
		w.denied(err)
		_, err = w.UnmatchedAfter(t.Context(), w.stranger, w.env, "", usermanager.UnmatchedPlace{})
		w.notFound(err)
	})
}

func TestUnmatchedIsForClientAdmins(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		old := w.asked("old@acme.example")
		w.ahead.Add(int64(31 * 24 * time.Hour))
		key := w.asked("jane@acme.con")
		w.asked("other@acme.example")
		w.denied(w.FindUnmatched(t.Context(), w.helpdesk, w.env, key))
		w.notFound(w.FindUnmatched(t.Context(), w.stranger, w.env, key))
		w.notFound(w.FindUnmatched(t.Context(), w.admin, w.env, old))
		require.NoError(t, w.FindUnmatched(t.Context(), w.admin, w.env, key))
		w.notFound(w.IgnoreUnmatched(t.Context(), w.stranger, w.env, key))

		shown := func(actor access.Actor, f user.Filter) []usermanager.Unmatched {
			p, err := w.List(t.Context(), actor, w.env, f)
			require.NoError(t, err)
			return p.Unmatched.Rows
		}
		require.Len(t, shown(w.admin, user.Filter{}), 2, "not the one of last month")
		require.Len(t, shown(w.admin, user.Filter{Words: " ", Role: access.Member}), 2, "no words")
		require.Empty(t, shown(w.admin, user.Filter{Words: "jane"}), "who is looked for is found")
		found := shown(w.admin, user.Filter{Words: "jane acme.con"})
		require.Len(t, found, 1, "nobody is found: what fits the words")
		require.Equal(t, w.jane.ID, found[0].Guess.User)
		require.Empty(t, shown(w.admin, user.Filter{After: w.ada.Place()}), "a later page")
		require.Empty(t, shown(w.helpdesk, user.Filter{}))

		require.NoError(t, w.IgnoreUnmatched(t.Context(), w.admin, w.env, key))
		w.notFound(w.IgnoreUnmatched(t.Context(), w.admin, w.env, key))
		w.notFound(w.FindUnmatched(t.Context(), w.admin, w.env, key))
	})
}

func TestShowIsForScripts(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		show := func() string {
			s, err := w.Show(t.Context(), access.Operator(), w.env, "Jane@acme.example")
			require.NoError(t, err)
			out, err := json.Marshal(s)
			require.NoError(t, err)
			return string(out)
		}
		require.JSONEq(t, fmt.Sprintf(`{"id":%q,"environment":"acme","email":"jane@acme.example","name":"Jane Doe","role":"member","state":"active",
			"last_sign_in":null,"token":{"live":false,"expires":null},"links":[],"messages":[],"case":null,
			"mail":{"class":null,"family":null,"since":null,"sentence":null,"action":null,"suppressed":false}}`, w.jane.ID), show())

		w.mailLink(w.jane)
		w.update(func(tx *db.Tx) error {
			m, err := outbox.OfUser(tx, w.env.ID, w.jane.ID, 1)
			if err != nil {
				return err
			}
			if err := outbox.RecordAttempt(tx, w.env.ID, outbox.Attempt{
				Message: m[0].ID, At: tx.Now(), Server: "mx.example:25", Stage: "data", Code: 250, Enhanced: "2.0.0", Reply: "OK", Conversation: "secret",
			}); err != nil {
				return err
			}
			_, err = token.RecordOpen(tx, w.env.ID, m[0].Link, false)
			return err
		})
		text := show()
		require.NotContains(t, text, "secret")
		var s struct {
			Token struct {
				Live    bool
				Expires time.Time
			}
			Links []struct {
				Channel  string
				MadeBy   *string `json:"made_by"`
				OpenedBy string  `json:"opened_by"`
			}
			Messages []struct {
				Kind, State string
				MessageID   *string `json:"message_id"`
				Attempts    []struct {
					Code     int
					Enhanced string
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		require.True(t, s.Token.Live)
		require.Equal(t, "mail", s.Links[0].Channel)
		require.Nil(t, s.Links[0].MadeBy)
		require.Equal(t, "person", s.Links[0].OpenedBy)
		require.Equal(t, "queued", s.Messages[0].State)
		require.Equal(t, 250, s.Messages[0].Attempts[0].Code)

		_, err := w.Show(t.Context(), w.helpdesk, w.env, "ada@acme.example")
		w.denied(err)
		_, err = w.Show(t.Context(), access.Operator(), w.elsewhere, "jane@acme.example")
		w.notFound(err)
	})
}
