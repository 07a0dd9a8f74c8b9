package config

import (
	"slices"
	"strings"
)

// nearest gives the name that was probably meant, or "" when none is near.
func nearest(written string, names []string) string {
	plain := func(s string) string {
		s = strings.ReplaceAll(strings.ToUpper(s), "-", "_")
		return strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(s, "_"), prefix), "_")
	}
	written = plain(written)
	best, least := "", len(written)/2+1
	for _, name := range names {
		if d := distance(written, plain(name)); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return best
	}
	// SMTP_URL, DATABASE.HOST or FROM: the longest name that shares its beginning or end.
	for _, name := range names {
		if p := plain(name); (oneEnds(p, written) || oneEnds(written, p)) && len(p) > len(plain(best)) {
			best = name
		}
	}
	return best
}

func oneEnds(long, short string) bool {
	return len(short) > 2 && (strings.HasPrefix(long, short) || strings.HasSuffix(long, short))
}

// distance is the number of letters to add, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(previous[j]+change, previous[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
