package doctor

import (
	"context"
	"net/netip"
	"strings"

	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/mailserver"
)

// senderOf is the address in the From of the mails in question. The envelope has
// the server's own all the same, or a return path.
func (d *Doctor) senderOf(q Question) string {
	if own := q.Environment.Policy.SenderAddress; own != "" {
		return own
	}
	return d.Config.MailFrom.Address
}

// sender are the checks of what the DNS says about us.
func (d *Doctor) sender(ctx context.Context, q Question) []task {
	_, from, _ := strings.Cut(d.senderOf(q), "@")
	if from == "" || strings.HasPrefix(from, "[") {
		return nil // the configuration check says so
	}
	_, own, _ := strings.Cut(d.Config.MailFrom.Address, "@")
	s := maildns.Sender{From: from, ReturnPath: own, Hello: d.publicName(own), Addresses: q.FromIP}
	if d.Config.BounceListen != "" {
		s.ReturnPath = d.Config.BounceDomain
	}
	keys, problem := d.signing(ctx, from)
	r := q.Resolver
	one := func(name, title string, check func(ctx context.Context, s maildns.Sender) Check) task {
		return task{name: name, title: title, run: func(ctx context.Context) []Check {
			return []Check{check(ctx, d.withAddresses(ctx, r, s))}
		}}
	}
	tasks := []task{
		one("spf", "SPF of "+s.ReturnPath, func(ctx context.Context, s maildns.Sender) Check { return maildns.SPF(ctx, r, s) }),
	}
	for _, k := range keys {
		tasks = append(tasks, one("dkim", "DKIM of "+k.Domain, func(ctx context.Context, _ maildns.Sender) Check { return maildns.DKIM(ctx, r, k) }))
	}
	if len(keys) == 0 {
		tasks = append(tasks, one("dkim", "DKIM of "+from, func(context.Context, maildns.Sender) Check { return problem }))
	}
	tasks = append(
		tasks,
		one("dmarc", "DMARC of "+from, func(ctx context.Context, s maildns.Sender) Check { return maildns.DMARC(ctx, r, s, len(keys) > 0) }),
		one("mx-from", "MX of "+from, func(ctx context.Context, s maildns.Sender) Check { return maildns.SenderMX(ctx, r, from, s.Hello) }),
	)
	if d.Config.BounceListen != "" {
		tasks = append(tasks, one("mx-return-path", "MX of "+s.ReturnPath, func(ctx context.Context, s maildns.Sender) Check {
			return maildns.ReturnMX(ctx, r, s.ReturnPath, s.Hello, q.FromIP)
		}))
	}
	tasks = append(tasks, one("reverse-dns", "Reverse DNS", func(ctx context.Context, s maildns.Sender) Check { return maildns.Reverse(ctx, r, s) }))
	strict := []string{s.ReturnPath}
	if _, domain, ok := strings.Cut(q.To, "@"); ok {
		strict = append(strict, domain)
	}
	for _, domain := range strict {
		tasks = append(tasks, task{name: "mta-sts", title: "MTA-STS and DANE of " + domain, run: func(ctx context.Context) []Check {
			return maildns.Strictness(ctx, r, d.web(), domain)
		}})
	}
	return tasks
}

// publicName is the name that records should lead to: the host of the public
// address, or what it might be called where that is none of the world's names.
func (d *Doctor) publicName(domain string) string {
	host := d.Config.URL.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || loopbackHost(host) || !strings.Contains(host, ".") {
		return "mail." + domain
	}
	return host
}

// withAddresses guesses, where nobody told, that mail leaves from the server we
// hand it to.
func (d *Doctor) withAddresses(ctx context.Context, r *maildns.Resolver, s maildns.Sender) maildns.Sender {
	servers, err := mailserver.Parse(d.Config.SMTP)
	if len(s.Addresses) > 0 || err != nil {
		return s
	}
	for _, server := range servers {
		found, err := r.Addresses(ctx, server.Host)
		if err != nil {
			continue
		}
		for _, a := range found {
			if maildns.Public(a) {
				s.Addresses, s.Guessed = append(s.Addresses, a), true
			}
		}
	}
	return s
}

// signing gives the keys that sign for a domain; where there are none, the check
// that says so.
func (d *Doctor) signing(ctx context.Context, domain string) ([]maildns.Key, Check) {
	c := Check{Name: "dkim", Title: "DKIM of " + domain}
	if d.DB == nil {
		return nil, c.Ended(maildns.Unchecked, "The keys lie in the database, which does not open.")
	}
	all, err := keyring.ListDKIM(ctx, d.DB)
	if err != nil {
		return nil, c.Ended(maildns.Unchecked, "The keys cannot be read (%s).", words(err))
	}
	var keys []maildns.Key
	for _, k := range all {
		if k.Domain != domain || k.State() != "signing" {
			continue
		}
		for _, r := range k.Records() {
			selector, _, _ := strings.Cut(r.Name, "._domainkey.")
			keys = append(keys, maildns.Key{Domain: domain, Selector: selector, Text: r.Value})
		}
	}
	return keys, c.Ended(maildns.Warn, "Our mail carries no DKIM signature of %s; large receivers distrust that.", domain).
		Do("Run: sparekey dkim create " + domain + "; or let your mail provider sign for this domain.")
}
