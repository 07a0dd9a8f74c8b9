package usermanager_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

func rowOf(t *testing.T, p usermanager.Page, u user.User) usermanager.Row {
	t.Helper()
	for _, r := range p.Rows {
		if r.User.ID == u.ID {
			return r
		}
	}
	require.Fail(t, "not in the list", u.Name)
	return usermanager.Row{}
}

func TestOptionsStandWhereTheyApply(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		ida := w.add("ida@acme.example", "Ida Invited", access.Member, user.Invited)
		dan := w.add("dan@acme.example", "Dan Deactivated", access.Member, user.Deactivated)
		zoe := w.add("zoe@acme.example", "Zoe Admin", access.ClientAdmin, user.Active)
		w.mailLink(w.jane)
		w.signIn(w.jane)
		list := func(a access.Actor) usermanager.Page {
			p, err := w.List(t.Context(), a, w.env, user.Filter{})
			require.NoError(t, err)
			require.Len(t, p.Rows, 6)
			return p
		}
		expect := func(p usermanager.Page, u user.User, want ...access.Action) {
			t.Helper()
			require.Empty(t, cmp.Diff(want, rowOf(t, p, u).Options), u.Name)
		}
		all := list(w.admin)
		expect(all, w.jane, access.ResetPassword, access.SendResetLink, access.CancelToken, access.EditUser, access.EndSessions, access.Deactivate, access.DeleteUser)
		expect(all, zoe, access.ResetPassword, access.SendResetLink, access.EditUser, access.Deactivate, access.DeleteUser)
		expect(all, ida, access.EditUser, access.ResendInvitation, access.Deactivate, access.DeleteUser)
		expect(all, dan, access.EditUser, access.Activate, access.DeleteUser)
		expect(all, w.ada)
		require.True(t, rowOf(t, all, w.ada).Self)

		some := list(w.helpdesk)
		expect(some, w.jane, access.ResetPassword, access.SendResetLink, access.CancelToken, access.EndSessions)
		expect(some, ida, access.ResendInvitation)
		expect(some, zoe)
		expect(some, w.henry)

		w.policy("admin_links", "off")
		expect(list(w.admin), w.jane, access.SendResetLink, access.CancelToken, access.EditUser, access.EndSessions, access.Deactivate, access.DeleteUser)

		w.ahead.Add(int64(2 * time.Hour))
		late := rowOf(t, list(w.admin), w.jane)
		require.False(t, late.Live, "the token's last link has expired")
		require.NotContains(t, late.Options, access.EndSessions, "and so has the session")
	})
}

func TestTheListIsForAdministratorsOfTheEnvironment(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, err := w.List(t.Context(), w.actor(w.jane), w.env, user.Filter{})
		w.denied(err)
		_, err = w.List(t.Context(), w.stranger, w.env, user.Filter{})
		w.notFound(err)
	})
}

func TestPagesFollowEachOther(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		for i := range 9 {
			w.add(fmt.Sprintf("sam%d@acme.example", i), "Sam Same", access.Member, user.Active)
		}
		var names []string
		f := user.Filter{Limit: 5}
		for pages := 1; ; pages++ {
			p, err := w.List(t.Context(), w.admin, w.env, f)
			require.NoError(t, err)
			for _, r := range p.Rows {
				names = append(names, r.User.Email)
			}
			if p.Next == nil {
				require.Equal(t, 3, pages)
				break
			}
			f.After = *p.Next
		}
		require.Len(t, names, 12)
		seen := map[string]bool{}
		for _, n := range names {
			require.False(t, seen[n], n)
			seen[n] = true
		}
	})
}

// addMany adds users whose names follow from their numbers.
func (w *world) addMany(env environment.Environment, count int, name func(int) string) {
	w.t.Helper()
	for from := 0; from < count; from += 500 {
		w.update(func(tx *db.Tx) error {
			var rows []user.Row
			for i := from; i < min(count, from+500); i++ {
				a, err := address.Parse(fmt.Sprintf("p%d@%s.example", i, env.Slug))
				if err != nil {
					return err
				}
				r, err := user.Prepare(user.New{Email: a, Name: name(i), Role: access.Member, State: user.Active})
				if err != nil {
					return err
				}
				rows = append(rows, r)
			}
			_, err := user.Insert(tx, env.ID, rows)
			return err
		})
	}
}

