package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// children starts processes that never outlive this one: they are killed at the
// end, and by the kernel should this process be killed itself.
type children struct {
	start chan func() // runs on a thread that lives as long as the process

	mu      sync.Mutex
	running map[*process]bool
}

// process is a started child.
type process struct {
	cmd    *exec.Cmd
	begun  time.Time
	ended  chan struct{}
	family *children

	readyAfter time.Duration // from its start to its first 200, if it serves
}

func newChildren() *children {
	c := &children{start: make(chan func()), running: map[*process]bool{}}
	go func() {
		// The kernel kills a child when the *thread* that made it ends.
		runtime.LockOSThread()
		for f := range c.start {
			f()
		}
	}()
	return c
}

func (c *children) run(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, ended: make(chan struct{}), family: c}
	result := make(chan error)
	c.start <- func() {
		p.begun = time.Now()
		result <- cmd.Start()
	}
	if err := <-result; err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.running[p] = true
	c.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		c.mu.Lock()
		delete(c.running, p)
		c.mu.Unlock()
		close(p.ended)
	}()
	return p, nil
}

// killAll ends what still runs.
func (c *children) killAll() {
	c.mu.Lock()
	var left []*process
	for p := range c.running {
		left = append(left, p)
	}
	c.mu.Unlock()
	for _, p := range left {
		p.kill()
	}
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// stop asks it to end and waits, at most half a minute.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.kill()
	}
}

// memory gives the resident memory now and at its highest, in MB (10^6 bytes).
func (p *process) memory() (now, highest float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(text) {
		switch fields := strings.Fields(string(line)); {
		case len(fields) < 2:
		case fields[0] == "VmRSS:":
			now = kilobytes(fields[1])
		case fields[0] == "VmHWM:":
			highest = kilobytes(fields[1])
		}
	}
	return now, highest
}

func kilobytes(s string) float64 {
	n, _ := strconv.ParseFloat(s, 64) // the kernel writes numbers
	return n * 1024 / 1e6
}

// processorTime is user and system time spent so far (clock ticks of 10 ms).
func (p *process) processorTime() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // the kernel writes numbers
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// server is one installation of the product: its folder, address and process.
type server struct {
	*process
	family   *children
	binary   string
	folder   string
	database string // SPAREKEY_DATABASE
	address  string
	smtp     string
	log      string // SPAREKEY_LOG
	metrics  string // SPAREKEY_METRICS_LISTEN; "" for none
}

// build makes the binary as it is released.
func build(folder string) (binary string, megabytes float64, err error) {
	binary = filepath.Join(folder, "sparekey")
	// In its own module, or Go would look for the package in this one.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/sparekey")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", 0, fmt.Errorf("build the server (run this in bench/): %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return "", 0, err
	}
	return binary, float64(info.Size()) / 1e6, nil
}

func (s *server) environ() []string {
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool { // the runner's own settings must not leak in
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "SPAREKEY_") || slices.Contains([]string{"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG"}, name)
	})
	return append(kept,
		"SPAREKEY_LISTEN="+s.address, "SPAREKEY_URL=http://"+s.address, "SPAREKEY_DATABASE="+s.database,
		"SPAREKEY_KEY_FILE="+filepath.Join(s.folder, "sparekey.key"), "SPAREKEY_SMTP=smtp://"+s.smtp+"?tls=none",
		"SPAREKEY_MAIL_FROM=Bench <no-reply@bench.example>", "SPAREKEY_LIMITS=off", "SPAREKEY_LOG="+s.log, "SPAREKEY_METRICS_LISTEN="+s.metrics)
}

// command runs one of the product's commands to its end.
func (s *server) command(arguments ...string) ([]byte, error) {
	cmd := exec.Command(s.binary, arguments...)
	cmd.Dir, cmd.Env = s.folder, s.environ()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	p, err := s.family.run(cmd)
	if err != nil {
		return nil, err
	}
	<-p.ended
	if !cmd.ProcessState.Success() {
		return nil, fmt.Errorf("sparekey %s: %s: %s", strings.Join(arguments, " "), cmd.ProcessState, tail(complaint.String()))
	}
	return out.Bytes(), nil
}

func tail(s string) string { return strings.TrimSpace(s[max(0, len(s)-2000):]) }

// serve starts the server and returns when it is ready, with how long that
// took from the start of the process.
func (s *server) serve() (time.Duration, error) {
	log, err := os.OpenFile(filepath.Join(s.folder, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(s.binary, "serve")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.folder, s.environ(), log, log
	if s.process, err = s.family.run(cmd); err != nil {
		return 0, err
	}
	if took, ok := untilReady(s.process, s.address, "/readyz"); ok {
		return took, nil
	}
	s.kill()
	text, _ := os.ReadFile(log.Name()) // the error below is what matters
	return 0, fmt.Errorf("the server did not become ready: %s", tail(string(text)))
}

// untilReady asks until the first 200, for at most a minute.
func untilReady(p *process, address, path string) (time.Duration, bool) {
	c := newClient(address)
	defer c.close()
	for time.Since(p.begun) < time.Minute {
		a, err := c.get(path, "")
		if err == nil && a.status == 200 {
			return time.Since(p.begun), true
		}
		select {
		case <-p.ended:
			return 0, false
		case <-time.After(500 * time.Microsecond):
		}
	}
	return 0, false
}

// settle waits until the server has nothing to do: it uses less than 5 % of one
// core for a while. At most two minutes; false if it was still busy then.
func (s *server) settle() bool {
	const pause = 200 * time.Millisecond
	quiet, before := 0, s.processorTime()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		time.Sleep(pause)
		now := s.processorTime()
		if now-before <= pause/20 {
			quiet++
		} else {
			quiet = 0
		}
		if before = now; quiet == 3 {
			return true
		}
	}
	return false
}

// freeAddress gives a loopback address nobody listens on at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// child starts this program as one of its own children.
func (c *children) child(what string, output *bytes.Buffer, listener *os.File) (*process, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(own)
	cmd.Env = append(os.Environ(), childVariable+"="+what)
	cmd.Stderr = os.Stderr
	if output != nil {
		cmd.Stdout = output
	}
	if listener != nil {
		cmd.ExtraFiles = []*os.File{listener}
	}
	return c.run(cmd)
}

// hello starts the bare net/http page.
func (c *children) hello() (*process, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	p, err := c.child("hello", nil, f)
	if err != nil {
		return nil, "", err
	}
	took, ok := untilReady(p, l.Addr().String(), "/")
	if !ok {
		return nil, "", errors.New("the bare page did not start")
	}
	p.readyAfter = took
	return p, l.Addr().String(), nil
}

// hash runs the bare hash in a process of its own.
func (c *children) hash(goroutines int, length time.Duration) outcome {
	var out bytes.Buffer
	p, err := c.child(fmt.Sprintf("hash %d %d", goroutines, int64(length)), &out, nil)
	if err != nil {
		return outcome{failed: 1, why: err}
	}
	<-p.ended
	var o outcome
	if _, err := fmt.Fscan(&out, &o.done, (*int64)(&o.took)); err != nil {
		return outcome{failed: 1, why: err}
	}
	return o
}
