package maildns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SenderMX looks whether answers to our mail can arrive: many receivers refuse
// mail of a domain that takes none.
func SenderMX(ctx context.Context, r *Resolver, domain, host string) Check {
	c := Check{Name: "mx-from", Title: "MX of " + domain}
	mx, err := r.LookupMX(ctx, domain)
	switch {
	case err != nil && !missing(err):
		return c.unanswered(err)
	case len(mx) == 1 && mx[0].Host == ".":
		return c.Ended(Warn, "%s says that it takes no mail (a null MX, RFC 7505); some receivers refuse mail of such a domain, and answers of people are lost.", domain).
			Do("Let the domain take mail, or send from one that does.")
	case len(mx) > 0:
		return c.Ended(OK, "Answers to our mail go to %s.", strings.TrimSuffix(mx[0].Host, "."))
	}
	addresses, err := r.Addresses(ctx, domain)
	switch {
	case err != nil:
		return c.unanswered(err)
	case len(addresses) == 0:
		return c.Ended(Fail, "%s has neither an MX nor an address record; receivers refuse a sender that cannot exist.", domain).
			Do("Publish the mail server that takes its mail.", Record{domain, "MX", "10 " + host + "."})
	default:
		return c.Ended(Warn, "%s has no MX record; answers to our mail go to its web address.", domain).
			Do("Publish the mail server that takes its mail.", Record{domain, "MX", "10 " + host + "."})
	}
}

// ReturnMX looks whether mail to the domain of the return path comes to us.
// Host is our public name; ours are addresses this machine has besides.
func ReturnMX(ctx context.Context, r *Resolver, domain, host string, ours []netip.Addr) Check {
	c := Check{Name: "mx-return-path", Title: "MX of " + domain}
	publish := Record{domain, "MX", "10 " + host + "."}
	mx, err := r.LookupMX(ctx, domain)
	if err != nil && !missing(err) {
		return c.unanswered(err)
	}
	if len(mx) == 0 {
		return c.Ended(Fail, "%s has no MX record, so returned mail never comes back and nobody learns why a mail did not arrive.", domain).
			Do("Publish this record.", publish)
	}
	for _, m := range mx {
		if same(m.Host, host) {
			return c.Ended(OK, "Returned mail comes to %s.", host)
		}
	}
	known, err := r.Addresses(ctx, host)
	if err != nil {
		return c.unanswered(err)
	}
	known = append(known, ours...)
	for _, m := range mx {
		addresses, err := r.Addresses(ctx, strings.TrimSuffix(m.Host, "."))
		if err != nil {
			return c.unanswered(err)
		}
		if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return slices.Contains(known, a) }) {
			return c.Ended(OK, "Returned mail comes to us by %s.", strings.TrimSuffix(m.Host, "."))
		}
	}
	return c.Ended(Warn, "Returned mail goes to %s, which has another address than this server.", strings.TrimSuffix(mx[0].Host, ".")).
		Do("If that server passes it on to the listener for returned mail, all is well. Else publish this record.", publish)
}

// Reverse looks whether the addresses we send from have names that lead back to
// them (RFC 1912 section 2.1): large receivers refuse others.
func Reverse(ctx context.Context, r *Resolver, s Sender) Check {
	c := Check{Name: "reverse-dns", Title: "Reverse DNS"}
	var public []netip.Addr
	for _, a := range s.Addresses {
		if Public(a) {
			public = append(public, a)
		}
	}
	if len(public) == 0 {
		return c.Ended(Unchecked, "Nobody told us which public address mail leaves from.").Do("Unless a mail provider sends for you, name it: sparekey doctor --from-ip ADDRESS")
	}
	for _, a := range public {
		names, err := r.LookupAddr(ctx, a.String())
		switch {
		case missing(err) || err == nil && len(names) == 0:
			return c.reverseFails(s, fmt.Sprintf("%s has no name in reverse DNS.", a)).
				Do("Whoever gave you the address can set its name.", Record{arpa(a), "PTR", s.Hello + "."})
		case err != nil:
			return c.unanswered(err)
		}
		back, err := confirmed(ctx, r, a, names)
		if err != nil {
			return c.unanswered(err)
		}
		if !back {
			return c.reverseFails(s, fmt.Sprintf("The name of %s in reverse DNS is %s, which does not lead back to it.", a, strings.TrimSuffix(names[0], "."))).
				Do("Publish this record, or give the address another name.", addressRecord(strings.TrimSuffix(names[0], "."), a))
		}
	}
	return c.Ended(OK, "%s %s a name that leads back.", list(public), map[bool]string{true: "has", false: "have"}[len(public) == 1])
}

func (c Check) reverseFails(s Sender, sentence string) Check {
	if s.Guessed {
		return c.Ended(Warn, "%s It is the address of the server we hand our mail to.", sentence)
	}
	return c.Ended(Fail, "%s Large receivers refuse its mail.", sentence)
}

func confirmed(ctx context.Context, r *Resolver, a netip.Addr, names []string) (bool, error) {
	for _, n := range names[:min(len(names), 10)] {
		back, err := r.Addresses(ctx, strings.TrimSuffix(n, "."))
		if err != nil {
			return false, err
		}
		if slices.Contains(back, a) {
			return true, nil
		}
	}
	return false, nil
}

