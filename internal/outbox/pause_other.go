//go:build !linux

package outbox

import "time"

// pause may take a millisecond longer than asked for; see the one for Linux.
func pause(d time.Duration) { time.Sleep(d) }
