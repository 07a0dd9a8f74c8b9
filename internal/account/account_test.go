package account_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/account"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

const nextPassphrase = "three quiet otters swim"

func field(t *testing.T, err error) string {
	t.Helper()
	f := fault.As(err)
	require.NotNil(t, f, "%v", err)
	require.Len(t, f.Fields, 1)
	return f.Fields[0].Name
}

func reason(t *testing.T, err error) token.Verdict {
	t.Helper()
	var u *token.Unusable
	require.ErrorAs(t, err, &u)
	return u.Verdict
}

func TestTheAccountPageShowsWhatIsOnesOwn(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		p, err := w.Profile(t.Context(), w.actor, w.env, w.here.ID)
		require.NoError(t, err)
		require.Equal(t, "Jane Doe", p.Name)
		require.Len(t, p.Sessions, 2)
		for _, s := range p.Sessions {
			require.Equal(t, s.ID == w.here.ID, s.Current)
		}
		_, err = w.Profile(t.Context(), access.Operator(), w.env, "")
		require.True(t, fault.Is(err, fault.Denied), "the operator has no account")
		elsewhere := w.env
		elsewhere.ID = "0198c1d2-0000-7000-8000-000000000001"
		_, err = w.Profile(t.Context(), w.actor, elsewhere, w.here.ID)
		require.True(t, fault.Is(err, fault.Denied))
	})
}

func TestAPasswordIsChangedByWhoeverKnowsIt(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.update(func(tx *db.Tx) error {
			_, err := token.Open(tx, w.env.ID, w.jane.ID, secret.Reset)
			return err
		})
		_, err := w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, "not the one at all", nextPassphrase)
		require.Equal(t, "current", field(t, err))
		_, err = w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, "jane@acme.example")
		require.Equal(t, "password", field(t, err))
		require.Equal(t, w.jane.PasswordHash, w.find(w.jane.ID).PasswordHash)

		ended, err := w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, nextPassphrase)
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		require.Equal(t, []string{"password-changed jane@acme.example"}, w.mails(w.jane.ID))
		p, err := w.Profile(t.Context(), w.actor, w.env, w.here.ID)
		require.NoError(t, err)
		require.Len(t, p.Sessions, 1)
		require.True(t, p.Sessions[0].Current)
		require.Equal(t, audit.PasswordChanged, p.Events[0].Kind)
		require.NoError(t, w.DB.View(t.Context(), func(tx *db.Tx) error {
			newest, err := token.Newest(tx, w.env.ID, w.jane.ID)
			require.Equal(t, token.PasswordSet, newest.RevokedWhy)
			return err
		}))
		_, err = w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, passphrase)
		require.Equal(t, "current", field(t, err), "the old one is worth nothing now")
	})
}

func TestGuessingTheCurrentPasswordIsSlowed(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		for range 10 {
			_, err := w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, "not the one at all", nextPassphrase)
			require.Equal(t, "current", field(t, err))
		}
		_, err := w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, nextPassphrase)
		require.True(t, fault.Is(err, fault.Throttled), "not even the right one is looked at")
		_, err = w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "jane@new.example")
		require.True(t, fault.Is(err, fault.Throttled), "both forms share the tries")
		w.ahead.Add(int64(2 * time.Second))
		_, err = w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, nextPassphrase)
		require.NoError(t, err)
	})
}

func TestOfTwoChangesAtOnceOneWins(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			all.Go(func() {
				_, errs[i] = w.ChangePassword(t.Context(), w.actor, w.env, w.here.ID, passphrase, fmt.Sprintf("%s %d", nextPassphrase, i))
			})
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				require.True(t, fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid), "%v", err)
			}
		}
		require.Equal(t, 1, won)
	})
}

