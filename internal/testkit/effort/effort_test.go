package effort_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit/effort"
)

func TestWorkCountsAndWaitingDoesNot(t *testing.T) {
	t.Parallel()
	n := 0
	require.Positive(t, effort.Of(func() {
		for n < 50_000_000 {
			n++
		}
	}))
	require.Less(t, effort.Of(func() { <-time.After(200 * time.Millisecond) }), 100*time.Millisecond)
}
