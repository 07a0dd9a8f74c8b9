package dkim_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	verifier "github.com/emersion/go-msgauth/dkim"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/dkim"
)

const message = "Date: Tue, 3 Mar 2026 12:00:00 +0000\r\nFrom: \"Acme\" <no-reply@acme.example>\r\nTo: <jane@example.org>\r\n" +
	"Subject: Reset your\r\n password  \r\nMessage-ID: <1@acme.example>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n\r\nA link \t alone:  \r\n\r\nhttps://login.acme.example/x\r\n.\r\n\r\n\r\n"

// published are the records of a pair as DNS gives them.
func published(t *testing.T, p dkim.Pair) (map[string]string, []dkim.Record) {
	t.Helper()
	public, err := p.Public()
	require.NoError(t, err)
	records := dkim.Records(p.Domain, p.Selector, public)
	zone := map[string]string{}
	for _, r := range records {
		zone[r.Name] = r.Value
	}
	return zone, records
}

func verify(t *testing.T, zone map[string]string, raw string) []*verifier.Verification {
	t.Helper()
	all, err := verifier.VerifyWithOptions(strings.NewReader(raw), &verifier.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if v, ok := zone[name]; ok {
			return []string{v}, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}})
	require.NoError(t, err)
	return all
}

func TestBothSignaturesVerify(t *testing.T) {
	t.Parallel()
	p, err := dkim.Generate("acme.example", "sparekey1")
	require.NoError(t, err)
	p, err = dkim.Parse(p.Domain, p.Selector, p.Private()) // as after a night in the database
	require.NoError(t, err)
	signed, err := p.Sign([]byte(message))
	require.NoError(t, err)
	raw := string(signed)
	require.True(t, strings.HasSuffix(raw, message), "the message itself is untouched")
	zone, _ := published(t, p)

	all := verify(t, zone, raw)
	require.Len(t, all, 2)
	for _, v := range all {
		require.NoError(t, v.Err)
		require.Equal(t, "acme.example", v.Domain)
		for _, name := range []string{"From", "Subject", "To", "Date", "Message-ID", "Auto-Submitted"} {
			require.Contains(t, v.HeaderKeys, name)
		}
	}
	for line := range strings.SplitSeq(raw, "\r\n") {
		require.LessOrEqual(t, len(line), 998)
	}
	head := strings.TrimSuffix(raw, message)
	require.Contains(t, head, "a=rsa-sha256")
	require.Contains(t, head, "a=ed25519-sha256")
	require.Contains(t, head, "c=relaxed/relaxed")
	require.NotContains(t, head, "l=")

	for name, change := range map[string]func(string) string{
		"another sender on top": func(s string) string { return "From: <evil@example.net>\r\n" + s },
		"a second subject":      func(s string) string { return strings.Replace(s, "\r\n\r\n", "\r\nSubject: Free\r\n\r\n", 1) },
		"a reply address":       func(s string) string { return "Reply-To: <evil@example.net>\r\n" + s },
		"a word of the text":    func(s string) string { return strings.Replace(s, "login.acme", "login.evil", 1) },
		"more text":             func(s string) string { return s + "<a href=//evil.example>\r\n" },
		"auto-submitted away":   func(s string) string { return strings.Replace(s, "Auto-Submitted: auto-generated\r\n", "", 1) },
	} {
		for _, v := range verify(t, zone, change(raw)) {
			require.Error(t, v.Err, name)
		}
	}
	for name, change := range map[string]func(string) string{
		"a relay's stamp": func(s string) string { return "Received: from a by b; today\r\nX-Spam: no\r\n" + s },
		"folded otherwise": func(s string) string {
			return strings.Replace(s, "Reset your\r\n password  ", "Reset  your password", 1)
		},
		"empty lines added": func(s string) string { return s + "\r\n\r\n" },
	} {
		for _, v := range verify(t, zone, change(raw)) {
			require.NoError(t, v.Err, name)
		}
	}
	other, err := dkim.Generate("acme.example", "sparekey1")
	require.NoError(t, err)
	stolen, _ := published(t, other)
	for _, v := range verify(t, stolen, raw) {
		require.Error(t, v.Err, "with another key")
	}
}

// TestBothSignaturesVerifyByTheBook checks them once more, by a reading of RFC
// 6376 of our own: the library that signs must not be its only witness.
func TestBothSignaturesVerifyByTheBook(t *testing.T) {
	t.Parallel()
	p, err := dkim.Generate("acme.example", "s")
	require.NoError(t, err)
	signed, err := p.Sign([]byte(message))
	require.NoError(t, err)
	zone, _ := published(t, p)
	head, body, _ := strings.Cut(string(signed), "\r\n\r\n")
	fields := regexp.MustCompile(`\r\n(\S)`).ReplaceAllString(head, "\x00$1")
	var all []string
	signatures := 0
	for f := range strings.SplitSeq(fields, "\x00") {
		all = append(all, f)
	}
	for _, f := range all {
		if !strings.HasPrefix(f, "DKIM-Signature:") {
			continue
		}
		signatures++
		tag := map[string]string{}
		for part := range strings.SplitSeq(strings.TrimPrefix(f, "DKIM-Signature:"), ";") {
			name, value, _ := strings.Cut(part, "=")
			tag[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
		sum := sha256.Sum256([]byte(relaxedBody(body)))
		require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), tag["bh"])

		var text strings.Builder
		left := append([]string(nil), all...)
		for name := range strings.SplitSeq(tag["h"], ":") {
			for i := len(left) - 1; i >= 0; i-- {
				if strings.HasPrefix(strings.ToLower(left[i]), strings.ToLower(name)+":") {
					text.WriteString(relaxedField(left[i]) + "\r\n")
					left = append(left[:i:i], left[i+1:]...)
					break
				}
			}
		}
		text.WriteString(relaxedField(regexp.MustCompile(`([;\s]b=)[^;]*`).ReplaceAllString(f, "$1")))
		hash := sha256.Sum256([]byte(text.String()))
		signature, err := base64.StdEncoding.DecodeString(tag["b"])
		require.NoError(t, err)
		_, encoded, _ := strings.Cut(zone[tag["s"]+"._domainkey."+tag["d"]], "p=")
		public, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		if tag["a"] == "ed25519-sha256" {
			require.True(t, ed25519.Verify(public, hash[:], signature))
			continue
		}
		key, err := x509.ParsePKIXPublicKey(public)
		require.NoError(t, err)
		require.Equal(t, 2048, key.(*rsa.PublicKey).N.BitLen())
		require.NoError(t, rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), crypto.SHA256, hash[:], signature))
	}
	require.Equal(t, 2, signatures)
}

