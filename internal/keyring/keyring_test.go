package keyring_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/testkit/database"
)

const env id.Environment = "env"

// node is one process: its own handle on the database.
func node(t *testing.T, c config.Database) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{Engine: c.Engine, DSN: c.DSN, Clock: time.Now, MeasureEvery: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	_, err = d.Migrate(t.Context())
	require.NoError(t, err)
	return d
}

func eachDB(t *testing.T, test func(t *testing.T, c config.Database, file string)) {
	t.Helper()
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		test(t, testkit.Database(t, engine), filepath.Join(t.TempDir(), "sparekey.key"))
	})
}

func open(t *testing.T, d *db.DB, file string) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(t.Context(), d, file)
	require.NoError(t, err)
	return r
}

func sign(t *testing.T, r *keyring.Ring, key uint8, link secret.LinkID) string {
	t.Helper()
	text, err := r.Text(t.Context(), secret.Reset, env, key, link)
	require.NoError(t, err)
	return text
}

func read(t *testing.T, r *keyring.Ring, text string) (secret.LinkID, secret.Problem) {
	t.Helper()
	link, problem, err := r.Read(t.Context(), secret.Reset, env, text)
	require.NoError(t, err)
	return link, problem
}

func states(t *testing.T, d *db.DB) string {
	t.Helper()
	keys, err := keyring.List(t.Context(), d)
	require.NoError(t, err)
	var all []string
	for _, k := range keys {
		state := "signing"
		switch {
		case !k.RevokedAt.IsZero():
			state = "revoked"
		case !k.RetiredAt.IsZero():
			state = "retired"
		}
		all = append(all, fmt.Sprint(k.ID, " ", state))
	}
	return strings.Join(all, ", ")
}

// refusedOpen opens and gives the one sentence of the refusal.
func refusedOpen(t *testing.T, d *db.DB, file string, kind fault.Kind) string {
	t.Helper()
	_, err := keyring.Open(t.Context(), d, file)
	require.True(t, fault.Is(err, kind), "%v", err)
	require.Contains(t, fault.As(err).Sentence, file)
	return fault.As(err).Sentence
}

func TestTheFirstCommandMakesTheFile(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		left, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		require.Len(t, left, 1, "nothing is left beside it")
		require.Equal(t, "1 signing", states(t, d))

		link := secret.NewLinkID()
		text := sign(t, r, 1, link)
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		got, problem := read(t, open(t, node(t, c), file), text)
		require.Equal(t, secret.Fine, problem)
		require.Equal(t, link, got, "another node with the file reads the same")
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}

func TestAKeyFileThatDoesNotFitStopsWithOneSentence(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		folder := filepath.Join(filepath.Dir(file), "no", "such", "folder.key")
		require.Contains(t, refusedOpen(t, d, folder, fault.Unavailable), "cannot be written")
		open(t, d, file)

		kept := file + ".kept"
		require.NoError(t, os.Rename(file, kept))
		require.Contains(t, refusedOpen(t, d, file, fault.Conflict), "is missing")
		require.NoFileExists(t, file, "no new one is made for a database that knows one")

		require.NoError(t, os.WriteFile(file, []byte(secret.NewKey().KeyFile()), 0o600))
		require.Contains(t, refusedOpen(t, d, file, fault.Conflict), "does not belong to this database")
		for _, broken := range []string{"", "hello", "sparekey-master-key-1 ", "sparekey-master-key-1 AAAA\n", "sparekey-master-key-2 " + strings.Repeat("A", 43)} {
			require.NoError(t, os.WriteFile(file, []byte(broken), 0o600))
			require.Contains(t, refusedOpen(t, d, file, fault.Invalid), "is not a Sparekey key file", "%q", broken)
		}
		require.NoError(t, os.Remove(file))
		require.NoError(t, os.Mkdir(file, 0o700))
		require.Contains(t, refusedOpen(t, d, file, fault.Unavailable), "cannot be read")
		require.NoError(t, os.Remove(file))
		require.NoError(t, os.Rename(kept, file))
		open(t, d, file)
		require.Equal(t, "1 signing", states(t, d), "nothing was changed by all that")
	})
}

