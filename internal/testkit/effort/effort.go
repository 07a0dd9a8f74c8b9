// Package effort measures what a piece of work costs in processor time, which
// stays the same however busy the machine is, so that a test may bound it.
package effort

import (
	"runtime"
	"time"
)

// Of runs work and gives the processor time that its goroutine spent. What it
// hands to other goroutines does not count, nor does waiting.
func Of(work func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := spent()
	work()
	return spent() - began
}