var space = regexp.MustCompile(`[ \t]+`)

func relaxedField(f string) string {
	name, value, _ := strings.Cut(f, ":")
	return strings.ToLower(strings.TrimSpace(name)) + ":" + strings.TrimSpace(space.ReplaceAllString(strings.ReplaceAll(value, "\r\n", ""), " "))
}

func relaxedBody(body string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(body, "\r\n") {
		b.WriteString(strings.TrimRight(space.ReplaceAllString(line, " "), " ") + "\r\n")
	}
	return strings.TrimRight(b.String(), "\r\n") + "\r\n"
}

func TestRecords(t *testing.T) {
	t.Parallel()
	p, err := dkim.Generate("acme.example", "sparekey1")
	require.NoError(t, err)
	zone, records := published(t, p)
	require.Len(t, records, 2)
	big, small := records[0], records[1]
	require.Equal(t, "sparekey1-rsa._domainkey.acme.example", big.Name)
	require.Equal(t, "sparekey1-ed25519._domainkey.acme.example", small.Name)
	require.Len(t, big.Strings(), 2)
	require.Len(t, big.Strings()[0], 255)
	require.Equal(t, big.Value, strings.Join(big.Strings(), ""))
	require.Len(t, small.Strings(), 1)
	require.Equal(t, fmt.Sprintf(`sparekey1-rsa._domainkey.acme.example. IN TXT "%s" "%s"`, big.Value[:255], big.Value[255:]), big.Zone())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), "PRIVATE")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", p, &p, p), "0x")

	look := func(_ context.Context, name string) ([]string, error) {
		if v, ok := zone[name]; ok {
			return strings.Split(v, "\n"), nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}
	for value, words := range map[string]string{
		big.Value: "",
		strings.Replace(big.Value, "k=rsa; ", "", 1):                      "", // the default type
		strings.ReplaceAll(big.Value, "; ", ";") + ";":                    "",
		big.Value[:255] + " " + big.Value[255:]:                           "", // a panel that joins with a space
		strings.Replace(big.Value, "p=MI", "p=MJ", 1):                     "another key",
		"v=DKIM1; k=rsa; p=":                                              "another key",
		"google-site-verification=x":                                      "is not published",
		big.Value + "\nv=spf1 -all":                                       "this one alone",
		strings.Replace(big.Value, "v=DKIM1; k=rsa", "v=DKIM2; k=rsa", 1): "another key",
	} {
		zone[big.Name] = value
		err := big.Check(t.Context(), look)
		if words == "" {
			require.NoError(t, err, value)
			continue
		}
		require.ErrorContains(t, err, words, value)
	}
	delete(zone, big.Name)
	require.ErrorContains(t, big.Check(t.Context(), look), "sparekey1-rsa._domainkey.acme.example is not published")
	require.ErrorContains(t, big.Check(t.Context(), func(context.Context, string) ([]string, error) { return nil, errors.New("no answer") }), "could not be looked up: no answer")
}

func TestNames(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"Acme.Example.": "acme.example", "bücher.example": "xn--bcher-kva.example", " mail.acme.example ": "mail.acme.example"} {
		got, err := dkim.Domain(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "localhost", "127.0.0.1", "[::1]", "a..b", "x@acme.example", "acme.example/..", "acme example", "-a.example", strings.Repeat("a.", 100) + "example", "a\r\nb.example"} {
		_, err := dkim.Domain(bad)
		require.ErrorContains(t, err, "no domain that can sign", bad)
	}
	for _, bad := range []string{"", "a.b", "a_b", "a b", "-a", "é", strings.Repeat("a", 51), "a\nb"} {
		_, err := dkim.Selector(bad)
		require.ErrorContains(t, err, "cannot be a selector", bad)
	}
}

func BenchmarkSign(b *testing.B) {
	p, err := dkim.Generate("acme.example", "s")
	require.NoError(b, err)
	raw := []byte(message + strings.Repeat("A line of a mail.\r\n", 400))
	for b.Loop() {
		if _, err := p.Sign(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("v=DKIM1; k=rsa; p=MIIB")
	r := dkim.Record{Name: "s-rsa._domainkey.acme.example", Value: "v=DKIM1; k=rsa; p=MIIB"}
	f.Fuzz(func(t *testing.T, text string) {
		err := r.Check(t.Context(), func(context.Context, string) ([]string, error) { return []string{text}, nil })
		if err == nil {
			require.Contains(t, strings.Join(strings.Fields(text), ""), "p=MIIB")
		}
	})
}
