package maildns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"

	"github.com/sparekey/sparekey/internal/dkim"
)

// Sender is who sends, as receivers see it.
type Sender struct {
	From       string // the domain of the From header
	ReturnPath string // the domain of the envelope sender
	// Hello is our public name.
	Hello string
	// Addresses are those that mail leaves from towards the receivers; empty where
	// nobody told us.
	Addresses []netip.Addr
	// Guessed: Addresses are those of the server we hand mail to, which may send
	// from others.
	Guessed bool
}

// somewhere is an address that sends for nobody (RFC 5737): a record is evaluated
// for it to see whether it can be evaluated at all.
var somewhere = netip.MustParseAddr("192.0.2.1")

// SPF evaluates the record of the return path's domain (RFC 7208).
func SPF(ctx context.Context, r *Resolver, s Sender) Check {
	c := Check{Name: "spf", Title: "SPF of " + s.ReturnPath}
	texts, err := r.LookupTXT(ctx, s.ReturnPath)
	if err != nil && !missing(err) {
		return c.unanswered(err)
	}
	records := slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return !isSPF(t) })
	switch len(records) {
	case 0:
		return c.Ended(Fail, "%s publishes no SPF record, so anybody may send in its name and many receivers distrust it.", s.ReturnPath).
			Do("Publish this record; if a mail provider sends for you, add its include.", Record{s.ReturnPath, "TXT", s.spf("")})
	case 1:
	default:
		return c.Ended(Fail, "%s publishes %d SPF records; receivers then use none of them (RFC 7208 section 4.5).", s.ReturnPath, len(records)).
			Do("Remove them all and publish one that has the parts of each.", Record{s.ReturnPath, "TXT", merged(records)})
	}
	if len(s.Addresses) == 0 {
		return c.evaluable(ctx, r, s, records[0])
	}
	var left []string
	for _, a := range s.Addresses {
		result, err := evaluate(ctx, r, s, a)
		switch {
		case result == spf.TempError:
			return c.unanswered(err)
		case result == spf.PermError:
			return c.broken(s, records[0], err)
		case result != spf.Pass:
			left = append(left, a.String())
		}
	}
	switch {
	case len(left) == 0:
		return c.Ended(OK, "%s lets %s send for it.", s.ReturnPath, list(s.Addresses))
	case s.Guessed:
		return c.Ended(Warn, "%s does not let %s send for it, the address of the server we hand our mail to. If mail reaches receivers from there, they will distrust it.", s.ReturnPath, strings.Join(left, ", ")).
			Do("Ask your mail provider what to include, or add the address. To look at another address: sparekey doctor --from-ip ADDRESS", Record{s.ReturnPath, "TXT", with(records[0], left)})
	default:
		return c.Ended(Fail, "%s does not let %s send for it.", s.ReturnPath, strings.Join(left, ", ")).
			Do("Replace the record by this one.", Record{s.ReturnPath, "TXT", with(records[0], left)})
	}
}

func evaluate(ctx context.Context, r *Resolver, s Sender, from netip.Addr) (spf.Result, error) {
	return spf.CheckHostWithSender(from.AsSlice(), s.Hello, "postmaster@"+s.ReturnPath, spf.WithContext(ctx), spf.WithResolver(r))
}

// evaluable says of a record whether it is well made, where nobody knows which
// address it has to allow.
func (c Check) evaluable(ctx context.Context, r *Resolver, s Sender, record string) Check {
	result, err := evaluate(ctx, r, s, somewhere)
	switch result {
	case spf.TempError:
		return c.unanswered(err)
	case spf.PermError:
		return c.broken(s, record, err)
	case spf.Pass:
		return c.Ended(Fail, "The SPF record of %s lets everybody send in its name.", s.ReturnPath).
			Do("End it with -all instead.", Record{s.ReturnPath, "TXT", endsWith(record, "-all")})
	case spf.Neutral:
		return c.Ended(Warn, "The SPF record of %s says nothing about servers it does not name.", s.ReturnPath).
			Do("End it with -all.", Record{s.ReturnPath, "TXT", endsWith(record, "-all")})
	default:
		return c.Ended(OK, "The SPF record of %s can be evaluated. Which address mail leaves from nobody told us; sparekey doctor --from-ip ADDRESS looks whether the record names it.", s.ReturnPath)
	}
}

