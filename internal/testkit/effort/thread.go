//go:build linux || darwin || freebsd

package effort

import (
	"time"

	"golang.org/x/sys/unix"
)

// spent gives the processor time of this thread so far.
func spent() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // the clock is there, by the constraint above
	}
	return time.Duration(t.Nano())
}
