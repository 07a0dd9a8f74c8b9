package postgres

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheNewestVersionIsTaken(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, major := range []string{"9.6", "15", "18"} {
		bin := filepath.Join(root, major, "bin")
		require.NoError(t, os.MkdirAll(bin, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(bin, "initdb"), nil, 0o600))
		if major != "18" { // a client alone is no server
			require.NoError(t, os.WriteFile(filepath.Join(bin, "postgres"), nil, 0o600))
		}
	}
	found, err := binaries([]string{filepath.Join(root, "*", "bin")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "15", "bin"), found)
}

func TestWithoutPostgresTheSentenceSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := binaries([]string{filepath.Join(t.TempDir(), "*", "bin")})
	require.ErrorContains(t, err, "install the package postgresql")
}

func TestOldLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	DSN(t) // a server, or a skip
	admin, err := server()
	require.NoError(t, err)
	old, foreign := namePrefix+"1700000000_left", namePrefix+"of_somebody"
	for _, name := range []string{old, foreign} {
		require.NoError(t, run(admin, create(name, "template0")))
		t.Cleanup(func() { require.NoError(t, run(admin, drop(name))) })
	}
	require.NoError(t, sweep(admin))
	require.Error(t, run(inside(admin, old), "SELECT 1"))
	require.NoError(t, run(inside(admin, foreign), "SELECT 1"))
}

func inside(server *url.URL, name string) *url.URL {
	u, err := url.Parse(within(server, name))
	if err != nil {
		panic(err)
	}
	return u
}