// TestSeveralFirstCommandsAtOnce: they agree on one file and one key.
func TestSeveralFirstCommandsAtOnce(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		texts := make([]string, 8)
		link := secret.NewLinkID()
		var running sync.WaitGroup
		for i := range texts {
			running.Go(func() {
				r, err := keyring.Open(t.Context(), d, file)
				if err == nil {
					texts[i], err = r.Text(t.Context(), secret.Reset, env, 1, link)
				}
				if err != nil {
					texts[i] = err.Error()
				}
			})
		}
		running.Wait()
		for _, text := range texts {
			require.Equal(t, texts[0], text)
		}
		require.Len(t, texts[0], secret.LinkLength)
		require.Equal(t, "1 signing", states(t, d))
	})
}

// TestTwoFirstCommandsWithTwoFiles: one wins, the other is told.
func TestTwoFirstCommandsWithTwoFiles(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		errs := make([]error, 2)
		var running sync.WaitGroup
		for i := range errs {
			running.Go(func() { _, errs[i] = keyring.Open(t.Context(), d, fmt.Sprint(file, i)) })
		}
		running.Wait()
		if errs[0] != nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		require.NoError(t, errs[0])
		require.True(t, fault.Is(errs[1], fault.Conflict), "%v", errs[1])
		require.Equal(t, "1 signing", states(t, d))
	})
}

func TestPurposesAndEnvironmentsAreApart(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		r := open(t, node(t, c), file)
		link := secret.NewLinkID()
		text := sign(t, r, 1, link)
		for _, p := range []secret.Purpose{secret.Invite, secret.NotMe, secret.Confirm} {
			_, problem, err := r.Read(t.Context(), p, env, text)
			require.NoError(t, err)
			require.Equal(t, secret.Damaged, problem, p)
		}
		_, problem, err := r.Read(t.Context(), secret.Reset, "another", text)
		require.NoError(t, err)
		require.Equal(t, secret.Damaged, problem)
		here, err := r.Code(t.Context(), env, 1, link)
		require.NoError(t, err)
		there, err := r.Code(t.Context(), "another", 1, link)
		require.NoError(t, err)
		require.NotEqual(t, here, there)
		for _, nobodys := range []uint8{0, 2, 255} {
			_, err := r.Text(t.Context(), secret.Reset, env, nobodys, link)
			require.ErrorContains(t, err, "no key")
			_, err = r.Code(t.Context(), env, nobodys, link)
			require.ErrorContains(t, err, "no key")
		}
	})
}

func TestRotating(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		here, there := node(t, c), node(t, c)
		one, two := open(t, here, file), open(t, there, file)
		link := secret.NewLinkID()
		old := sign(t, one, 1, link)
		require.NoError(t, one.Rotate(t.Context()))
		require.Equal(t, "1 retired, 2 signing", states(t, there))
		_, problem := read(t, two, sign(t, one, 2, link))
		require.Equal(t, secret.Fine, problem, "the other node follows at once")
		for _, r := range []*keyring.Ring{one, two} {
			_, problem = read(t, r, old)
			require.Equal(t, secret.Fine, problem, "old links stay")
		}
		require.NotEqual(t, old, sign(t, two, 2, link))
	})
}

func TestRevoking(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		require.NoError(t, r.Rotate(t.Context()))
		require.NoError(t, r.Revoke(t.Context(), 1))
		require.Equal(t, "1 revoked, 2 signing", states(t, d), "a retired one: nothing else changes")
		require.NoError(t, r.Revoke(t.Context(), 2))
		require.Equal(t, "1 revoked, 2 revoked, 3 signing", states(t, d), "the signing one: another takes its place")
		for _, number := range []int{2, 4, 0, -1, 1000} {
			require.True(t, fault.Is(r.Revoke(t.Context(), number), fault.NotFound), number)
		}
		require.Equal(t, "1 revoked, 2 revoked, 3 signing", states(t, d))
	})
}

func TestARingHolds255Keys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sparekey.key")
	d := node(t, testkit.Database(t, "sqlite"))
	r := open(t, d, file)
	for range 254 {
		require.NoError(t, r.Rotate(t.Context()))
	}
	full := states(t, d)
	require.True(t, strings.HasSuffix(full, "255 signing"))
	err := r.Rotate(t.Context())
	require.True(t, fault.Is(err, fault.Conflict))
	require.Contains(t, fault.As(err).Sentence, "sparekey keys reset")
	require.Equal(t, full, states(t, d), "the last key still signs")
	require.NoError(t, keyring.Reset(t.Context(), d, file))
	require.Equal(t, "1 signing", states(t, d))
}

