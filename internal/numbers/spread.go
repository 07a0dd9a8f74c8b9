package numbers

import (
	"fmt"
	"time"
)

// edges are the upper ends of the counted times in seconds; the last has none.
// A quantile read from them is off by less than a fifth.
var edges = []int{
	5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 105, 120, 140, 160, 180, 210, 240, 270, 300, 360, 420, 480, 540, 600, 720, 900,
	1080, 1260, 1500, 1800, 2160, 2520, 3000, 3600, 4320, 5400, 7200, 9000, 10800, 14400, 18000, 21600, 28800, 36000, 43200, 64800, 86400, 172800,
}

// Span is a range of times, as the page shows them.
type Span struct {
	Words string
	upTo  int // seconds; 0: no end
}

var spans = []Span{
	{"under 1 minute", 60},
	{"1 to 2 minutes", 120},
	{"2 to 5 minutes", 300},
	{"5 to 15 minutes", 900},
	{"15 minutes to 1 hour", 3600},
	{"1 to 4 hours", 14400},
	{"4 to 24 hours", 86400},
	{"more than a day", 0},
}

// bucket names the measure of a time.
func bucket(took time.Duration) string {
	for i, edge := range edges {
		if took < time.Duration(edge)*time.Second {
			return bucketName(i)
		}
	}
	return bucketName(len(edges))
}

func bucketName(i int) string { return fmt.Sprintf("time:%02d", i) }

// spread reads the median, the 90th percentile and the spans from the buckets.
func spread(total map[string]int) (median, p90 time.Duration, times []Count[Span]) {
	counts, all := make([]int, len(edges)+1), 0
	for i := range counts {
		counts[i] = total[bucketName(i)]
		all += counts[i]
	}
	for _, s := range spans {
		times = append(times, Count[Span]{What: s})
	}
	at := 0
	for i, n := range counts {
		for at < len(spans)-1 && (i == len(edges) || edges[i] > spans[at].upTo) {
			at++
		}
		times[at].N += n
	}
	return quantile(counts, all, .5), quantile(counts, all, .9), times
}

// quantile goes into the bucket where it falls as far as its share of it.
func quantile(counts []int, all int, q float64) time.Duration {
	if all == 0 {
		return 0
	}
	wanted, low := q*float64(all), 0
	for i, n := range counts {
		high := 2 * edges[len(edges)-1]
		if i < len(edges) {
			high = edges[i]
		}
		if n > 0 && wanted <= float64(n) {
			return time.Duration((float64(low) + float64(high-low)*wanted/float64(n)) * float64(time.Second)).Round(time.Second)
		}
		wanted -= float64(n)
		low = high
	}
	return time.Duration(low) * time.Second
}
