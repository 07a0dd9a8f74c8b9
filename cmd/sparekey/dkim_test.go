package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestActivateLooksWhetherTheRecordsArePublished, both, with these keys.
func TestActivateLooksWhetherTheRecordsArePublished(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	zone := map[string][]string{}
	try := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		status := run(context.Background(), args, &terminal{
			out: &out, err: &errs, environ: []string{"SPAREKEY_DATABASE=sqlite:" + o.database()},
			lookUp: func(_ context.Context, name string) ([]string, error) {
				if texts := zone[name]; texts != nil {
					return texts, nil
				}
				return nil, &net.DNSError{IsNotFound: true}
			},
		})
		return status, out.String(), errs.String()
	}
	status, out, _ := try("dkim", "create", "acme.example", "--json")
	require.Equal(t, done, status)
	var made shownDKIM
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Len(t, made.Records, 2)

	status, _, said := try("dkim", "activate", made.Selector)
	require.Equal(t, failed, status)
	require.Contains(t, said, "sparekey1-rsa._domainkey.acme.example is not published; sparekey1-ed25519._domainkey.acme.example is not published")
	zone[made.Records[0].Name] = []string{made.Records[0].Value}
	zone[made.Records[1].Name] = []string{made.Records[0].Value}
	status, _, said = try("dkim", "activate", made.Selector)
	require.Equal(t, failed, status)
	require.Contains(t, said, "Nothing was changed: sparekey1-ed25519._domainkey.acme.example is published with another key.")
	zone[made.Records[1].Name] = []string{made.Records[1].Value}
	status, _, said = try("dkim", "activate", made.Selector)
	require.Equal(t, done, status, said)
}
