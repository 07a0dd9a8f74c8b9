package web

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
)

// Watching a page: how often it is looked whether something happened, how often
// a quiet line is kept open, how long one line lives before the browser opens a
// new one, and how many may be open at a time.
const (
	watchEvery = time.Second
	watchQuiet = 15 * time.Second
	watchFor   = 10 * time.Minute
	watchMost  = 500
)

// watchers counts the open lines of this process.
var watchers atomic.Int64

// watchUser tells the browser whenever something happens to a user, so that the
// page can be fetched again (server-sent events, HTML standard section 9.2). The
// line ends with the session: its cookie is looked at each time.
func (d *Door) watchUser(v *visit) error {
	userID, err := v.userID()
	if err != nil {
		return err
	}
	version, err := d.UserManager.Version(v.ctx(), v.actor(), v.env, userID)
	if err != nil {
		return err
	}
	if watchers.Add(1) > watchMost {
		watchers.Add(-1)
		return fault.New(fault.Unavailable, "Too many pages are being watched. Reload the page to see what is new.")
	}
	defer watchers.Add(-1)
	line := http.NewResponseController(v.w)
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.WriteHeader(http.StatusOK)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	send := func(text string) bool {
		_ = line.SetWriteDeadline(time.Time{}) // the line outlives the time for a page; what is sent is a few bytes
		_, err := v.w.Write([]byte(text))
		return err == nil && line.Flush() == nil
	}
	if !send("retry: 3000\n\n") {
		return nil
	}
	for started, said := v.now, v.now; d.Clock().Sub(started) < watchFor; {
		select {
		case <-v.ctx().Done():
			return nil
		case <-d.Stopping:
			return nil
		case <-tick.C:
		}
		if v.resume() != nil || !v.signedIn() {
			return nil
		}
		next, err := d.UserManager.Version(v.ctx(), v.actor(), v.env, userID)
		if err != nil {
			return nil // the answer is under way: the page's own reload says what is wrong
		}
		switch {
		case next != version:
			version = next
			if !send("event: changed\ndata: .\n\n") {
				return nil
			}
			said = d.Clock()
		case d.Clock().Sub(said) >= watchQuiet:
			if !send(": still here\n\n") {
				return nil
			}
			said = d.Clock()
		}
	}
	return nil
}