func (c Check) broken(s Sender, record string, err error) Check {
	if errors.Is(err, spf.ErrLookupLimitReached) || errors.Is(err, spf.ErrVoidLookupLimitReached) {
		return c.Ended(Fail, "The SPF record of %s needs more than the 10 look-ups receivers make (RFC 7208 section 4.6.4), so they use none of it.", s.ReturnPath).
			Do("Remove includes that are not needed, or replace them by the addresses they stand for: ip4:ADDRESS, ip6:ADDRESS.")
	}
	return c.Ended(Fail, "The SPF record of %s cannot be evaluated (%v): %s", s.ReturnPath, err, record).
		Do("Repair it, or begin again with this one.", Record{s.ReturnPath, "TXT", s.spf("")})
}

func isSPF(text string) bool {
	first, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(first, "v=spf1")
}

// spf is a record for the sender.
func (s Sender) spf(more string) string {
	parts := []string{"v=spf1"}
	for _, a := range s.Addresses {
		parts = append(parts, mechanism(a.String()))
	}
	if len(s.Addresses) == 0 && s.Hello != "" && !isAddress(s.Hello) {
		parts = append(parts, "a:"+s.Hello)
	}
	if more != "" {
		parts = append(parts, more)
	}
	return strings.Join(append(parts, "-all"), " ")
}

func mechanism(address string) string {
	if strings.Contains(address, ":") {
		return "ip6:" + address
	}
	return "ip4:" + address
}

// with adds addresses before the end of a record.
func with(record string, addresses []string) string {
	var more []string
	for _, a := range addresses {
		more = append(more, mechanism(a))
	}
	words := strings.Fields(record)
	at := len(words)
	for i, w := range words {
		if strings.HasSuffix(strings.ToLower(w), "all") && len(w) <= 4 || strings.HasPrefix(strings.ToLower(w), "redirect=") {
			at = i
			break
		}
	}
	return strings.Join(slices.Concat(words[:at], more, words[at:]), " ")
}

func endsWith(record, end string) string {
	words := slices.DeleteFunc(strings.Fields(record), func(w string) bool {
		return strings.HasSuffix(strings.ToLower(w), "all") && len(w) <= 4
	})
	return strings.Join(append(words, end), " ")
}

