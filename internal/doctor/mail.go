package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/mailserver"
	"github.com/sparekey/sparekey/internal/relay"
)

// mail are the checks of the way to the first server and of the way back.
func (d *Doctor) mail(q Question) []task {
	var tasks []task
	servers, err := mailserver.Parse(d.Config.SMTP)
	if err != nil {
		return []task{{name: "smtp", title: "Outgoing mail", run: func(context.Context) []Check {
			return []Check{Check{Name: "smtp", Title: "Outgoing mail"}.Ended(maildns.Fail, "SPAREKEY_SMTP cannot be read: %v.", err).Do("Repair it.")}
		}}}
	}
	for _, s := range servers {
		tasks = append(tasks, task{name: "smtp", title: "Mail server " + s.String(), run: func(ctx context.Context) []Check { return d.probe(ctx, s, q) }})
	}
	if q.To != "" && len(servers) > 0 {
		tasks = append(tasks, task{name: "test-mail", title: "Test mail", limit: sendLimit, run: func(ctx context.Context) []Check {
			return []Check{d.testMail(ctx, servers, q)}
		}})
	}
	if d.Config.BounceListen != "" {
		tasks = append(tasks, task{name: "return-path", title: "Returned mail", run: func(ctx context.Context) []Check { return []Check{d.listener(ctx)} }})
	}
	if d.Config.URL.Scheme == "https" {
		tasks = append(tasks, task{name: "https", title: "Certificate of the public address", run: func(ctx context.Context) []Check { return []Check{d.https(ctx)} }})
	}
	return tasks
}

func (d *Doctor) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.Roots}
}

func (d *Doctor) options() relay.Options {
	return relay.Options{Hello: d.Config.URL.Hostname(), TLSConfig: d.tls(), Clock: d.Clock}
}

// probe talks to a mail server up to RCPT.
func (d *Doctor) probe(ctx context.Context, s relay.Server, q Question) []Check {
	c := Check{Name: "smtp", Title: "Mail server " + s.String()}
	from := d.Config.MailFrom.Address
	to := q.To
	if to == "" {
		_, domain, _ := strings.Cut(from, "@")
		to = "postmaster@" + domain
	}
	got := relay.Probe(ctx, s, d.options(), relay.Envelope{From: from, To: to})
	a := got.Attempt
	switch {
	case a.Err == nil:
		c = c.Ended(maildns.OK, "%s takes mail from %s (%s).", a.Server, from, a.Reply)
	case a.Stage == relay.StageRcpt && a.Code != 0 && q.To == "":
		c = c.Ended(maildns.Warn, "%s takes mail from %s, but none for %s (%s). It may take it for others.", a.Server, from, to, said(a)).
			Do("Try a real mail: sparekey doctor --to ADDRESS")
	default:
		how, advice := failed(a)
		c = c.Ended(maildns.Fail, "%s %s.", a.Server, how).Do(advice)
	}
	if got.TLS == nil {
		return []Check{c}
	}
	return []Check{c, certificate(Check{Name: "smtp-certificate", Title: "Certificate of " + a.Server}, got.TLS.PeerCertificates, d.Clock())}
}

// said is the reply that decided, or what there was in its place. A good reply
// decides nothing where the attempt failed all the same.
func said(a relay.Attempt) string {
	text := a.Reply
	if text == "" || a.Err != nil && a.Code != 0 && a.Code < 400 {
		text = words(cmp.Or(errors.Unwrap(a.Err), a.Err))
	}
	if r := []rune(text); len(r) > mostSaid {
		return string(r[:mostSaid]) + "…"
	}
	return text
}

// mostSaid is how much of a reply a sentence quotes, in characters.
const mostSaid = 300

// reached tells whether anybody took the connection.
func reached(a relay.Attempt) bool {
	var dial *net.OpError
	return a.Stage != relay.StageConnect || !errors.As(a.Err, &dial) || dial.Op != "dial"
}

