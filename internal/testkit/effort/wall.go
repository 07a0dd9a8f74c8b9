//go:build !linux && !darwin && !freebsd

package effort

import "time"

var start = time.Now()

// spent gives the time that has passed: more than the work alone costs.
func spent() time.Duration { return time.Since(start) }