func TestRewrapping(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		link := secret.NewLinkID()
		text := sign(t, r, 1, link)
		running := open(t, node(t, c), file) // a server that nobody restarts
		// Another node rotates; this ring does not know the key.
		require.NoError(t, open(t, node(t, c), file).Rotate(t.Context()))
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, r.Rewrap(t.Context(), file))
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotEqual(t, before, after)
		left, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		require.Len(t, left, 1)

		again := open(t, node(t, c), file)
		_, problem := read(t, again, text)
		require.Equal(t, secret.Fine, problem, "links live on")
		require.Equal(t, sign(t, r, 2, link), sign(t, again, 2, link))
		_, err = running.Text(t.Context(), secret.Reset, env, 2, link)
		require.ErrorContains(t, err, "the master key was changed while this server ran: restart it")
		require.NoError(t, r.Rotate(t.Context()), "this ring goes on with the new key")
		_, problem = read(t, again, sign(t, r, 3, link))
		require.Equal(t, secret.Fine, problem)

		require.NoError(t, os.WriteFile(file, before, 0o600))
		require.Contains(t, refusedOpen(t, d, file, fault.Conflict), "does not belong to this database")
	})
}

// TestARewrapThatWasKilled, before and after the database knew.
func TestARewrapThatWasKilled(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		text := sign(t, r, 1, secret.NewLinkID())
		before, err := os.ReadFile(file)
		require.NoError(t, err)

		require.NoError(t, os.WriteFile(file+".new", []byte(secret.NewKey().KeyFile()), 0o600))
		r = open(t, d, file) // killed before: the old file still fits
		require.NoError(t, r.Rewrap(t.Context(), file))
		after, err := os.ReadFile(file)
		require.NoError(t, err)

		require.NoError(t, os.WriteFile(file+".new", after, 0o600))
		require.NoError(t, os.WriteFile(file, before, 0o600))
		_, problem := read(t, open(t, d, file), text) // killed after: Open finishes
		require.Equal(t, secret.Fine, problem)
		now, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, after, now)
		require.NoFileExists(t, file+".new")
	})
}

func TestResettingCostsTheLinksAndNothingElse(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		old := open(t, d, file)
		link := secret.NewLinkID()
		text := sign(t, old, 1, link)
		lost, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.Remove(file))
		require.NoError(t, keyring.Reset(t.Context(), d, file))
		fresh := open(t, node(t, c), file)
		require.Equal(t, "2 signing", states(t, d))
		_, problem := read(t, fresh, text)
		require.Equal(t, secret.Damaged, problem)
		_, _, err = old.Read(t.Context(), secret.Reset, env, sign(t, fresh, 2, link))
		require.Error(t, err, "a server that was not restarted notices")

		require.NoError(t, os.WriteFile(file, lost, 0o600)) // found again, too late
		require.Contains(t, refusedOpen(t, d, file, fault.Conflict), "does not belong")
		require.NoError(t, keyring.Reset(t.Context(), d, file))
		kept, err := os.ReadFile(file + ".old")
		require.NoError(t, err)
		require.Equal(t, lost, kept, "no key file is thrown away")
	})
}

// TestAResetThatDidNotComeToItsEnd: no key is lost, however often and wherever it ends.
func TestAResetThatDidNotComeToItsEnd(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		text := sign(t, open(t, d, file), 1, secret.NewLinkID())
		first, err := os.ReadFile(file)
		require.NoError(t, err)
		other := []byte(secret.NewKey().KeyFile())
		require.NoError(t, os.WriteFile(file+".old", other, 0o600))

		gone, err := db.Open(t.Context(), db.Config{Engine: c.Engine, DSN: c.DSN, Clock: time.Now, MeasureEvery: time.Hour})
		require.NoError(t, err)
		require.NoError(t, gone.Close())
		for range 3 {
			require.Error(t, keyring.Reset(t.Context(), gone, file), "the database does not answer")
		}
		_, problem := read(t, open(t, d, file), text)
		require.Equal(t, secret.Fine, problem, "nothing has changed")

		require.NoError(t, keyring.Reset(t.Context(), d, file))
		second, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		for name, want := range map[string][]byte{".old": other, ".old.2": first} {
			kept, err := os.ReadFile(file + name)
			require.NoError(t, err)
			require.Equal(t, want, kept)
		}
		require.NoFileExists(t, file+".old.3")

		// Killed after the database took it.
		require.NoError(t, os.Rename(file, file+".new"))
		require.NoError(t, os.WriteFile(file, first, 0o600))
		open(t, d, file)
		now, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, second, now)
	})
}

