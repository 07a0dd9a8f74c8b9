package keyring_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	verifier "github.com/emersion/go-msgauth/dkim"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
)

const unsigned = "From: <no-reply@acme.example>\r\nTo: <jane@acme.example>\r\nSubject: x\r\nDate: Tue, 3 Mar 2026 12:00:00 +0000\r\n\r\nHello\r\n"

// selectors gives the selectors of the signatures of a mail that verify with the
// records of the list; it fails if one does not.
func selectors(t *testing.T, d *db.DB, raw []byte) string {
	t.Helper()
	all, err := keyring.ListDKIM(t.Context(), d)
	require.NoError(t, err)
	zone := map[string]string{}
	for _, i := range all {
		for _, r := range i.Records() {
			zone[r.Name] = r.Value
		}
	}
	var mu sync.Mutex // it looks up side by side
	var asked []string
	results, err := verifier.VerifyWithOptions(strings.NewReader(string(raw)), &verifier.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, strings.ReplaceAll(name, "._domainkey.", "@"))
		return []string{zone[name]}, nil
	}})
	require.NoError(t, err)
	for _, v := range results {
		require.NoError(t, v.Err)
	}
	slices.Sort(asked)
	return strings.Join(asked, " ")
}

func signed(t *testing.T, r *keyring.Ring, domains ...string) []byte {
	t.Helper()
	s := &keyring.Signer{Ring: r, Lost: func(err error) { t.Errorf("lost: %v", err) }} // a fresh one: as another node
	raw, err := s.Sign(t.Context(), []byte(unsigned), domains...)
	require.NoError(t, err)
	return raw
}

func TestDKIMKeysFromFirstToLast(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		first, err := r.CreateDKIM(t.Context(), "Acme.Example", "")
		require.NoError(t, err)
		require.Equal(t, "sparekey1", first.Selector)
		require.Equal(t, "ready", first.State())
		require.Equal(t, unsigned, string(signed(t, r, "acme.example")), "not before it is activated")

		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey1"))
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey1"), "a second time changes nothing")
		require.Equal(t, "sparekey1-ed25519@acme.example sparekey1-rsa@acme.example", selectors(t, d, signed(t, r, "acme.example")))
		require.Equal(t, unsigned, string(signed(t, r, "other.example")))
		require.Equal(t, "sparekey1-ed25519@acme.example sparekey1-rsa@acme.example", selectors(t, d, signed(t, r, "other.example", "acme.example")), "the second domain stands in")

		second, err := r.CreateDKIM(t.Context(), "acme.example", "")
		require.NoError(t, err)
		require.Equal(t, "sparekey2", second.Selector)
		require.Contains(t, selectors(t, d, signed(t, r, "acme.example")), "sparekey1", "the old one signs until the new one is activated")
		require.ErrorContains(t, r.RetireDKIM(t.Context(), "acme.example", "sparekey1", false), "Activate another one first")
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey2"))
		require.Contains(t, selectors(t, d, signed(t, r, "acme.example")), "sparekey2")
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey1"), "the way back is open")
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey2"))
		require.NoError(t, r.RetireDKIM(t.Context(), "acme.example", "sparekey1", false))
		require.ErrorContains(t, r.ActivateDKIM(t.Context(), "acme.example", "sparekey1"), "its private part is gone")
		require.ErrorContains(t, r.RetireDKIM(t.Context(), "acme.example", "sparekey1", true), "retired already")
		require.Contains(t, selectors(t, d, signed(t, r, "acme.example")), "sparekey2")
		require.NoError(t, r.RetireDKIM(t.Context(), "acme.example", "sparekey2", true))
		require.Equal(t, unsigned, string(signed(t, r, "acme.example")))

		_, err = r.CreateDKIM(t.Context(), "acme.example", "sparekey1")
		require.True(t, fault.Is(err, fault.Conflict), "a selector is used once: receivers may remember its record")
		third, err := r.CreateDKIM(t.Context(), "other.example", "")
		require.NoError(t, err)
		require.Equal(t, "sparekey3", third.Selector)
		_, err = r.CreateDKIM(t.Context(), "nonsense", "")
		require.True(t, fault.Is(err, fault.Invalid))
		_, err = r.CreateDKIM(t.Context(), "acme.example", "a.b")
		require.True(t, fault.Is(err, fault.Invalid))
		require.True(t, fault.Is(r.ActivateDKIM(t.Context(), "acme.example", "nobody"), fault.NotFound))
	})
}