func TestANewAddressCountsOnceItIsConfirmed(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, err := w.ChangeEmail(t.Context(), w.actor, w.env, "not the one at all", "jane@new.example")
		require.Equal(t, "current", field(t, err))
		_, err = w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "jane@")
		require.Equal(t, "email", field(t, err))
		_, err = w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "jane@acme.example")
		require.Equal(t, "email", field(t, err))

		to, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, " Jane@New.example ")
		require.NoError(t, err)
		require.Equal(t, "Jane@new.example", to)
		require.Equal(t, "jane@acme.example", w.find(w.jane.ID).Email)
		require.ElementsMatch(t, []string{"address-confirm Jane@new.example", "address-changed jane@acme.example"}, w.mails(w.jane.ID))
		text, works := w.confirmLink(w.jane.ID)
		require.True(t, works)

		c, err := w.OpenConfirm(t.Context(), w.env, text)
		require.NoError(t, err)
		require.Equal(t, account.Confirmation{Email: "Jane@new.example"}, c)
		require.Equal(t, "jane@acme.example", w.find(w.jane.ID).Email, "looking changes nothing")
		require.Len(t, w.sessions(), 2)
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.NoError(t, err)
		require.Empty(t, w.sessions())
		now := w.find(w.jane.ID)
		require.Equal(t, "Jane@new.example", now.Email)
		require.Empty(t, now.PendingEmail)

		already := account.Confirmation{Email: "Jane@new.example", Already: true}
		again := func() {
			t.Helper()
			c, err = w.Confirm(t.Context(), w.env, text, access.From{})
			require.NoError(t, err)
			require.Equal(t, already, c, "pressed twice, or the link opened once more")
			c, err = w.OpenConfirm(t.Context(), w.env, text)
			require.NoError(t, err)
			require.Equal(t, already, c)
		}
		again()
		w.ahead.Add(int64(73 * time.Hour))
		again()

		// The next change leaves the first link with nothing to say about what counts.
		_, err = w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "jane@newer.example")
		require.NoError(t, err)
		again()
		newer, _ := w.confirmLink(w.jane.ID)
		_, err = w.Confirm(t.Context(), w.env, newer, access.From{})
		require.NoError(t, err)
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.Equal(t, token.Used, reason(t, err))
		_, err = w.OpenConfirm(t.Context(), w.env, text)
		require.Equal(t, token.Used, reason(t, err))
		require.Equal(t, "jane@newer.example", w.find(w.jane.ID).Email)
	})
}

func TestATakenAddressIsAnsweredLikeAFreeOne(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		to, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "BOB@acme.example")
		require.NoError(t, err)
		require.Equal(t, "BOB@acme.example", to)
		require.Contains(t, w.mails(w.jane.ID), "address-changed jane@acme.example")
		p, err := w.Profile(t.Context(), w.actor, w.env, w.here.ID)
		require.NoError(t, err)
		require.Equal(t, "BOB@acme.example", p.PendingEmail)
		text, works := w.confirmLink(w.jane.ID)
		require.False(t, works, "so its mail is not sent")
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.Equal(t, token.Cancelled, reason(t, err))
	})
}

func TestAnAddressTakenMeanwhileIsRefused(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "free@acme.example")
		require.NoError(t, err)
		text, _ := w.confirmLink(w.jane.ID)
		w.update(func(tx *db.Tx) error { w.add(tx, "Free@acme.example", "Fred", ""); return nil })
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
		require.Equal(t, "jane@acme.example", w.find(w.jane.ID).Email)
	})
}

func TestConfirmationLinksThatDoNotWork(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		ask := func(email string) string {
			_, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, email)
			require.NoError(t, err)
			text, _ := w.confirmLink(w.jane.ID)
			return text
		}
		use := func(text string) token.Verdict {
			_, opened := w.OpenConfirm(t.Context(), w.env, text)
			_, err := w.Confirm(t.Context(), w.env, text, access.From{})
			require.Equal(t, reason(t, opened), reason(t, err), "the page says what the button would")
			return reason(t, err)
		}
		first := ask("one@new.example")
		second := ask("two@new.example")
		require.Equal(t, token.Cancelled, use(first), "replaced")
		require.Equal(t, token.Incomplete, use(second[:20]))
		require.Equal(t, token.Damaged, use("0"+second[1:20]+"00000"+second[25:]))
		require.NoError(t, w.CancelEmail(t.Context(), w.actor, w.env))
		require.Equal(t, token.Cancelled, use(second))
		third := ask("three@new.example")
		w.ahead.Add(int64(73 * time.Hour))
		require.Equal(t, token.Expired, use(third))
		w.update(func(tx *db.Tx) error { return user.Delete(tx, w.env.ID, w.jane) })
		require.Equal(t, token.Cancelled, use(third), "the user is gone")
	})
}

