// Package dkim signs mails with the keys of a domain (RFC 6376, RFC 8463) and
// writes the DNS records that receivers check them with.
//
// Each mail gets two signatures, RSA-2048 and Ed25519: the first because every
// receiver reads it, the second because it is the better one. Keys are kept
// elsewhere; here they are made, read and used.
package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/idna"

	"github.com/sparekey/sparekey/internal/fault"
)

// Pair is the two private keys that a domain signs with under one selector.
type Pair struct {
	Domain   string // in ASCII
	Selector string
	rsa      *rsa.PrivateKey
	ed25519  ed25519.PrivateKey
}

// String keeps the keys out of logs.
func (p Pair) String() string { return "[DKIM keys " + p.Selector + " of " + p.Domain + "]" }

// GoString keeps the keys out of %#v.
func (p Pair) GoString() string { return p.String() }

const rsaBits = 2048 // RFC 8301; a longer one does not fit into every DNS answer

// Generate makes a pair.
func Generate(domain, selector string) (Pair, error) {
	big, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return Pair{}, fmt.Errorf("make DKIM key: %w", err)
	}
	_, small, err := ed25519.GenerateKey(rand.Reader)
	return Pair{domain, selector, big, small}, err
}

// Private gives both keys as bytes, to be sealed.
func (p Pair) Private() []byte {
	return append(slices.Clone(p.ed25519.Seed()), x509.MarshalPKCS1PrivateKey(p.rsa)...)
}

// Parse reads what Private gave.
func Parse(domain, selector string, private []byte) (Pair, error) {
	if len(private) <= ed25519.SeedSize {
		return Pair{}, errors.New("read DKIM key: too short")
	}
	big, err := x509.ParsePKCS1PrivateKey(private[ed25519.SeedSize:])
	if err != nil {
		return Pair{}, fmt.Errorf("read DKIM key: %w", err)
	}
	return Pair{domain, selector, big, ed25519.NewKeyFromSeed(private[:ed25519.SeedSize])}, nil
}

// signed are the header fields that are signed, once more than they stand there
// so that none can be added (RFC 6376 section 8.15).
var signed = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted",
}

// Sign gives the message with both signatures on top.
func (p Pair) Sign(raw []byte) ([]byte, error) {
	fields := toSign(raw)
	var out bytes.Buffer
	for _, with := range []struct {
		selector string
		key      crypto.Signer
	}{
		{p.Selector + suffixRSA, p.rsa},
		{p.Selector + suffixEd25519, p.ed25519},
	} {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: p.Domain, Selector: with.selector, Signer: with.key, HeaderKeys: fields,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return nil, fmt.Errorf("sign mail: %w", err)
		}
		_, err = s.Write(raw)
		if err = errors.Join(err, s.Close()); err != nil {
			return nil, fmt.Errorf("sign mail: %w", err)
		}
		out.WriteString(s.Signature())
	}
	out.Write(raw)
	return out.Bytes(), nil
}

// toSign lists the signed fields, each once more than raw has it.
func toSign(raw []byte) []string {
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	there := map[string]int{}
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok {
			there[strings.ToLower(string(bytes.TrimSpace(name)))]++
		}
	}
	fields := make([]string, 0, 2*len(signed))
	for _, name := range signed {
		for range there[strings.ToLower(name)] + 1 {
			fields = append(fields, name)
		}
	}
	return fields
}

var (
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)
	selectorName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$`)
)

// Domain gives a domain as it stands in DNS, or a fault.
func Domain(typed string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(typed), "."))
	if err != nil || len(ascii) > 190 || !domainName.MatchString(ascii) { // room for the selector's labels
		return "", fault.InvalidField("domain", fmt.Sprintf("%q is no domain that can sign mails; write one such as example.com.", typed))
	}
	return ascii, nil
}

// Selector checks the name of a pair.
func Selector(typed string) (string, error) {
	s := strings.ToLower(strings.TrimSpace(typed))
	if !selectorName.MatchString(s) {
		return "", fault.InvalidField("selector", fmt.Sprintf("%q cannot be a selector; allowed: letters, digits and hyphens, at most 50, for example sparekey1.", typed))
	}
	return s, nil
}
