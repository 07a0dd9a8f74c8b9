package outbox

import (
	"syscall"
	"time"
)

// pause waits for less than a millisecond, too. time.Sleep does not where nothing
// else is to do: the runtime then waits for the network, in whole milliseconds.
func pause(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR { // a signal of the runtime: the rest is left
	}
}
