package numbers

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestQuantilesAreNearTheTruth: what is read from the buckets is off by less than
// a fifth, for times of every size.
func TestQuantilesAreNearTheTruth(t *testing.T) {
	t.Parallel()
	luck := rand.New(rand.NewPCG(1, 2))
	for _, typical := range []time.Duration{30 * time.Second, 4 * time.Minute, 50 * time.Minute, 9 * time.Hour} {
		var all []time.Duration
		total := map[string]int{}
		for range 5_000 {
			took := time.Duration(float64(typical) * (0.2 + luck.ExpFloat64()))
			all = append(all, took)
			total[bucket(took)]++
		}
		slices.Sort(all)
		median, p90, times := spread(total)
		require.InEpsilon(t, all[len(all)/2].Seconds(), median.Seconds(), .2)
		require.InEpsilon(t, all[len(all)*9/10].Seconds(), p90.Seconds(), .2)
		sum := 0
		for _, s := range times {
			under := 0
			for _, took := range all {
				if s.What.upTo == 0 || took < time.Duration(s.What.upTo)*time.Second {
					under++
				}
			}
			sum += s.N
			require.Equal(t, under, sum, s.What.Words)
		}
	}
}

func TestNothingHasNoMedian(t *testing.T) {
	t.Parallel()
	median, p90, times := spread(map[string]int{})
	require.Zero(t, median)
	require.Zero(t, p90)
	require.Len(t, times, len(spans))
	one, _, _ := spread(map[string]int{bucket(1000 * time.Hour): 1})
	require.Positive(t, one)
}
