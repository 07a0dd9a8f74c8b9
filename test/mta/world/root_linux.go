package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// upper is the folder with what a root has over its images.
const upper = "upper"

// serverEnviron is what servers and their installation find set.
var serverEnviron = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "TZ=UTC"}

// privateMounts keeps what is mounted from here on from everybody else.
func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return nil
}

// mountMemory makes a folder live in memory.
func mountMemory(folder string) error {
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount memory on %s: %w", folder, err)
	}
	return nil
}

// mountRoot makes a root in a folder over images, the lowest last, and gives its path.
func mountRoot(folder string, images ...string) (string, error) {
	root := filepath.Join(folder, "root")
	for _, f := range []string{root, filepath.Join(folder, upper), filepath.Join(folder, "work")} {
		if err := os.MkdirAll(f, 0o755); err != nil { //nolint:gosec // it is the / of servers that are not root
			return "", err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(images, ":"), filepath.Join(folder, upper), filepath.Join(folder, "work"))
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount an overlay on %s: %w (the kernel module overlay is needed)", root, err)
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""); err != nil {
		return "", fmt.Errorf("mount proc: %w", err)
	}
	return root, nil
}

// mountDevices fills a folder with the harmless devices.
func mountDevices(dev string) error {
	if err := mountMemory(dev); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		node := filepath.Join(dev, name)
		if err := os.WriteFile(node, nil, 0o666); err != nil { //nolint:gosec // the device is mounted over it
			return err
		}
		if err := unix.Mount("/dev/"+name, node, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /dev/%s: %w", name, err)
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dev, "shm"), 0o777); err != nil { //nolint:gosec // as on any machine
		return err
	}
	return os.Chmod(filepath.Join(dev, "shm"), 0o1777) //nolint:gosec // the same
}
