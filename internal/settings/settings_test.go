package settings_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/settings"
	"github.com/sparekey/sparekey/internal/testkit/database"
)

// eachDB runs a test on both engines; on SQLite alone with -short.
func eachDB(t *testing.T, test func(t *testing.T, s *settings.Settings)) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		test(t, &settings.Settings{DB: database.Open(t, engine, time.Now)})
	})
}

func admin(env environment.Environment) access.Actor {
	return access.Actor{Environment: env.ID, User: "ada", Name: "Ada", Role: access.ClientAdmin}
}

func TestOperatorsRunEnvironments(t *testing.T) {
	eachDB(t, func(t *testing.T, s *settings.Settings) {
		acme, err := s.Create(t.Context(), access.Operator(), "acme", "Acme")
		require.NoError(t, err)
		_, err = s.Create(t.Context(), access.Operator(), "acme", "Acme again")
		require.True(t, fault.Is(err, fault.Conflict))
		for _, slug := range []string{"operator", "api", "Acme", "-a", "a/b", ""} {
			_, err = s.Create(t.Context(), access.Operator(), slug, "X")
			require.True(t, fault.Is(err, fault.Invalid), slug)
			_, err = s.BySlug(t.Context(), slug)
			require.True(t, fault.Is(err, fault.NotFound), slug)
		}
		for range 2 { // a script may repeat it
			require.NoError(t, s.Suspend(t.Context(), access.Operator(), acme))
		}
		acme, err = s.BySlug(t.Context(), "acme")
		require.NoError(t, err)
		require.True(t, acme.Suspended())
		require.NoError(t, s.Resume(t.Context(), access.Operator(), acme))

		_, err = s.Create(t.Context(), admin(acme), "mine", "Mine")
		require.True(t, fault.Is(err, fault.Denied))
		_, err = s.List(t.Context(), admin(acme))
		require.True(t, fault.Is(err, fault.Denied))
		for _, err := range []error{s.Suspend(t.Context(), admin(acme), acme), s.Resume(t.Context(), admin(acme), acme), s.Delete(t.Context(), admin(acme), acme)} {
			require.True(t, fault.Is(err, fault.Denied))
		}
		require.NoError(t, s.Delete(t.Context(), access.Operator(), acme))
		all, err := s.List(t.Context(), access.Operator())
		require.NoError(t, err)
		require.Empty(t, all)
		require.True(t, fault.Is(s.Delete(t.Context(), access.Operator(), acme), fault.NotFound))
	})
}

func TestAPolicyChangesAsAWhole(t *testing.T) {
	eachDB(t, func(t *testing.T, s *settings.Settings) {
		acme, err := s.Create(t.Context(), access.Operator(), "acme", "Acme")
		require.NoError(t, err)
		other, err := s.Create(t.Context(), access.Operator(), "other", "Other")
		require.NoError(t, err)

		_, _, err = s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"link_life": "1h", "admin_links": "perhaps", "colour": "red"})
		f := fault.As(err)
		require.NotNil(t, f)
		require.Len(t, f.Fields, 2)
		require.Equal(t, "admin_links", f.Fields[0].Name)
		acme, err = s.BySlug(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, environment.Standard(), acme.Policy)

		now, changed, err := s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"link_life": "1h", "admin_links": "existing-token"})
		require.NoError(t, err)
		require.Equal(t, []settings.Changed{{Name: "link_life", Old: "24h", New: "1h"}}, changed)
		require.Equal(t, time.Hour, now.Policy.LinkLife)
		var details []string
		require.NoError(t, s.DB.View(t.Context(), func(tx *db.Tx) (err error) {
			details, err = db.All[string](tx, "SELECT detail FROM events WHERE environment_id = $1 AND kind = 'policy changed'", acme.ID)
			return err
		}))
		require.Len(t, details, 1)
		require.Contains(t, details[0], "link_life")

		_, _, err = s.ChangePolicy(t.Context(), admin(acme), other, map[string]string{"link_life": "1h"})
		require.True(t, fault.Is(err, fault.NotFound))
		member := admin(acme)
		member.Role = access.Helpdesk
		_, _, err = s.ChangePolicy(t.Context(), member, acme, map[string]string{"link_life": "1h"})
		require.True(t, fault.Is(err, fault.Denied))
	})
}

func TestOnlyAnOperatorLiftsTheSecondAdmin(t *testing.T) {
	eachDB(t, func(t *testing.T, s *settings.Settings) {
		acme, err := s.Create(t.Context(), access.Operator(), "acme", "Acme")
		require.NoError(t, err)
		_, _, err = s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"second_admin": "on"})
		require.NoError(t, err)
		_, _, err = s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"second_admin": "off"}) // acme as it was before
		require.True(t, fault.Is(err, fault.Denied))
		require.Equal(t, "second_admin", fault.As(err).Fields[0].Name)
		now, _, err := s.ChangePolicy(t.Context(), access.Operator(), acme, map[string]string{"second_admin": "off"})
		require.NoError(t, err)
		require.False(t, now.Policy.SecondAdmin)
	})
}

func TestChangesAtOnceLoseNothing(t *testing.T) {
	eachDB(t, func(t *testing.T, s *settings.Settings) {
		acme, err := s.Create(t.Context(), access.Operator(), "acme", "Acme")
		require.NoError(t, err)
		values := map[string]string{"link_life": "1h", "session_idle": "1h", "help_line": strings.Repeat("x", 200), "accent": "#0b6e5a"}
		var all sync.WaitGroup
		for name, value := range values {
			all.Go(func() {
				_, _, err := s.ChangePolicy(t.Context(), access.Operator(), acme, map[string]string{name: value})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		acme, err = s.BySlug(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, time.Hour, acme.Policy.LinkLife)
		require.Equal(t, time.Hour, acme.Policy.SessionIdle)
		require.Len(t, acme.Policy.HelpLine, 200)
		require.Equal(t, "#0b6e5a", acme.Policy.Accent)
	})
}

func TestOnlyAnOperatorChangesTheSendersAddress(t *testing.T) {
	eachDB(t, func(t *testing.T, s *settings.Settings) {
		acme, err := s.Create(t.Context(), access.Operator(), "acme", "Acme")
		require.NoError(t, err)
		acme, _, err = s.ChangePolicy(t.Context(), access.Operator(), acme, map[string]string{"sender_address": "accounts@acme.example"})
		require.NoError(t, err)
		for _, value := range []string{"", "boss@acme.example"} {
			_, _, err = s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"sender_name": "Acme", "sender_address": value})
			require.True(t, fault.Is(err, fault.Denied))
			require.Equal(t, "sender_address", fault.As(err).Fields[0].Name)
		}
		now, changed, err := s.ChangePolicy(t.Context(), admin(acme), acme, map[string]string{"sender_name": "Acme", "sender_address": "accounts@acme.example"})
		require.NoError(t, err, "as it was is no change")
		require.Len(t, changed, 1)
		require.Equal(t, "Acme", now.Policy.SenderName)
		require.Equal(t, "accounts@acme.example", now.Policy.SenderAddress)
	})
}
