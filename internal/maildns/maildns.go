// Package maildns checks how the rest of the world sees a mail sender: SPF,
// DKIM, DMARC, MX, reverse DNS, MTA-STS and DANE.
//
// Each check asks the DNS and gives one sentence, what to do, and the exact
// record to publish. It changes nothing and knows no database. The caller
// bounds the time with a context; a check that runs out of it says that it
// could not be made, never that something is wrong.
package maildns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/sparekey/sparekey/internal/dkim"
)

// State is how a check ended.
type State string

// The states.
const (
	OK        State = "ok"
	Warn      State = "warn"
	Fail      State = "fail"
	Unchecked State = "not checked" // the sentence says why
)

// Record is a DNS record to publish, in the words of a zone file.
type Record struct {
	Name  string `json:"name"` // without the dot at the end
	Type  string `json:"type"`
	Value string `json:"value"` // of a TXT record: the text, without quotes
}

// String is the record as it is typed into a form or a zone file.
func (r Record) String() string {
	if r.Type == "TXT" {
		return dkim.Record{Name: r.Name, Value: r.Value}.Zone()
	}
	return r.Name + ". IN " + r.Type + " " + r.Value
}

// Check is what was looked at, how it stands and what to do.
type Check struct {
	Name     string   `json:"name"`  // for scripts, for example "spf"
	Title    string   `json:"title"` // for people
	State    State    `json:"state"`
	Sentence string   `json:"sentence"`
	Action   string   `json:"action"`  // what to do; "" if nothing
	Records  []Record `json:"records"` // to publish; in JSON a list, also an empty one
}

// Ended gives the check with its result.
func (c Check) Ended(s State, sentence string, args ...any) Check {
	c.State, c.Sentence, c.Records = s, fmt.Sprintf(sentence, args...), []Record{}
	return c
}

// Do gives the check with what to do and the records to publish.
func (c Check) Do(action string, records ...Record) Check {
	c.Action, c.Records = action, append(c.Records, records...)
	return c
}

// unanswered ends a check whose question got no answer.
func (c Check) unanswered(err error) Check {
	if timedOut(err) {
		return c.Ended(Unchecked, "The DNS did not answer in time.").Do("Try again; if it stays so, look at this machine's resolver, or name another one.")
	}
	return c.Ended(Unchecked, "The DNS could not be asked (%s).", plain(err)).Do("Try again; if it stays so, look at this machine's resolver, or name another one.")
}

// Resolver asks the DNS.
type Resolver struct {
	net    *net.Resolver
	server string // HOST:PORT, for questions the standard library does not know
}

// System is the resolver this machine is set up with.
func System() *Resolver {
	r := &Resolver{net: &net.Resolver{PreferGo: true}}
	if c, err := dns.ClientConfigFromFile("/etc/resolv.conf"); err == nil && len(c.Servers) > 0 {
		r.server = net.JoinHostPort(c.Servers[0], c.Port)
	}
	return r
}

// At is the resolver at HOST:PORT.
func At(server string) *Resolver {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}
	return &Resolver{net: &net.Resolver{PreferGo: true, StrictErrors: true, Dial: dial}, server: server}
}

// rooted keeps the resolver from trying the name below this machine's own domains.
func rooted(name string) string {
	if strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}

// LookupTXT gives the texts of a name, the strings of each record joined.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.net.LookupTXT(ctx, rooted(name))
}

// LookupMX gives the mail servers of a domain, the preferred ones first.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return r.net.LookupMX(ctx, rooted(name))
}

// LookupIPAddr gives the addresses of a host.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return r.net.LookupIPAddr(ctx, rooted(host))
}

// LookupAddr gives the names of an address.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return r.net.LookupAddr(ctx, addr)
}

// Addresses gives the addresses of a host, or of the address it is; none if
// there is no such host.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	found, err := r.LookupIPAddr(ctx, host)
	if missing(err) {
		return nil, nil
	}
	var all []netip.Addr
	for _, a := range found {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			all = append(all, ip.Unmap())
		}
	}
	return all, err
}

// tlsa gives the TLSA records of a mail server (RFC 7672) and whether the
// resolver vouches for them (the AD bit, RFC 4035 section 3.2.3).
func (r *Resolver) tlsa(ctx context.Context, host string) (found []string, vouched bool, err error) {
	if r.server == "" {
		return nil, false, errors.New("this machine names no resolver")
	}
	question := new(dns.Msg)
	question.SetQuestion("_25._tcp."+rooted(host), dns.TypeTLSA)
	question.SetEdns0(1232, true)
	question.AuthenticatedData = true
	answer, _, err := new(dns.Client).ExchangeContext(ctx, question, r.server)
	switch {
	case err != nil:
		return nil, false, err
	case answer.Rcode == dns.RcodeNameError:
		return nil, answer.AuthenticatedData, nil
	case answer.Rcode != dns.RcodeSuccess:
		return nil, false, errors.New(strings.ToLower(dns.RcodeToString[answer.Rcode]))
	}
	for _, rr := range answer.Answer {
		if t, ok := rr.(*dns.TLSA); ok {
			found = append(found, fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.MatchingType, t.Certificate))
		}
	}
	return found, answer.AuthenticatedData, nil
}

// missing tells whether the DNS said that there is no such thing, which is an
// answer, unlike silence.
func missing(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

func timedOut(err error) bool {
	var d *net.DNSError
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &d) && d.IsTimeout
}

// plain is an error without the names that stand in the sentence already.
func plain(err error) string {
	var d *net.DNSError
	if errors.As(err, &d) {
		return d.Err
	}
	return err.Error()
}

func same(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// Public tells whether the world could know an address: not loopback, not private.
func Public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate()
}