// failed says in which way a server fails, and what to do about it.
func failed(a relay.Attempt) (how, advice string) {
	var late interface{ Timeout() bool }
	how, advice = stageWords[a.Stage], stageAdvice[a.Stage]
	switch {
	case !reached(a):
	case errors.As(a.Err, &late) && late.Timeout():
		return "takes the connection, but does not answer in time", "Where TLS is wanted from the first byte, as at port 465, SPAREKEY_SMTP begins with smtps:// instead. If that is so, try again: it may be slow with those it does not know."
	case a.Stage == relay.StageConnect && a.Code >= 400:
		how, advice = "turns us away", "Read what it said."
	case a.Stage == relay.StageConnect:
		how, advice = "does not answer as a mail server does", "Check the port in SPAREKEY_SMTP, and which program listens there."
	}
	return how + " (" + said(a) + ")", advice
}

var stageWords = map[string]string{
	relay.StageConnect: "cannot be reached", relay.StageHello: "does not accept our greeting", relay.StageTLS: "offers no connection that is secure",
	relay.StageAuth: "does not accept our user and password", relay.StageMail: "does not let us send as this sender", relay.StageRcpt: "does not take mail for this recipient",
	relay.StageData: "did not take the mail",
}

var stageAdvice = map[string]string{
	relay.StageConnect: "Check host and port in SPAREKEY_SMTP, and that no firewall is between: many networks block port 25; 587 and 465 are for us.",
	relay.StageHello:   "It wants another name than the host of SPAREKEY_URL; make that a name the DNS knows.",
	relay.StageTLS:     "Check its certificate: its names, its end and who signed it. We never send without a secure connection unless tls=none says so.",
	relay.StageAuth:    "Check user and password in SPAREKEY_SMTP; some providers want a password made for programs.",
	relay.StageMail:    "Let this sender in at your mail provider, or set SPAREKEY_MAIL_FROM to one that is.",
	relay.StageRcpt:    "Check the address. If it is right, this server passes no mail on for us.",
	relay.StageData:    "Read what it said.",
}

// certificate looks at one that was verified already: when does it end?
func certificate(c Check, chain []*x509.Certificate, now time.Time) Check {
	if len(chain) == 0 {
		return c.Ended(maildns.Unchecked, "It showed no certificate.")
	}
	leaf := chain[0]
	ends := leaf.NotAfter.UTC().Format("2006-01-02")
	names := strings.Join(leaf.DNSNames[:min(len(leaf.DNSNames), 3)], ", ")
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		return c.Ended(maildns.Fail, "The certificate for %s ended on %s.", names, ends).Do("Renew it.")
	case left < maildns.Soon:
		return c.Ended(maildns.Warn, "The certificate for %s ends on %s.", names, ends).Do("Renew it; what renews it by itself seems to have stopped.")
	default:
		return c.Ended(maildns.OK, "The certificate for %s is good until %s.", names, ends)
	}
}

// https looks at the certificate that people's browsers see.
func (d *Doctor) https(ctx context.Context) Check {
	c := Check{Name: "https", Title: "Certificate of " + d.Config.URL.Host}
	at := d.Config.URL.Host
	if d.Config.URL.Port() == "" {
		at = net.JoinHostPort(d.Config.URL.Hostname(), "443")
	}
	conn, err := (&tls.Dialer{Config: d.tls()}).DialContext(ctx, "tcp", at)
	var bad *tls.CertificateVerificationError
	switch {
	case errors.As(err, &bad):
		return c.Ended(maildns.Fail, "Browsers do not trust the certificate of %s (%v).", at, bad.Err).Do("Renew it, for this very name.")
	case err != nil:
		return c.Ended(maildns.Unchecked, "%s cannot be reached from here (%v).", at, err).Do("Look from outside: some networks do not let a server reach its own public address.")
	}
	defer func() { _ = conn.Close() }()
	return certificate(c, conn.(*tls.Conn).ConnectionState().PeerCertificates, d.Clock()) //nolint:forcetypeassert // by its documentation
}

