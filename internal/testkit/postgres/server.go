package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// places are where PostgreSQL's own programs lie, besides PATH: Debian keeps a
// folder for each major version and leaves them out of it.
var places = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"}

// binaries gives the folder that holds initdb and postgres, newest version first.
func binaries(patterns []string) (string, error) {
	var folders []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
		folders = append(folders, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	for _, folder := range folders {
		_, initdb := os.Stat(filepath.Join(folder, "initdb"))
		_, postgres := os.Stat(filepath.Join(folder, "postgres"))
		if initdb == nil && postgres == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("none is installed: install the package postgresql, or set %s to the address of a running server, or leave these tests out with -short", Variable)
}

// version reads the major version out of the folder's path.
func version(folder string) int {
	digits := strings.Trim(folder, "/abcdefghijklmnopqrstuvwxyz-")
	major, _, _ := strings.Cut(digits, ".")
	n, _ := strconv.Atoi(major)
	return n
}

// account gives the user to run as: PostgreSQL refuses root. Nil means the current one.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is the answer, not a lack of one
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it")
}

// watchdog runs the server until its standard input ends, which it does when the
// test binary is gone, then ends it at once and removes its folder.
const watchdog = `folder=$1; shift
{ "$@" >"$folder/log" 2>&1 </dev/null; touch "$folder/ended"; } &
cat >/dev/null
kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid")"
wait
rm -rf "$folder"`

// lifeline is the watchdog's standard input. It is held here, since a collected
// pipe is a closed one.
var lifeline io.Closer //nolint:unused // held, never read

func start() (*url.URL, error) {
	bin, err := binaries(places)
	if err != nil {
		return nil, err
	}
	who, err := account()
	if err != nil {
		return nil, err
	}
	folder, err := newFolder(who)
	if err != nil {
		return nil, err
	}
	address, err := initAndServe(bin, folder, who)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return address, nil
}

// newFolder makes the private folder for data, socket and log.
func newFolder(who *syscall.Credential) (string, error) {
	parent := os.TempDir()
	if len(parent) > 60 {
		parent = "/tmp" // the path of a socket has 107 characters at most
	}
	folder, err := os.MkdirTemp(parent, "sparekey-postgres-")
	if err != nil || who == nil {
		return folder, err
	}
	return folder, os.Chown(folder, int(who.Uid), int(who.Gid))
}

func initAndServe(bin, folder string, who *syscall.Credential) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	data := filepath.Join(folder, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "postgres",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	initdb.Dir = folder // the working directory may be closed to that user
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if said, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, said)
	}
	args := []string{"-c", watchdog, "watchdog", folder, filepath.Join(bin, "postgres"), "-D", data}
	for _, option := range []string{
		// A socket in the private folder alone: no port to compete for.
		"listen_addresses=", "unix_socket_directories=" + folder,
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
		"max_connections=500", "timezone=UTC", "log_timezone=UTC",
	} {
		args = append(args, "-c", option)
	}
	sh := exec.Command("sh", args...) //nolint:noctx // it lives as long as this process
	sh.Dir = folder
	// A group of its own: Ctrl-C is for the tests, and the watchdog cleans up after them.
	sh.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	stdin, err := sh.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := sh.Start(); err != nil {
		return nil, err
	}
	address := &url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {folder}, "sslmode": {"disable"}}.Encode(),
	}
	if err := answers(ctx, address, folder); err != nil {
		return nil, errors.Join(err, stdin.Close(), sh.Wait())
	}
	lifeline = stdin
	return address, nil
}

// answers waits until the server takes connections, or has ended.
func answers(ctx context.Context, address *url.URL, folder string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, address.String())
		if err == nil {
			return c.Close(ctx)
		}
		_, ended := os.Stat(filepath.Join(folder, "ended"))
		if ended == nil || ctx.Err() != nil {
			said, _ := os.ReadFile(filepath.Join(folder, "log"))
			return fmt.Errorf("the server did not start: %w: %s", err, said)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
