//go:build linux

package mta

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	binary := os.Getenv(binaryVariable)
	if binary == "" { // else sudo started this process, and the program is there
		folder, err := os.MkdirTemp("", "sparekey-mta-")
		if err != nil {
			return 0, err
		}
		defer func() { _ = os.RemoveAll(folder) }()
		binary = filepath.Join(folder, "sparekey")
		if said, err := exec.Command("go", "build", "-o", binary, "../../cmd/sparekey").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build the program: %w: %s", err, said)
		}
		if err := os.Setenv(binaryVariable, binary); err != nil {
			return 0, err
		}
	}
	w := world.World{Servers: world.Few(), Lifetime: 30 * time.Second, Warn: 8 * time.Second, Grey: 4 * time.Second}
	if *whole {
		w = world.World{Servers: world.All(), Lifetime: 60 * time.Second, Warn: 20 * time.Second, Grey: 10 * time.Second}
	}
	return world.Run(w)
}

// seeSources opens what the program is made of. go test shows an old result
// again while the files that a test has opened are the same, and it does not
// know of the program.
func seeSources(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"../../cmd", "../../internal"} {
		require.NoError(t, filepath.WalkDir(folder, func(_ string, _ fs.DirEntry, err error) error { return err }))
	}
	_, err := os.ReadFile("../../go.sum")
	require.NoError(t, err)
}

func shell() int {
	c := exec.Command("bash", "-i")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if c.Run() != nil {
		return 1
	}
	return 0
}
