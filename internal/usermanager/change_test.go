package usermanager_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

func TestCreateInvites(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, err := w.Create(t.Context(), w.helpdesk, w.env, usermanager.New{Email: "new@acme.example", Name: "New"})
		w.denied(err)
		_, err = w.Create(t.Context(), w.stranger, w.env, usermanager.New{Email: "new@acme.example", Name: "New"})
		w.notFound(err)
		_, err = w.Create(t.Context(), w.admin, w.env, usermanager.New{Email: "new", Name: " ", Role: "root"})
		require.Len(t, fault.As(err).Fields, 3, "all mistakes at once")
		_, err = w.Create(t.Context(), w.admin, w.env, usermanager.New{Email: "JANE@acme.example", Name: "Jane Too"})
		w.conflict(err)

		u, err := w.Create(t.Context(), w.admin, w.env, usermanager.New{Email: "new@acme.example", Name: "New"})
		require.NoError(t, err)
		d := w.user(u)
		require.Equal(t, user.Invited, d.User.State)
		require.Equal(t, access.Member, d.User.Role)
		require.True(t, d.Live)
		require.Equal(t, []string{"invitation new@acme.example"}, w.mails(u))

		quiet, err := w.Create(t.Context(), w.admin, w.env, usermanager.New{Email: "quiet@acme.example", Name: "Quiet", Quiet: true})
		require.NoError(t, err)
		require.Empty(t, w.mails(quiet))
	})
}

func TestOnlyAnOperatorSetsThePasswordOfANewUser(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		n := usermanager.New{Email: "new@acme.example", Name: "New Person", Role: access.ClientAdmin}
		_, err := w.CreateWithPassword(t.Context(), w.admin, w.env, n, "three quiet otters swim")
		w.denied(err)
		_, err = w.CreateWithPassword(t.Context(), access.Operator(), w.env, n, "short")
		require.Equal(t, "password", fault.As(err).Fields[0].Name)
		u, err := w.CreateWithPassword(t.Context(), access.Operator(), w.env, n, "three quiet otters swim")
		require.NoError(t, err)
		require.Equal(t, user.Active, u.State)
		require.NotEmpty(t, u.PasswordShape)
		require.Empty(t, w.mails(u))
	})
}

func TestEditingIsAsStrongAsALink(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		same := usermanager.Change{Name: "Jane Doe", Email: "jane@acme.example", Role: access.Member}
		_, err := w.Edit(t.Context(), w.helpdesk, w.env, w.jane.ID, same)
		w.denied(err)
		_, err = w.Edit(t.Context(), w.admin, w.env, w.ada.ID, usermanager.Change{Name: "Ada", Email: "ada@acme.example", Role: access.ClientAdmin})
		w.denied(err)
		e, err := w.Edit(t.Context(), w.admin, w.env, w.jane.ID, same)
		require.NoError(t, err)
		require.Empty(t, w.mails(w.jane))
		require.False(t, e.Renamed || e.RoleChanged)

		w.policy("admin_links", "off")
		_, err = w.Edit(t.Context(), w.admin, w.env, w.jane.ID, usermanager.Change{Name: "Jane Roe", Email: "jane@evil.example", Role: access.Member})
		w.denied(err)
		_, err = w.Edit(t.Context(), w.admin, w.env, w.jane.ID, usermanager.Change{Name: "Jane Roe", Email: "jane@acme.example", Role: access.Helpdesk})
		w.denied(err)
		require.Equal(t, "Jane Doe", w.user(w.jane).User.Name, "refused as a whole")
		e, err = w.Edit(t.Context(), w.admin, w.env, w.jane.ID, usermanager.Change{Name: "Jane Roe", Email: "jane@acme.example", Role: access.Member})
		require.NoError(t, err)
		require.True(t, e.Renamed)
	})
}

func TestAChangedRoleEndsSessionsAndTokens(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.signIn(w.jane)
		w.mailLink(w.jane)
		e, err := w.Edit(t.Context(), w.admin, w.env, w.jane.ID, usermanager.Change{Name: "Jane Doe", Email: "jane@acme.example", Role: access.Helpdesk})
		require.NoError(t, err)
		require.True(t, e.RoleChanged)
		require.Equal(t, 1, e.SessionsEnded)
		d := w.user(w.jane)
		require.False(t, d.Live)
		require.Equal(t, token.RoleChanged, d.Token.RevokedWhy)
		require.Equal(t, audit.RoleChanged, d.Events[0].Kind)
		require.Equal(t, audit.Detail{"from": "member", "to": "helpdesk"}, d.Events[0].Detail())
	})
}