func addressRecord(name string, a netip.Addr) Record {
	if a.Is4() {
		return Record{name, "A", a.String()}
	}
	return Record{name, "AAAA", a.String()}
}

// arpa is the name under which an address is looked up (RFC 1035 section 3.5,
// RFC 3596 section 2.5).
func arpa(a netip.Addr) string {
	var b strings.Builder
	raw := a.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			b.WriteString(strconv.Itoa(int(raw[i])) + ".")
		} else {
			fmt.Fprintf(&b, "%x.%x.", raw[i]&0xf, raw[i]>>4)
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

// Strictness looks at what a domain demands of those who send to it: MTA-STS
// (RFC 8461) and DANE (RFC 7672). Both are its own choice.
func Strictness(ctx context.Context, r *Resolver, web *http.Client, domain string) []Check {
	return []Check{mtaSTS(ctx, r, web, domain), dane(ctx, r, domain)}
}

func mtaSTS(ctx context.Context, r *Resolver, web *http.Client, domain string) Check {
	c := Check{Name: "mta-sts", Title: "MTA-STS of " + domain}
	texts, err := r.LookupTXT(ctx, "_mta-sts."+domain)
	if err != nil && !missing(err) {
		return c.unanswered(err)
	}
	if !slices.ContainsFunc(texts, func(t string) bool { return strings.HasPrefix(t, "v=STSv1") }) {
		return c.Ended(OK, "%s has no MTA-STS policy; it does not have to.", domain)
	}
	p, err := fetchPolicy(ctx, web, domain)
	if err != nil {
		return c.Ended(Warn, "%s announces an MTA-STS policy that cannot be fetched (%v).", domain, err).
			Do("Let https://mta-sts." + domain + "/.well-known/mta-sts.txt answer, or remove the record _mta-sts." + domain + ".")
	}
	mx, err := r.LookupMX(ctx, domain)
	if err != nil && !missing(err) {
		return c.unanswered(err)
	}
	for _, m := range mx {
		if !p.allows(m.Host) {
			state := Warn
			if p.mode == "enforce" {
				state = Fail
			}
			return c.Ended(state, "The MTA-STS policy of %s (mode %s) does not name its mail server %s.", domain, p.mode, strings.TrimSuffix(m.Host, ".")).
				Do("Add this line to the policy, and change the id in the record: mx: " + strings.TrimSuffix(m.Host, "."))
		}
	}
	return c.Ended(OK, "The MTA-STS policy of %s (mode %s) names its mail servers.", domain, p.mode)
}

// policy is what mta-sts.txt says.
type policy struct {
	mode string
	mx   []string
}

// longPolicy is as much of a policy as senders read (RFC 8461 section 3.2).
const longPolicy = 64 << 10

func fetchPolicy(ctx context.Context, web *http.Client, domain string) (policy, error) {
	var p policy
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return p, err
	}
	client := *web
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // section 3.3
	res, err := client.Do(q)
	if err != nil {
		return p, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return p, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, longPolicy))
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "mode":
			p.mode = value
		case "mx":
			p.mx = append(p.mx, value)
		}
	}
	if p.mode != "enforce" && p.mode != "testing" && p.mode != "none" {
		return p, errors.New("it names no mode")
	}
	return p, nil
}

// allows compares as RFC 8461 section 4.1 says: a star stands for one label.
func (p policy) allows(host string) bool {
	if p.mode == "none" {
		return true
	}
	for _, m := range p.mx {
		if same(m, host) {
			return true
		}
		if below, ok := strings.CutPrefix(m, "*."); ok {
			if _, rest, _ := strings.Cut(host, "."); same(below, rest) {
				return true
			}
		}
	}
	return false
}

func dane(ctx context.Context, r *Resolver, domain string) Check {
	c := Check{Name: "dane", Title: "DANE of " + domain}
	mx, err := r.LookupMX(ctx, domain)
	if err != nil && !missing(err) {
		return c.unanswered(err)
	}
	var with, without []string
	for _, m := range mx[:min(len(mx), 5)] {
		found, vouched, err := r.tlsa(ctx, m.Host)
		host := strings.TrimSuffix(m.Host, ".")
		switch {
		case err != nil:
			return c.unanswered(err)
		case len(found) > 0 && !vouched:
			return c.Ended(Warn, "%s has TLSA records, but our resolver does not say that they are signed (DNSSEC), so they count for nothing.", host).
				Do("Sign the zone with DNSSEC, or ask a resolver that validates (--resolver).")
		case len(found) > 0:
			with = append(with, host)
		default:
			without = append(without, host)
		}
	}
	switch {
	case len(with) == 0:
		return c.Ended(OK, "The mail servers of %s have no TLSA records; they do not have to.", domain)
	case len(without) > 0:
		return c.Ended(Warn, "%s has TLSA records and %s has none: who reaches the second is not protected.", with[0], without[0]).
			Do("Publish TLSA records for every mail server of the domain, or for none.")
	default:
		return c.Ended(OK, "The mail servers of %s have signed TLSA records.", domain)
	}
}

// Soon is how long before its end a certificate should be renewed.
const Soon = 14 * 24 * time.Hour
