package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long servers may take to start, and startPause lies
// between two looks.
const (
	patience   = 90 * time.Second
	startPause = 100 * time.Millisecond
)

// first is the first process of a world: it starts everything, then the program
// inside, and ends with it. All other processes of the world end then as well.
func first() error {
	var w World
	if err := json.Unmarshal([]byte(os.Getenv(worldVariable)), &w); err != nil {
		return fmt.Errorf("read %s: %w", worldVariable, err)
	}
	if err := w.prepare(); err != nil {
		return err
	}
	// From here on this process waits for every child there is: no exec.Cmd.
	ended := make(chan child)
	go reap(ended)
	if err := w.start(ended); err != nil {
		said, _ := os.ReadFile(says())
		return fmt.Errorf("%w\n%s\n%s", err, said, tail(Log("")))
	}
	return inside(ended)
}

// says is where what the servers print goes.
func says() string { return filepath.Join(Folder(), "starts") }

// start starts the servers and waits until all their doors are open, or one of
// them failed.
func (w World) start(ended <-chan child) error {
	names := map[int]string{}
	for _, name := range w.Servers {
		pid, err := spawn("/usr/sbin/chroot", rootOf(name), "/bin/sh", "-e", "/start")
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		names[pid] = name
	}
	open := make(chan error, 1)
	go func() { open <- w.answers() }()
	for {
		select {
		case c := <-ended:
			if name := names[c.pid]; name != "" && exitStatus(c.status) != 0 {
				return fmt.Errorf("%s did not start: exit status %d", name, exitStatus(c.status))
			}
		case err := <-open:
			return err
		}
	}
}

// child is a process that ended.
type child struct {
	pid    int
	status syscall.WaitStatus
}

// reap takes the end of all children, also of those whose parents are gone.
func reap(ended chan<- child) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			time.Sleep(startPause) // there are none at the moment
		default:
			ended <- child{pid, status}
		}
	}
}

// spawn starts a program of a server, whose end reap sees.
func spawn(path string, args ...string) (int, error) {
	out, err := os.OpenFile(says(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = out.Close() }()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	return syscall.ForkExec(path, append([]string{path}, args...), &syscall.ProcAttr{
		Env: serverEnviron, Files: []uintptr{in.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// inside runs the program itself, as the one child whose end matters.
func inside(ended <-chan child) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return len(v) > len(stageVariable) && v[:len(stageVariable)+1] == stageVariable+"="
	})
	pid, err := syscall.ForkExec(self, os.Args, &syscall.ProcAttr{
		Env:   append(environ, stageVariable+"="+stageInside),
		Files: []uintptr{os.Stdin.Fd(), os.Stdout.Fd(), os.Stderr.Fd()},
	})
	if err != nil {
		return err
	}
	for c := range ended {
		if c.pid != pid {
			continue
		}
		os.Exit(exitStatus(c.status)) //nolint:forbidigo // this process is the world, and the world is over
	}
	return nil
}

func exitStatus(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// prepare makes the world's ground: mounts, network, names, log, roots.
func (w World) prepare() error {
	if err := privateMounts(); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := unix.Sethostname([]byte("world.example")); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	if err := os.MkdirAll(Folder(), 0o755); err != nil { //nolint:gosec // servers that are not root pass through it
		return err
	}
	if err := mountMemory(Folder()); err != nil {
		return err
	}
	if err := w.serveNames(); err != nil {
		return err
	}
	dev := filepath.Join(Folder(), "dev")
	if err := os.Mkdir(dev, 0o755); err != nil { //nolint:gosec // as on any machine
		return err
	}
	if err := mountDevices(dev); err != nil {
		return err
	}
	if err := keepLog(filepath.Join(dev, "log")); err != nil {
		return err
	}
	return w.makeRoots(dev)
}

// serveNames starts the name server and makes it this namespace's own.
func (w World) serveNames() error {
	c, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", net.JoinHostPort(nameServer, "53"))
	if err != nil {
		return err
	}
	go func() { _ = answerNames(c) }()
	conf := filepath.Join(Folder(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+nameServer+"\n"), 0o644); err != nil { //nolint:gosec // everybody reads it
		return err
	}
	real, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	if err := unix.Mount(conf, real, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount resolv.conf: %w", err)
	}
	return nil
}

// makeRoots gives every server its root, configuration and keys.
func (w World) makeRoots(dev string) error {
	images, err := cache()
	if err != nil {
		return err
	}
	ca, err := newAuthority(time.Now())
	if err != nil {
		return err
	}
	if err := ca.writeOwn(Authority()); err != nil {
		return err
	}
	for _, name := range w.Servers {
		s := servers[name]
		root, err := mountRoot(filepath.Join(Folder(), name), imageFolder(images, s.image), imageFolder(images, base))
		if err != nil {
			return err
		}
		if err := unix.Mount(dev, filepath.Join(root, "dev"), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount devices: %w", err)
		}
		if err := w.configure(name, root); err != nil {
			return fmt.Errorf("configure %s: %w", name, err)
		}
		for _, key := range s.keys {
			if err := ca.write(filepath.Join(root, "etc/mta"), key); err != nil {
				return err
			}
		}
	}
	return nil
}

// answers waits until every door of the world is open.
func (w World) answers() error {
	var waiting sync.WaitGroup
	var mu sync.Mutex
	var silent []string
	deadline := time.Now().Add(patience)
	for _, name := range w.Servers {
		for _, door := range servers[name].doors {
			waiting.Go(func() {
				if !opens(door, deadline) {
					mu.Lock()
					defer mu.Unlock()
					silent = append(silent, name+" at "+door)
				}
			})
		}
	}
	waiting.Wait()
	if silent != nil {
		return fmt.Errorf("not answering: %q", silent)
	}
	return nil
}

func opens(door string, deadline time.Time) bool {
	host, port, _ := net.SplitHostPort(door)
	dialer := net.Dialer{Timeout: time.Second}
	for time.Now().Before(deadline) {
		c, err := dialer.DialContext(context.Background(), "tcp", net.JoinHostPort(hosts[host], port))
		if err == nil {
			return c.Close() == nil
		}
		time.Sleep(startPause)
	}
	return false
}