func TestAChangedAddressWaitsForItsMailbox(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		change := usermanager.Change{Name: "Jane Doe", Email: "HENRY@acme.example", Role: access.Member}
		_, err := w.Edit(t.Context(), w.admin, w.env, w.jane.ID, change)
		w.conflict(err)
		w.mailLink(w.jane)
		change.Email = "jane.doe@acme.example"
		e, err := w.Edit(t.Context(), w.admin, w.env, w.jane.ID, change)
		require.NoError(t, err)
		require.Equal(t, "jane.doe@acme.example", e.AddressAsked)
		require.Equal(t, "jane@acme.example", e.User.Email)
		require.Equal(t, "jane.doe@acme.example", e.User.PendingEmail)
		require.ElementsMatch(t, []string{"reset jane@acme.example", "address-confirm jane.doe@acme.example", "address-changed jane@acme.example"}, w.mails(w.jane))
		require.True(t, w.user(w.jane).Live, "the token is revoked when the address changes, not before")
	})
}

func TestClosingOpeningAndDeleting(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		w.signIn(w.jane)
		w.mailLink(w.jane)
		_, _, err := w.Deactivate(t.Context(), w.helpdesk, w.env, w.jane.ID)
		w.denied(err)
		_, _, err = w.Deactivate(t.Context(), w.admin, w.env, w.ada.ID)
		w.denied(err)
		_, _, err = w.Deactivate(t.Context(), w.stranger, w.env, w.jane.ID)
		w.notFound(err)
		_, err = w.Activate(t.Context(), w.admin, w.env, w.jane.ID)
		w.conflict(err)

		_, ended, err := w.Deactivate(t.Context(), w.admin, w.env, w.jane.ID)
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		require.False(t, w.user(w.jane).Live)
		_, _, err = w.Deactivate(t.Context(), w.admin, w.env, w.jane.ID)
		w.conflict(err)
		u, err := w.Activate(t.Context(), w.admin, w.env, w.jane.ID)
		require.NoError(t, err)
		require.Equal(t, user.Active, u.State)

		w.signIn(w.jane)
		_, ended, err = w.EndSessions(t.Context(), w.helpdesk, w.env, w.jane.ID)
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		require.Equal(t, audit.SessionsEnded, w.user(w.jane).Events[0].Kind)

		_, err = w.Delete(t.Context(), w.helpdesk, w.env, w.jane.ID)
		w.denied(err)
		_, err = w.Delete(t.Context(), w.admin, w.env, w.jane.ID)
		require.NoError(t, err)
		_, err = w.Delete(t.Context(), w.admin, w.env, w.jane.ID)
		w.notFound(err)
	})
}

func TestWhoIsDeletedTakesTheAskingsAlong(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		zoe := w.add("zoe@acme.example", "Zoe", access.Member, user.Active)
		asked := func(about string, u user.User, key string, resolved any) {
			owner := id.User("")
			if resolved != nil {
				owner = u.ID
			}
			w.update(func(tx *db.Tx) error {
				_, err := tx.Exec(`INSERT INTO requests (environment_id, id, address, address_key, network, agent, made_at, resolved_at, user_id)
					VALUES ($1, $2, $3, $4, '', '', $5, $6, $7)`, w.env.ID, about, key, key, tx.Now(), resolved, owner)
				return err
			})
		}
		asked("resolved", w.jane, w.jane.EmailKey, time.Now())
		asked("by an earlier address", w.jane, "jane.old@acme.example", time.Now())
		asked("waiting", w.jane, w.jane.EmailKey, nil)
		asked("somebody else's", zoe, zoe.EmailKey, time.Now())
		asked("somebody else's, waiting", zoe, zoe.EmailKey, nil)
		_, err := w.Delete(t.Context(), w.admin, w.env, w.jane.ID)
		require.NoError(t, err)
		w.update(func(tx *db.Tx) error {
			left, err := db.All[string](tx, "SELECT id FROM requests ORDER BY id")
			require.Equal(t, []string{"somebody else's", "somebody else's, waiting"}, left)
			return err
		})
	})
}

func TestTheLastClientAdminStays(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		_, _, err := w.Deactivate(t.Context(), access.Operator(), w.env, w.ada.ID)
		w.conflict(err)
		_, err = w.Delete(t.Context(), access.Operator(), w.env, w.ada.ID)
		w.conflict(err)
		_, err = w.Edit(t.Context(), access.Operator(), w.env, w.ada.ID, usermanager.Change{Name: "Ada Admin", Email: "ada@acme.example", Role: access.Member})
		w.conflict(err)

		zoe := w.add("zoe@acme.example", "Zoe Admin", access.ClientAdmin, user.Active)
		var both sync.WaitGroup
		errs := make([]error, 2)
		both.Go(func() { _, _, errs[0] = w.Deactivate(t.Context(), w.admin, w.env, zoe.ID) })
		both.Go(func() { _, _, errs[1] = w.Deactivate(t.Context(), w.actor(zoe), w.env, w.ada.ID) })
		both.Wait()
		if errs[0] == nil {
			w.conflict(errs[1])
		} else {
			w.conflict(errs[0])
			require.NoError(t, errs[1])
		}
	})
}
