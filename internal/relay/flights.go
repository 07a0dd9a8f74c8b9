package relay

import "time"

// flights are conversations under way. Whoever has them guards them.
type flights struct {
	started map[int]time.Time
	next    int
}

func (f *flights) begin(now time.Time) (number int) {
	if f.started == nil {
		f.started = map[int]time.Time{}
	}
	f.next++
	f.started[f.next] = now
	return f.next
}

func (f *flights) end(number int) { delete(f.started, number) }

// longer counts those that have lasted longer than that.
func (f *flights) longer(than time.Duration, now time.Time) int {
	n := 0
	for _, at := range f.started {
		if now.Sub(at) > than {
			n++
		}
	}
	return n
}