// TestMadeUpNumbersCostOneLookASecond, and hold up no real link.
func TestMadeUpNumbersCostOneLookASecond(t *testing.T) {
	t.Parallel()
	c, file := testkit.Database(t, "sqlite"), filepath.Join(t.TempDir(), "sparekey.key")
	var ahead atomic.Int64
	d, err := db.Open(t.Context(), db.Config{Engine: c.Engine, DSN: c.DSN, Clock: func() time.Time {
		return time.Unix(1_800_000_000, ahead.Load())
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	_, err = d.Migrate(t.Context())
	require.NoError(t, err)
	here, there := open(t, d, file), open(t, node(t, c), file)
	for range 3 {
		require.NoError(t, there.Rotate(t.Context()))
	}
	made := secret.SignLink(secret.NewKey().Derive(secret.Reset), 5, secret.NewLinkID(), string(env))
	_, problem := read(t, here, made)
	require.Equal(t, secret.Damaged, problem)
	require.NoError(t, there.Rotate(t.Context()))
	genuine := sign(t, there, 5, secret.NewLinkID())
	_, problem = read(t, here, genuine)
	require.Equal(t, secret.Damaged, problem, "the same number within the second is not looked for")
	ahead.Store(int64(time.Second))
	_, problem = read(t, here, genuine)
	require.Equal(t, secret.Fine, problem)
	_, problem = read(t, here, secret.SignLink(secret.NewKey().Derive(secret.Reset), 7, secret.NewLinkID(), string(env)))
	require.Equal(t, secret.Damaged, problem)
	require.NoError(t, there.Rotate(t.Context()))
	_, problem = read(t, here, sign(t, there, 6, secret.NewLinkID()))
	require.Equal(t, secret.Fine, problem, "another number is")
}

// TestWhatAnotherNodeDoesWithKeysCountsHere follows links and codes of a running
// server through rotation and revocation by another process.
func TestWhatAnotherNodeDoesWithKeysCountsHere(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		other, err := app.Open(t.Context(), w.Config, testkit.Options(w.Clock))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, other.Close()) })
		ask := func() (link, code string) {
			w.Inbox.Clear()
			w.Browser().Post("/acme/forgot-password", url.Values{"email": {"jane@acme.example"}})
			m := w.Mail("jane@acme.example", "Reset your password")
			return m.LinkTo("/reset-password/"), m.Code()
		}
		enter := func(code string) int {
			return w.Browser().Post("/acme/reset-password", url.Values{"email": {"jane@acme.example"}, "code": {code}}).Status
		}
		first, firstCode := ask()
		require.NoError(t, other.Ring.Rotate(t.Context()))
		second, secondCode := ask()
		require.Equal(t, http.StatusOK, w.Browser().Get(first).Status)
		require.Equal(t, http.StatusOK, w.Browser().Get(second).Status)

		require.NoError(t, other.Ring.Revoke(t.Context(), 1))
		dead := w.Browser().Get(first)
		require.Equal(t, http.StatusGone, dead.Status)
		require.Contains(t, dead.Text(), "all links of that time were cancelled")
		require.Equal(t, http.StatusUnprocessableEntity, enter(firstCode))
		require.Equal(t, http.StatusOK, w.Browser().Get(second).Status)
		require.Equal(t, http.StatusOK, enter(secondCode))

		require.NoError(t, other.Ring.Revoke(t.Context(), 2))
		require.Equal(t, http.StatusGone, w.Browser().Get(second).Status)
		third, _ := ask()
		require.Equal(t, http.StatusOK, w.Browser().Get(third).Status, "a new key signs")
		dead = w.Browser().Get(second)
		require.Equal(t, http.StatusGone, dead.Status)
		w.Browser().Get(third).Fill("New password", "three unrelated words fit").Press("Set new password")
		require.Equal(t, "/acme/account", w.Browser().SignIn("jane@acme.example", "three unrelated words fit").URL.Path)
	})
}
