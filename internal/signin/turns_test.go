package signin

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/fault"
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
