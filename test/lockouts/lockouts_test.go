// Package lockouts plays the ways people are locked out, each a real cause, and
// looks that they come back in. Everything is done from outside: pages by their
// words, mail by SMTP, events of providers by HTTP with their signatures.
//
// docs/lockouts.md is what a run tells:
//
//	SPAREKEY_LOCKOUTS=docs/lockouts.md go test ./test/lockouts
package lockouts

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/config"
)

// lockout is one cause and what follows from it.
type lockout struct {
	Cause string
	Run   func(s *scene)
	// Server makes the mail server, where an ordinary one will not do.
	Server func(t *testing.T) *office
	// Config changes the configuration of the product.
	Config func(s *scene, c *config.Config)
}

// group is a chapter of the document.
type group struct {
	Title    string
	LockOuts []lockout
}

var groups = []group{
	{"The address and the mailbox", addresses},
	{"Their mail server", receivers},
	{"What comes back later", returned},
	{"Taken, and then nothing", silence},
	{"The link", links},
	{"The new password and the code", forms},
	{"Who asks, and for whom", askings},
	{"Our own mail server", ours},
}

func TestMain(m *testing.M) {
	flag.Parse()
	folder, err := os.MkdirTemp("", "sparekey-lockouts-")
	if err == nil {
		err = trustOurAuthority(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "make an authority:", err)
		os.Exit(1)
	}
	_ = flag.Set("test.parallel", "6") // they mostly wait: for mail, and for each other's disk
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

// TestEveryLockOutEnds: in each the person is logged in, or refused with the
// reason, and the administrator needs at most three clicks. One in four runs on
// PostgreSQL too; with -short only one in four runs at all.
func TestEveryLockOutEnds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told, all := map[string]record{}, 0
	t.Run("lockouts", func(t *testing.T) {
		for _, g := range groups {
			for _, l := range g.LockOuts {
				all++
				fourth := all%4 == 1
				if testing.Short() && !fourth {
					continue
				}
				engines := []string{"sqlite"}
				if fourth && !testing.Short() {
					engines = append(engines, "postgres")
				}
				for _, engine := range engines {
					t.Run(l.Cause+"/"+engine, func(t *testing.T) {
						t.Parallel()
						s := begin(t, l, engine)
						l.Run(s)
						require.NotEmpty(t, s.told.end, "how does it end?")
						require.LessOrEqual(t, s.told.clicks, mostClicks, strings.Join(s.told.presses, ", "))
						if engine == "sqlite" {
							mu.Lock()
							defer mu.Unlock()
							told[l.Cause] = s.told
						}
					})
				}
			}
		}
	})
	if t.Failed() || len(told) < all {
		return // only what all of them tell can be compared
	}
	require.GreaterOrEqual(t, all, 40)
	compare(t, document(told))
}

// TestTheLockOutsAreDifferent: the document names each cause once.
func TestTheLockOutsAreDifferent(t *testing.T) {
	t.Parallel()
	var causes []string
	for _, g := range groups {
		for _, l := range g.LockOuts {
			require.NotContains(t, causes, l.Cause)
			causes = append(causes, l.Cause)
		}
	}
}
