package world

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// network brings the loopback interface up and makes all addresses of the world
// this machine's own. There is no other interface: nothing comes in, nothing
// goes out.
func network() (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return takeNetwork(fd)
}

// takeNetwork gives lo one address of 192.0.2.0/24. As with 127.0.0.0/8, all
// others of the network are then local too, without being listed: servers that
// find the next one among their own (Courier, OpenSMTPD) would take it for
// themselves.
func takeNetwork(fd int) error {
	label, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		request uint
		address []byte
	}{{unix.SIOCSIFADDR, []byte{192, 0, 2, 254}}, {unix.SIOCSIFNETMASK, []byte{255, 255, 255, 0}}} {
		if err := label.SetInet4Addr(step.address); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, step.request, label); err != nil {
			return fmt.Errorf("take the network 192.0.2.0/24: %w", err)
		}
	}
	return nil
}