func TestFindDKIM(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		for _, domain := range []string{"acme.example", "other.example"} {
			_, err := r.CreateDKIM(t.Context(), domain, "mail")
			require.NoError(t, err)
		}
		_, err := keyring.FindDKIM(t.Context(), d, "", "mail")
		require.ErrorContains(t, err, "--domain")
		i, err := keyring.FindDKIM(t.Context(), d, "other.example", "mail")
		require.NoError(t, err)
		require.Equal(t, "other.example", i.Domain)
		_, err = keyring.FindDKIM(t.Context(), d, "", "nobody")
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

// TestDKIMKeysAreSealed: the database alone signs nothing, and a new master key
// takes them along.
func TestDKIMKeysAreSealed(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		d := node(t, c)
		r := open(t, d, file)
		_, err := r.CreateDKIM(t.Context(), "acme.example", "a")
		require.NoError(t, err)
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "a"))
		require.NoError(t, r.Rewrap(t.Context(), file))
		require.Equal(t, "a-ed25519@acme.example a-rsa@acme.example", selectors(t, d, signed(t, r, "acme.example")))
		require.Contains(t, selectors(t, d, signed(t, open(t, d, file), "acme.example")), "a-rsa", "also after a restart")

		// A row of another installation, or one that somebody put elsewhere.
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO dkim_keys (domain, selector, sealed, rsa_public, ed25519_public, made_at, signs_since)
				SELECT 'other.example', 'a', sealed, rsa_public, ed25519_public, made_at, signs_since FROM dkim_keys`)
			return err
		}))
		var lost []string
		s := &keyring.Signer{Ring: r, Lost: func(err error) { lost = append(lost, fault.As(err).Sentence) }}
		for range 3 {
			raw, err := s.Sign(t.Context(), []byte(unsigned), "other.example")
			require.NoError(t, err)
			require.Equal(t, unsigned, string(raw), "nobody stays locked out for want of a signature")
		}
		require.Equal(t, []string{"The DKIM key a of other.example was sealed with another master key and cannot be used. Make a new one with: sparekey dkim rotate other.example"}, lost)
		require.ErrorContains(t, r.ActivateDKIM(t.Context(), "other.example", "a"), "another master key")
		require.NoError(t, r.Rewrap(t.Context(), file), "it does not keep the old master key alive")
		require.NoError(t, r.RetireDKIM(t.Context(), "other.example", "a", true))
		require.Contains(t, selectors(t, d, signed(t, r, "acme.example")), "a-rsa")

		require.NoError(t, keyring.Reset(t.Context(), d, file))
		all, err := keyring.ListDKIM(t.Context(), d)
		require.NoError(t, err)
		for _, i := range all {
			require.Equal(t, "retired", i.State(), "with the master key its private part is gone")
		}
		require.Equal(t, unsigned, string(signed(t, open(t, d, file), "acme.example")))
	})
}

// TestASignerFollows what another node activates within a minute, and asks the
// database no more often than that.
func TestASignerFollows(t *testing.T) {
	eachDB(t, func(t *testing.T, c config.Database, file string) {
		var mu sync.Mutex
		ahead := time.Duration(0)
		d, err := db.Open(t.Context(), db.Config{Engine: c.Engine, DSN: c.DSN, MeasureEvery: time.Hour, Clock: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}})
		require.NoError(t, err)
		_, err = d.Migrate(t.Context())
		require.NoError(t, err)
		r := open(t, d, file)
		s := &keyring.Signer{Ring: r}
		_, err = r.CreateDKIM(t.Context(), "acme.example", "a")
		require.NoError(t, err)
		raw, err := s.Sign(t.Context(), []byte(unsigned), "acme.example")
		require.NoError(t, err)
		require.Equal(t, unsigned, string(raw))
		require.NoError(t, r.ActivateDKIM(t.Context(), "acme.example", "a"))
		mu.Lock()
		ahead = time.Minute
		mu.Unlock()
		raw, err = s.Sign(t.Context(), []byte(unsigned), "acme.example")
		require.NoError(t, err)
		require.Contains(t, selectors(t, d, raw), "a-rsa")
		require.NoError(t, d.Close())
		raw, err = s.Sign(t.Context(), []byte(unsigned), "acme.example")
		require.NoError(t, err)
		require.NotEqual(t, unsigned, string(raw), "without the database it signs with what it knows")
	})
}
