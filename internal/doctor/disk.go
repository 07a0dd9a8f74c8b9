//go:build linux || darwin

package doctor

import "golang.org/x/sys/unix"

// freeBytes is what an ordinary user may still write.
func freeBytes(folder string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec // a block size is positive
}