func TestASuspendedEnvironmentKeepsTheLink(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "jane@new.example")
		require.NoError(t, err)
		text, _ := w.confirmLink(w.jane.ID)
		w.update(func(tx *db.Tx) error { return environment.SetSuspended(tx, w.env.ID, true) })
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.True(t, fault.Is(err, fault.Unavailable))
		w.update(func(tx *db.Tx) error { return environment.SetSuspended(tx, w.env.ID, false) })
		_, err = w.Confirm(t.Context(), w.env, text, access.From{})
		require.NoError(t, err)
	})
}

func TestAnInvitedUserIsInvitedAtTheConfirmedAddress(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		var ida user.User
		w.update(func(tx *db.Tx) error {
			ida = w.add(tx, "ida@acne.example", "Ida", "")
			if _, err := tx.Exec("UPDATE users SET pending_email = 'ida@acme.example' WHERE environment_id = $1 AND id = $2", w.env.ID, ida.ID); err != nil {
				return err
			}
			_, err := token.AddLink(tx, w.env.ID, token.NewLink{
				Purpose: secret.Confirm, User: ida.ID, Channel: token.Notice, EndsAt: tx.Now().Add(time.Hour), Detail: "ida@acme.example",
			})
			return err
		})
		text, _ := w.confirmLink(ida.ID)
		c, err := w.Confirm(t.Context(), w.env, text, access.From{})
		require.NoError(t, err)
		require.True(t, c.Invited)
		again, err := w.Confirm(t.Context(), w.env, text, access.From{})
		require.NoError(t, err)
		require.Equal(t, account.Confirmation{Email: "ida@acme.example", Invited: true, Already: true}, again)
		require.Equal(t, []string{"invitation ida@acme.example"}, w.mails(ida.ID))
	})
}

func TestAskingForAddressesIsLimited(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		for i := range 5 {
			_, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, fmt.Sprintf("victim%d@new.example", i))
			require.NoError(t, err)
		}
		_, err := w.ChangeEmail(t.Context(), w.actor, w.env, passphrase, "victim@new.example")
		require.True(t, fault.Is(err, fault.Throttled))
		require.Len(t, w.mails(w.jane.ID), 10)
	})
}

func TestSessionsEnd(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		require.True(t, fault.Is(w.EndSession(t.Context(), w.other, w.env, w.there.ID), fault.NotFound), "of somebody else")
		require.NoError(t, w.EndSession(t.Context(), w.actor, w.env, w.there.ID))
		require.True(t, fault.Is(w.EndSession(t.Context(), w.actor, w.env, w.there.ID), fault.NotFound))
		ended, err := w.EndOtherSessions(t.Context(), w.actor, w.env, w.here.ID)
		require.NoError(t, err)
		require.Zero(t, ended)
		require.NoError(t, w.DB.View(t.Context(), func(tx *db.Tx) error {
			_, err := session.Resume(tx, "acme", w.hereText)
			return err
		}))
	})
}

func TestRename(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		require.Equal(t, "name", field(t, w.Rename(t.Context(), w.actor, w.env, " ")))
		require.NoError(t, w.Rename(t.Context(), w.actor, w.env, " Jane Roe "))
		require.Equal(t, "Jane Roe", w.find(w.jane.ID).Name)
		w.update(func(tx *db.Tx) error { _, err := user.Deactivate(tx, w.env.ID, w.jane); return err })
		err := w.Rename(t.Context(), w.actor, w.env, "Jane Doe")
		require.True(t, fault.Is(err, fault.Denied), "%v", errors.Unwrap(err))
	})
}
