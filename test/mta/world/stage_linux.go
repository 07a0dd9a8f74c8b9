package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// World says what to start and how long its minutes are.
type World struct {
	Servers []string // by name, see All and Few
	// Lifetime is how long the servers try before they give up, Warn when they
	// first say that they still try, Grey how long a greylist keeps a stranger
	// waiting. Elsewhere these are days, hours and minutes.
	Lifetime, Warn, Grey time.Duration
}

// stageVariable tells a program that was started again what it is.
const stageVariable = "SPAREKEY_MTA_STAGE"

// worldVariable carries the World to the next stage.
const worldVariable = "SPAREKEY_MTA_WORLD"

const (
	stageImage  = "image"  // makes one image
	stageFirst  = "first"  // the first process of the world
	stageInside = "inside" // the tests
)

// Inside tells whether this process runs in a world.
func Inside() bool { return os.Getenv(stageVariable) == stageInside }

// Longest is after how long every server of this world has given up.
func Longest() time.Duration {
	var w World
	if json.Unmarshal([]byte(os.Getenv(worldVariable)), &w) != nil {
		return 0
	}
	return w.Lifetime
}

// Start is for the very beginning of a program that calls Run: in the stages
// between it does their work and does not return.
func Start() {
	var err error
	switch os.Getenv(stageVariable) {
	case stageImage:
		err = buildImage()
	case stageFirst:
		err = first()
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		os.Exit(1) //nolint:forbidigo // a stage of its own has no caller to return to
	}
	os.Exit(0) //nolint:forbidigo // the same
}

// Run runs this program, with its arguments, inside a new world, and gives its
// exit status. The error says why there is no world, and what to do.
func Run(w World) (status int, err error) {
	if os.Geteuid() != 0 {
		return asRoot()
	}
	if err := w.makeImages(); err != nil {
		return 0, err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	err = again(stageFirst, unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWNET|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC, worldVariable+"="+string(text))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if errors.Is(err, unix.EPERM) {
		return 0, errors.New("this machine gives root no namespaces of its own (a container needs CAP_SYS_ADMIN, for example docker run --privileged)")
	}
	return 0, err
}

// asRoot runs this program once more through sudo, if that asks for no password.
func asRoot() (int, error) {
	ctx := context.Background() // the tests inside have their own patience
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
		return 0, errors.New("they need root, for namespaces of their own. Run the tests as root, or as somebody who may use sudo without a password; go test -short leaves them out")
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	c := exec.CommandContext(ctx, "sudo", append([]string{"-n", "--preserve-env", self}, os.Args[1:]...)...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// again runs this program as another stage in new namespaces. It ends when the
// caller does, whatever ends the caller.
func again(stage string, namespaces uintptr, environ ...string) error {
	runtime.LockOSThread() // the signal comes with the end of the thread that started it
	defer runtime.UnlockOSThread()
	c := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	c.Env = append(append(os.Environ(), stageVariable+"="+stage), environ...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	return c.Run()
}
