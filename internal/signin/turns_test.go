package signin

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/throttle"
)

func TestTurnsAreTakenOneAfterTheOtherAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	var all turns
	leave, err := all.take(t.Context(), "jane")
	require.NoError(t, err)
	other, err := all.take(t.Context(), "mary")
	require.NoError(t, err, "another address is not waited for")
	other()

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = all.take(gone, "jane")
	require.ErrorIs(t, err, context.Canceled, "whoever left waits no longer")

	var group sync.WaitGroup
	within, most := 0, 0 // guarded by the turn itself
	for range mostWaiting {
		group.Go(func() {
			leave, err := all.take(t.Context(), "jane")
			if err == nil {
				within++
				most = max(most, within)
				within--
				leave()
			}
		})
	}
	leave()
	group.Wait()
	require.Equal(t, 1, most)
	require.Empty(t, all.of)
}

func TestALineHasAnEnd(t *testing.T) {
	t.Parallel()
	var all turns
	leave, err := all.take(t.Context(), "jane")
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 2*mostWaiting)
	for range 2 * mostWaiting {
		go func() {
			leave, err := all.take(gone, "jane")
			if err == nil {
				leave()
			}
			answers <- err
		}()
	}
	for range mostWaiting { // those who found the line full
		require.True(t, fault.Is(<-answers, fault.Unavailable))
	}
	cancel()
	for range mostWaiting {
		require.ErrorIs(t, <-answers, context.Canceled)
	}
	leave()
	require.Empty(t, all.of)
}

// TestANetworkOverItsLimitStandsInNobodysWay: its tries are refused before they
// would wait in the line for an address, where they make its owner wait.
func TestANetworkOverItsLimitStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		d := database.Open(t, engine, time.Now)
		ring, err := keyring.Open(t.Context(), d, filepath.Join(t.TempDir(), "key"))
		require.NoError(t, err)
		s, env := &SignIn{DB: d, Ring: ring}, environment.Environment{ID: "e"}
		tried := func(network string, times int) {
			for range times {
				require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
					_, _, err := throttle.Count(tx, env.ID, "login-network:"+network, window)
					return err
				}))
			}
		}
		tried("192.0.2.1", wrongOfNetwork)
		tried("192.0.2.2", wrongOfNetwork-1)
		leave, err := s.turns.take(t.Context(), "e login:jane@acme.example") // somebody is at it
		require.NoError(t, err)
		defer leave()
		in := func(network string, patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := s.In(ctx, env, Try{Email: "jane@acme.example", Password: "three unrelated words", From: access.From{Network: network}})
			return err
		}
		require.True(t, fault.Is(in("192.0.2.1", 10*time.Second), fault.Throttled))
		require.ErrorIs(t, in("192.0.2.2", 50*time.Millisecond), context.DeadlineExceeded, "it waits its turn")
	})
}