// Which way a search goes depends on how many names hold the word, in this
// environment and in all, and on where they stand. What is found does not.
func TestSearchFindsTheSameWhicheverWayItGoes(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		const many = 3500 // more than a walk goes through
		w.addMany(w.env, many, func(i int) string {
			switch {
			case i%7 == 0:
				return fmt.Sprintf("Person %04d everywhere", i) // 500, from the first page on
			case i >= many-400:
				return fmt.Sprintf("Person %04d atlast", i) // too many for the index, none in the first 3,000
			case i%500 == 1:
				return fmt.Sprintf("Person %04d seldom", i)
			default:
				return fmt.Sprintf("Person %04d", i)
			}
		})
		w.addMany(w.elsewhere, 400, func(int) string { return "Person nextdoor seldom" })
		for _, words := range []string{"everywhere", "atlast", "seldom", "person", "nextdoor", "nobody", "everywhere person", "p1", "acme atlast 34"} {
			var want, got []string
			w.update(func(tx *db.Tx) error {
				for u, err := range user.Every(tx, w.env.ID) {
					if err != nil {
						return err
					}
					text := strings.ToLower(u.Name + " " + u.Email)
					if !slices.ContainsFunc(strings.Fields(words), func(word string) bool { return !strings.Contains(text, word) }) {
						want = append(want, u.Email)
					}
				}
				return nil
			})
			for f := (user.Filter{Words: words, Limit: 200}); ; {
				p, err := w.List(t.Context(), w.admin, w.env, f)
				require.NoError(t, err)
				for _, r := range p.Rows {
					got = append(got, r.User.Email)
				}
				if p.Next == nil {
					break
				}
				f.After = *p.Next
			}
			require.Equal(t, want, got, words)
		}
	})
}

func TestARowSaysHowTheNewestMailStands(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.mailLink(w.henry)
		w.mailLink(w.jane)
		w.ahead.Add(int64(time.Minute))
		w.mailLink(w.jane)
		w.update(func(tx *db.Tx) error {
			messages, err := outbox.OfUser(tx, w.env.ID, w.jane.ID, 1)
			if err != nil {
				return err
			}
			messages[0].State, messages[0].SettledAt = outbox.Sent, tx.Now()
			if err := outbox.Settle(tx, w.env.ID, messages[0]); err != nil {
				return err
			}
			_, err = token.RecordOpen(tx, w.env.ID, messages[0].Link, true)
			return err
		})
		p, err := w.List(t.Context(), w.admin, w.env, user.Filter{})
		require.NoError(t, err)
		m := rowOf(t, p, w.jane).Mail
		require.Equal(t, outbox.Sent, m.State)
		require.True(t, m.HasLink)
		require.True(t, m.OpenedAt.IsZero())
		require.False(t, m.ScannedAt.IsZero())
		require.Equal(t, outbox.Queued, rowOf(t, p, w.henry).Mail.State)
		require.Zero(t, rowOf(t, p, w.ada).Mail)
	})
}

func TestTheUsersPageHasEverythingButSecrets(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.mailLink(w.jane)
		w.ahead.Add(int64(time.Minute))
		w.mailLink(w.jane)
		w.signIn(w.jane)
		d, err := w.User(t.Context(), w.helpdesk, w.env, w.jane.ID)
		require.NoError(t, err)
		require.True(t, d.Live)
		require.Equal(t, 1, d.Sessions)
		require.Len(t, d.Links, 2)
		require.Equal(t, token.MailAgain, d.Links[0].Channel)
		require.Equal(t, token.Mail, d.Links[1].Channel)
		require.Equal(t, token.Works, d.Links[0].Verdict)
		require.Equal(t, d.Expires, d.Links[0].EndsAt)
		require.Len(t, d.Messages, 2)
		w.update(func(tx *db.Tx) error {
			_, err := token.Revoke(tx, w.env.ID, w.jane.ID, token.ByAdmin)
			return err
		})
		d = w.user(w.jane)
		require.False(t, d.Live)
		require.Zero(t, d.Expires)
		require.Equal(t, token.ByAdmin, d.Token.RevokedWhy)
		require.Equal(t, token.Cancelled, d.Links[0].Verdict)
		require.Equal(t, token.ByAdmin, d.Links[0].EndedWhy)

		_, err = w.User(t.Context(), w.helpdesk, w.env, w.ada.ID)
		w.denied(err)
		_, err = w.User(t.Context(), w.actor(w.jane), w.env, w.jane.ID)
		w.denied(err)
		_, err = w.User(t.Context(), w.stranger, w.env, w.jane.ID)
		w.notFound(err)
		_, err = w.User(t.Context(), access.Operator(), w.elsewhere, w.jane.ID)
		w.notFound(err)
	})
}
