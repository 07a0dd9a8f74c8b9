//go:build linux

package mta

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sparekey/sparekey/test/mta/world"
)

var (
	whole = flag.Bool("whole", false, "start every mail server and try every fate at each: some minutes")
	hold  = flag.Bool("hold", false, "run a shell in the world instead of the tests")
)

// binaryVariable carries the program's path into the world.
const binaryVariable = "SPAREKEY_MTA_BINARY"

func TestMain(m *testing.M) {
	flag.Parse()
	world.Start()
	if testing.Short() || world.Inside() {
		if *hold && world.Inside() {
			os.Exit(shell())
		}
		os.Exit(m.Run())
	}
	status, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "real mail servers:", err)
		status = 1
	}
	os.Exit(status)
}

// outside builds the program and runs the tests in a world.
func outside() (int, error) {
	folder, err := os.MkdirTemp("", "sparekey-mta-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	binary := filepath.Join(folder, "sparekey")
	if said, err := exec.Command("go", "build", "-o", binary, "../../cmd/sparekey").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the program: %w: %s", err, said)
	}
	w := world.World{Servers: world.Few(), Lifetime: 24 * time.Second, Warn: 9 * time.Second, Grey: 4 * time.Second}
	if *whole {
		w = world.World{Servers: world.All(), Lifetime: 60 * time.Second, Warn: 20 * time.Second, Grey: 10 * time.Second}
	}
	w.Environ = []string{binaryVariable + "=" + binary}
	return world.Run(w)
}

func shell() int {
	c := exec.Command("bash", "-i")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if c.Run() != nil {
		return 1
	}
	return 0
}
