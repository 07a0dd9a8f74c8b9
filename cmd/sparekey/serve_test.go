package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// With less than all hashes take at once, garbage would be collected without end.
func TestTheMemoryGoalHasRoomForAllHashes(t *testing.T) {
	t.Parallel()
	for _, cores := range []int{1, 2, 16, 128} {
		require.Greater(t, memoryGoal(cores), int64(cores)*19456<<10+64<<20, cores)
	}
	require.LessOrEqual(t, memoryGoal(2), int64(112<<20), "a small machine stays small")
}