func merged(records []string) string {
	words := []string{"v=spf1"}
	for _, r := range records {
		for _, w := range strings.Fields(r)[1:] {
			if !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	end := "-all"
	if slices.Contains(words, "~all") {
		end = "~all"
	}
	return endsWith(strings.Join(words, " "), end)
}

func list(addresses []netip.Addr) string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// Key is a DKIM key and the text that its public half is published as.
type Key struct {
	Domain, Selector string
	Text             string // "v=DKIM1; k=…; p=…"
}

// Record is where and how the key is published (RFC 6376 section 3.6).
func (k Key) Record() Record {
	return Record{k.Selector + "._domainkey." + k.Domain, "TXT", k.Text}
}

// DKIM looks whether a key is published as it should be.
func DKIM(ctx context.Context, r *Resolver, k Key) Check {
	c := Check{Name: "dkim", Title: fmt.Sprintf("DKIM key %s of %s", k.Selector, k.Domain)}
	texts, err := r.LookupTXT(ctx, k.Record().Name)
	switch {
	case missing(err):
		return c.Ended(Fail, "The DKIM key %s of %s is not published, so its signatures prove nothing.", k.Selector, k.Domain).Do("Publish this record.", k.Record())
	case err != nil:
		return c.unanswered(err)
	case len(texts) > 1:
		return c.Ended(Fail, "%s has %d TXT records; receivers cannot know which one is the key.", k.Record().Name, len(texts)).Do("Leave this one only.", k.Record())
	}
	there, ours := dkim.Tags(texts[0]), dkim.Tags(k.Text)
	switch {
	case there["p"] == "" && strings.Contains(texts[0], "p="):
		return c.Ended(Fail, "The DKIM key %s of %s is published as withdrawn.", k.Selector, k.Domain).Do("Publish this record, or sign with another key.", k.Record())
	case there["p"] != ours["p"]:
		return c.Ended(Fail, "What is published for the DKIM key %s of %s is another key.", k.Selector, k.Domain).Do("Replace the record by this one.", k.Record())
	case strings.Contains(there["t"], "y"):
		return c.Ended(Warn, "The DKIM key %s of %s is published as a test (t=y); receivers may ignore it.", k.Selector, k.Domain).Do("Replace the record by this one.", k.Record())
	}
	return c.Ended(OK, "The DKIM key %s of %s is published.", k.Selector, k.Domain)
}

// DMARC looks at the policy of the From domain and whether the return path
// belongs to the same domain (RFC 7489 section 3.1). Signed tells whether mail
// carries a DKIM signature of the From domain, which is enough by itself.
func DMARC(ctx context.Context, r *Resolver, s Sender, signed bool) Check {
	c := Check{Name: "dmarc", Title: "DMARC of " + s.From}
	record, err := lookupDMARC(ctx, r, s.From)
	publish := Record{"_dmarc." + s.From, "TXT", "v=DMARC1; p=quarantine; rua=mailto:postmaster@" + s.From}
	switch {
	case errors.Is(err, dmarc.ErrNoPolicy):
		return c.Ended(Warn, "%s publishes no DMARC record. Large receivers ask for one, and without it anybody can write in its name.", s.From).
			Do("Publish this record; begin with p=none if other systems send for the domain, too.", publish)
	case err != nil && (dmarc.IsTempFail(err) || timedOut(err)):
		return c.unanswered(err)
	case err != nil:
		return c.Ended(Fail, "The DMARC record of %s cannot be read (%v).", s.From, err).Do("Replace the record by this one.", publish)
	}
	byReturnPath := aligned(s.From, s.ReturnPath, record.SPFAlignment == dmarc.AlignmentStrict)
	switch {
	case !byReturnPath && !signed:
		return c.Ended(Fail, "Mail of %s cannot pass its DMARC policy: the return path is of %s, another domain, and there is no DKIM signature.", s.From, s.ReturnPath).
			Do("Make a DKIM key for the From domain, or set SPAREKEY_BOUNCE_DOMAIN to a domain below it.")
	case record.Policy == dmarc.PolicyNone:
		return c.Ended(OK, "%s has a DMARC record that only watches (p=none); our mail passes it.", s.From)
	case !byReturnPath:
		return c.Ended(OK, "Our mail passes the DMARC policy of %s (p=%s) by its DKIM signature.", s.From, record.Policy)
	default:
		return c.Ended(OK, "Our mail can pass the DMARC policy of %s (p=%s).", s.From, record.Policy)
	}
}

// lookupDMARC asks the domain and then the organisation it belongs to (RFC 7489
// section 6.6.3).
func lookupDMARC(ctx context.Context, r *Resolver, domain string) (*dmarc.Record, error) {
	o := &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) { return r.LookupTXT(ctx, name) }}
	record, err := dmarc.LookupWithOptions(domain, o)
	if org := organisation(domain); errors.Is(err, dmarc.ErrNoPolicy) && org != domain {
		return dmarc.LookupWithOptions(org, o)
	}
	return record, err
}

func aligned(from, other string, strict bool) bool {
	if strict {
		return same(from, other)
	}
	return same(organisation(from), organisation(other))
}

func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(domain, ".")))
	if err != nil {
		return domain
	}
	return org
}