// testMail sends one mail, as all are sent.
func (d *Doctor) testMail(ctx context.Context, servers []relay.Server, q Question) Check {
	c := Check{Name: "test-mail", Title: "Test mail to " + q.To}
	to, err := address.Parse(q.To)
	if err != nil {
		return c.Ended(maildns.Fail, "%s is no address a mail can go to.", q.To).Do("Check --to.")
	}
	from := d.senderOf(q)
	raw, err := d.letter(ctx, from, to.Mail)
	if err != nil {
		return c.Ended(maildns.Fail, "The test mail cannot be written (%v).", err).Do("Check SPAREKEY_MAIL_FROM.")
	}
	o := d.options()
	o.Servers = servers
	r := relay.New(o)
	defer func() { _ = r.Close() }()
	attempts := r.Send(ctx, relay.Envelope{From: d.Config.MailFrom.Address, To: to.Mail}, raw)
	last := attempts[len(attempts)-1]
	if last.Outcome == relay.Accepted {
		return c.Ended(maildns.OK, "%s took the test mail (%s). Whether it arrives, the mailbox tells: look at the headers there for spf, dkim and dmarc.", last.Server, last.Reply)
	}
	how, advice := failed(last)
	return c.Ended(maildns.Fail, "%s %s.", last.Server, how).Do(advice)
}

func (d *Doctor) letter(ctx context.Context, from, to string) ([]byte, error) {
	_, domain, _ := strings.Cut(from, "@")
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(m.From(from), m.To(to)); err != nil {
		return nil, err
	}
	m.Subject("Test of Sparekey at " + d.Config.URL.Host)
	m.SetMessageIDWithValue(string(id.New[id.Message]()) + "@" + domain)
	m.SetDateWithValue(d.Clock().UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 section 5
	m.SetBodyString(gomail.TypeTextPlain, fmt.Sprintf(
		"Somebody who runs Sparekey at %s asked for this mail with “sparekey doctor”.\r\n\r\nIt arrived. There is nothing to do.\r\n", d.Config.URL.Host))
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return nil, err
	}
	if d.Ring == nil {
		return raw.Bytes(), nil
	}
	return (&keyring.Signer{Ring: d.Ring}).Sign(ctx, raw.Bytes(), domain)
}

// listener greets the server for returned mail as the world's servers do.
func (d *Doctor) listener(ctx context.Context) Check {
	c := Check{Name: "return-path", Title: "Returned mail"}
	host, port, _ := net.SplitHostPort(d.Config.BounceListen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil || number == 0 {
		return c.Ended(maildns.Unchecked, "SPAREKEY_BOUNCE_LISTEN takes any free port, which nobody can find.").Do("Name a port.")
	}
	// Nobody lives at this address: a listener that is ours refuses it.
	got := relay.Probe(ctx, relay.Server{Host: host, Port: number, TLS: relay.None}, d.options(), relay.Envelope{To: "sparekey-doctor@" + d.Config.BounceDomain})
	a := got.Attempt
	switch {
	case !reached(a):
		return c.Ended(maildns.Fail, "Nobody answers at %s, where returned mail should come in (%s).", a.Server, said(a)).Do("Start the server: sparekey serve. If it runs, read its log.")
	case a.Err == nil:
		return c.Ended(maildns.Warn, "What answers at %s takes mail for any address of %s.", a.Server, d.Config.BounceDomain).Do("Sparekey's own listener takes its return paths alone: look which program listens there.")
	case a.Stage == relay.StageRcpt && a.Code != 0:
		return c.Ended(maildns.OK, "The listener for returned mail answers at %s.", a.Server)
	default:
		how, _ := failed(a)
		return c.Ended(maildns.Fail, "The listener for returned mail at %s %s.", a.Server, how).Do("Look which program listens there.")
	}
}
