package world

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// network brings the loopback interface up and gives it all addresses of the
// world. There is no other interface: nothing comes in, nothing goes out.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = raise(fd)
	for i, a := range addresses() {
		err = errors.Join(err, assign(fd, "lo:"+strconv.Itoa(i), a))
	}
	return errors.Join(err, unix.Close(fd))
}

func raise(fd int) error {
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}

func assign(fd int, label string, a netip.Addr) error {
	r, err := unix.NewIfreq(label)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		request uint
		address netip.Addr
	}{{unix.SIOCSIFADDR, a}, {unix.SIOCSIFNETMASK, netip.AddrFrom4([4]byte{255, 255, 255, 255})}} {
		if err := r.SetInet4Addr(step.address.AsSlice()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, step.request, r); err != nil {
			return fmt.Errorf("give %s to %s: %w", step.address, label, err)
		}
	}
	return nil
}
