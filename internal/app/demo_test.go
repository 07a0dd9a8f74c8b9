package app_test

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

func openCore(t *testing.T) *app.Core {
	t.Helper()
	dir := t.TempDir()
	core, err := app.Open(t.Context(), config.Config{
		URL:      &url.URL{Scheme: "http", Host: "localhost"},
		Database: config.Database{Engine: "sqlite", DSN: filepath.Join(dir, "sparekey.db")},
		KeyFile:  filepath.Join(dir, "sparekey.key"),
	}, app.Options{Clock: time.Now, Log: slog.New(slog.DiscardHandler), Hash: password.Options{Memory: 64, Time: 1}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, core.Close()) })
	return core
}

func everybody(t *testing.T, core *app.Core) []usermanager.Row {
	t.Helper()
	acme, err := core.Settings.BySlug(t.Context(), app.DemoSlug)
	require.NoError(t, err)
	page, err := core.UserManager.List(t.Context(), access.Operator(), acme, user.Filter{Limit: 200})
	require.NoError(t, err)
	require.Nil(t, page.Next)
	return page.Rows
}

func TestSeed(t *testing.T) {
	t.Parallel()
	core := openCore(t)
	require.NoError(t, app.Seed(t.Context(), core))
	roles, states := map[access.Role]int{}, map[user.State]int{}
	for _, r := range everybody(t, core) {
		u := r.User
		roles[u.Role]++
		states[u.State]++
		if u.State == user.Invited {
			require.Empty(t, u.PasswordHash, u.Name)
			continue
		}
		result, err := core.Hasher.Verify(t.Context(), app.DemoPassword, u.PasswordHash)
		require.NoError(t, err)
		require.True(t, result.OK, u.Name)
		require.False(t, result.Upgrade, u.Name)
		require.NoError(t, password.Check(app.DemoPassword, password.Policy{
			MinLength: environment.Standard().PasswordMinLength, Context: []string{u.Name, u.Email, "Acme", "acme", "Sparekey"},
		}), "the password of the demo is one that the demo would take")
	}
	require.Equal(t, map[access.Role]int{access.Member: 25, access.Helpdesk: 1, access.ClientAdmin: 1}, roles)
	operators, err := core.Settings.BySlug(t.Context(), environment.OperatorSlug)
	require.NoError(t, err)
	list, err := core.UserManager.List(t.Context(), access.Operator(), operators, user.Filter{})
	require.NoError(t, err)
	require.Len(t, list.Rows, 1)
	require.Equal(t, app.DemoOperator, list.Rows[0].User.Email)
	require.Equal(t, 1, states[user.Deactivated])
	require.GreaterOrEqual(t, states[user.Invited], 2)
}

// TestSeedKeepsWhatIsThere also when several start at once.
func TestSeedKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	core := openCore(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _ = app.Seed(t.Context(), core) }) // a loser of the race may say that acme exists
	}
	all.Wait()
	require.Len(t, everybody(t, core), 27)
	acme, err := core.Settings.BySlug(t.Context(), app.DemoSlug)
	require.NoError(t, err)
	jane, err := core.UserManager.Find(t.Context(), access.Operator(), acme, app.DemoMember)
	require.NoError(t, err)
	_, err = core.UserManager.Delete(t.Context(), access.Operator(), acme, jane.ID)
	require.NoError(t, err)
	require.NoError(t, app.Seed(t.Context(), core))
	require.Len(t, everybody(t, core), 26)
}
