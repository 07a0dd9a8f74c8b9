package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
)

// What is added to the name of a pair for the selector of each key: one DNS name
// holds one key.
const (
	suffixRSA     = "-rsa"
	suffixEd25519 = "-ed25519"
)

// Public is the public part of a pair, in base64 as the records have it.
type Public struct{ RSA, Ed25519 string }

// Public gives the public part.
func (p Pair) Public() (Public, error) {
	der, err := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
	if err != nil {
		return Public{}, fmt.Errorf("write DKIM record: %w", err)
	}
	small := p.ed25519.Public().(ed25519.PublicKey) //nolint:forcetypeassert // by its documentation
	return Public{base64.StdEncoding.EncodeToString(der), base64.StdEncoding.EncodeToString(small)}, nil
}

// Record is a DNS record of type TXT that must be published.
type Record struct {
	Name  string `json:"name"` // without a dot at the end
	Value string `json:"value"`
}

// Records gives the records of a pair.
func Records(domain, selector string, p Public) []Record {
	return []Record{
		{selector + suffixRSA + "._domainkey." + domain, "v=DKIM1; k=rsa; p=" + p.RSA},
		{selector + suffixEd25519 + "._domainkey." + domain, "v=DKIM1; k=ed25519; p=" + p.Ed25519},
	}
}

const longestString = 255 // RFC 1035 section 3.3

// Strings gives the value in the pieces that a zone file needs.
func (r Record) Strings() []string {
	var pieces []string
	rest := r.Value
	for len(rest) > longestString {
		pieces = append(pieces, rest[:longestString])
		rest = rest[longestString:]
	}
	return append(pieces, rest)
}

// Zone gives the line of a zone file.
func (r Record) Zone() string {
	return r.Name + `. IN TXT "` + strings.Join(r.Strings(), `" "`) + `"`
}

// LookUp gives the TXT records of a name, the strings of each joined, as
// net.Resolver does.
type LookUp func(ctx context.Context, name string) ([]string, error)

// Check tells whether the record is published: nil, or what is wrong, as a
// sentence for the operator.
func (r Record) Check(ctx context.Context, look LookUp) error {
	found, err := look(ctx, r.Name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("%s is not published", r.Name)
	case err != nil:
		return fmt.Errorf("%s could not be looked up: %w", r.Name, err)
	}
	wanted := Tags(r.Value)
	other := false
	for _, text := range found {
		t := Tags(text)
		if t["p"] == wanted["p"] && key(t) == key(wanted) && (t["v"] == "" || t["v"] == "DKIM1") {
			if len(found) > 1 {
				return fmt.Errorf("%s has %d TXT records; it must have this one alone", r.Name, len(found))
			}
			return nil
		}
		other = other || t["p"] != "" || t["v"] != ""
	}
	if other {
		return fmt.Errorf("%s is published with another key", r.Name)
	}
	return fmt.Errorf("%s is not published", r.Name)
}

// key is the type of a record's key (RFC 6376 section 3.6.1).
func key(t map[string]string) string {
	if t["k"] == "" {
		return "rsa"
	}
	return t["k"]
}

// Tags reads a tag list (RFC 6376 section 3.2), white space within values left
// out: some DNS panels add it where they split a long one.
func Tags(text string) map[string]string {
	all := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			all[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
	}
	return all
}
