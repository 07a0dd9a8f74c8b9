package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/fault"
)

type serveCommand struct {
	NoMigrate bool         `help:"Refuse to start on a database that is older than this program, instead of bringing it up to date."`
	Settings  kong.Plugins `embed:""`
}

func (serveCommand) Help() string {
	return "It serves until it gets SIGINT or SIGTERM; then requests and mails under way are finished first. A second signal ends it at once."
}

func (c serveCommand) Run(ctx context.Context, t *terminal, s *settings) error {
	conf, err := s.load(t)
	if err != nil {
		return err
	}
	o := options(conf, t)
	o.Hash.Workers = fitMachine()
	o.NoMigrate = c.NoMigrate
	l, err := listen(ctx, conf.Listen)
	if err != nil {
		return err
	}
	server, err := app.New(ctx, conf, o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	announce(o.Log, conf, l.Addr())
	return server.Run(ctx, l)
}

// fitMachine sets the runtime up for hashing passwords, one at a time on each core,
// and tells how many cores there are: fewer than the machine's where a container is
// limited. Whoever sets GOMAXPROCS or GOMEMLIMIT has decided.
//
// Go gets one thread more than there are cores. Hashes keep every core busy for many
// milliseconds at a time; with a thread to spare the kernel, which shares time
// fairly, gets short requests in between.
func fitMachine() (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores + 1)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal(cores))
	}
	return cores
}

// memoryGoal is where collecting garbage begins in earnest, in bytes. The 19 MiB of a
// hash count as in use, and without a goal as much again could pile up before it is
// collected. There is room for two hashes more than run at once: with less, what
// they keep for the next is collected and faulted in anew.
func memoryGoal(hashes int) int64 {
	const others, hash = 36 << 20, 19 << 20
	return others + hash*int64(hashes+2)
}

// listen opens the address, or says in a sentence why not.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.New(fault.Conflict, "Another program listens on %s already. Stop it, or choose another address with --listen.", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.New(fault.Denied, "This user may not listen on %s. Choose a port above 1023 with --listen.", address)
	default:
		return nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("The server cannot listen on %s.", address))
	}
}

// announce says where the server is, and warns of links that lead elsewhere
// because nobody set the public address.
func announce(log *slog.Logger, c config.Config, at net.Addr) {
	log.Info("serving", "address", at.String(), "url", c.URL.String())
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.Port != 8080 && c.URL.String() == "http://localhost:8080" {
		log.Warn("links in mails begin with the public address, which is not where this server listens; set SPAREKEY_URL or --url", "url", c.URL.String())
	}
}
