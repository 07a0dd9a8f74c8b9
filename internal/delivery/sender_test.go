package delivery_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	verifier "github.com/emersion/go-msgauth/dkim"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/testkit"
)

// TestAnEnvironmentHasItsOwnSender: the name and address people see; what comes
// back still comes to the server's.
func TestAnEnvironmentHasItsOwnSender(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		askForJane(w)
		until(w, "sent", 1)
		require.Equal(t, `"Sparekey" <no-reply@sparekey.example>`, header(servers[0].mails()[0], "From"))
		w.SetPolicy(map[string]string{"sender_name": "Acme Accounts", "sender_address": "accounts@acme.example"})
		askForJane(w)
		require.Eventually(t, func() bool { return len(servers[0].mails()) == 2 }, patience, patience/1000)
		require.Equal(t, `"Acme Accounts" <accounts@acme.example>`, header(servers[0].mails()[1], "From"))
		require.Contains(t, w.Browser().Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link").Text(), "accounts@acme.example")
		require.NotContains(t, servers[0].commands(), "accounts@acme.example")
	}, "up")
}

// signers gives the domains whose signatures on a mail verify; it fails if one
// does not.
func signers(w *testkit.World, raw string) string {
	w.T.Helper()
	all, err := keyring.ListDKIM(w.Ctx(), w.App.DB)
	require.NoError(w.T, err)
	zone := map[string]string{}
	for _, i := range all {
		for _, r := range i.Records() {
			zone[r.Name] = r.Value
		}
	}
	var mu sync.Mutex
	results, err := verifier.VerifyWithOptions(strings.NewReader(strings.ReplaceAll(raw, "\r\n..", "\r\n.")), &verifier.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		if v, ok := zone[name]; ok {
			return []string{v}, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}})
	require.NoError(w.T, err)
	var domains []string
	for _, v := range results {
		require.NoError(w.T, v.Err)
		domains = append(domains, v.Domain)
	}
	return strings.Join(domains, " ")
}

func TestMailsAreSigned(t *testing.T) {
	eachDB(t, func(t *testing.T, w *testkit.World, servers []*mailServer) {
		send := func() string {
			before := len(servers[0].mails())
			askForJane(w)
			require.Eventually(t, func() bool { return len(servers[0].mails()) == before+1 }, patience, patience/1000)
			return servers[0].mails()[before]
		}
		activate := func(domain, selector string) {
			_, err := w.App.Ring.CreateDKIM(context.Background(), domain, selector)
			require.NoError(t, err)
			require.NoError(t, w.App.Ring.ActivateDKIM(context.Background(), domain, selector))
			later(w, keyring.SignersFor)
		}
		require.Empty(t, signers(w, send()), "without keys it goes unsigned")
		activate("sparekey.example", "a")
		require.Equal(t, "sparekey.example sparekey.example", signers(w, send()), "RSA and Ed25519")
		w.SetPolicy(map[string]string{"sender_address": "accounts@acme.example"})
		require.Equal(t, "sparekey.example sparekey.example", signers(w, send()), "at least ours")
		activate("acme.example", "b")
		mail := send()
		require.Equal(t, "acme.example acme.example", signers(w, mail), "theirs")
		require.NotEmpty(t, linkIn(mail), "and it is still the mail it was")

		servers[0].answer(".", always(hangUp))
		askForJane(w)
		first := until(w, "deferred", 1)
		servers[0].answer(".", nil)
		pause(w)
		sent := until(w, "sent", 2)
		require.Equal(t, first.MessageID, sent.MessageID)
		mails := servers[0].mails()
		require.Equal(t, "acme.example acme.example", signers(w, mails[len(mails)-1]))
	}, "up")
}
