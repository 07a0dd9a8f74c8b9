package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/doctor"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/testkit"
)

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func resolver(t *testing.T, zones map[string]mockdns.Zone) *maildns.Resolver {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(zones, quiet{}, false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return maildns.At(s.LocalAddr().String())
}

// published is what a healthy sender publishes.
func published(t *testing.T, w *testkit.World) map[string]mockdns.Zone {
	t.Helper()
	pair, err := w.App.Ring.CreateDKIM(w.Ctx(), "sparekey.example", "")
	require.NoError(t, err)
	require.NoError(t, w.App.Ring.ActivateDKIM(w.Ctx(), "sparekey.example", pair.Selector))
	zones := map[string]mockdns.Zone{
		"sparekey.example.":          {TXT: []string{"v=spf1 ip4:198.51.100.7 -all"}, MX: []net.MX{{Host: "mx.sparekey.example.", Pref: 10}}},
		"bounce.sparekey.example.":   {TXT: []string{"v=spf1 ip4:198.51.100.7 -all"}, MX: []net.MX{{Host: "in.sparekey.example.", Pref: 10}}},
		"in.sparekey.example.":       {A: []string{"198.51.100.7"}},
		"_dmarc.sparekey.example.":   {TXT: []string{"v=DMARC1; p=reject"}},
		"7.100.51.198.in-addr.arpa.": {PTR: []string{"in.sparekey.example."}},
	}
	for _, r := range pair.Records() {
		zones[r.Name+"."] = mockdns.Zone{TXT: []string{r.Value}}
	}
	return zones
}

func find(t *testing.T, checks []doctor.Check, name string) doctor.Check {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s among %+v", name, checks)
	return doctor.Check{}
}

var fromHere = []netip.Addr{netip.MustParseAddr("198.51.100.7")}

func TestAHealthyInstallation(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		at, stop, err := w.App.ListenForReturned()
		require.NoError(t, err)
		t.Cleanup(stop)
		d := *w.App.Doctor
		d.Config.BounceListen = at
		checks, err := d.Examine(w.Ctx(), access.Operator(), doctor.Question{Resolver: resolver(t, published(t, w)), FromIP: fromHere})
		require.NoError(t, err)
		for _, c := range checks {
			require.Equal(t, maildns.OK, c.State, "%+v", c)
		}
		for _, name := range []string{
			"configuration", "database", "clock", "keys", "smtp", "return-path", "spf", "dkim", "dmarc", "mx-from", "mx-return-path", "reverse-dns", "mta-sts", "dane",
		} {
			find(t, checks, name)
		}
		require.False(t, doctor.Failed(checks))
		require.Empty(t, w.Inbox.Mails(), "it sends nothing unless asked to")
	}, func(c *config.Config) { c.BounceListen, c.BounceDomain = "127.0.0.1:0", "bounce.sparekey.example" })
}

func TestATestMailIsARealOne(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	q := doctor.Question{Resolver: resolver(t, published(t, w)), FromIP: fromHere, To: "jane@acme.example"}
	checks, err := w.App.Doctor.Examine(w.Ctx(), access.Operator(), q)
	require.NoError(t, err)
	require.Equal(t, maildns.OK, find(t, checks, "test-mail").State)
	m := w.Mail("jane@acme.example", "Test of Sparekey")
	require.Contains(t, string(m.Raw), "DKIM-Signature:")
	require.Contains(t, string(m.Raw), "Auto-Submitted: auto-generated")

	w.Inbox.SetFate(func(_, _ string, _ []byte) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "we do not like you"}
	})
	checks, err = w.App.Doctor.Examine(w.Ctx(), access.Operator(), q)
	require.NoError(t, err)
	refused := find(t, checks, "test-mail")
	require.Equal(t, maildns.Fail, refused.State)
	require.Contains(t, refused.Sentence, "we do not like you")
}

func TestWhatIsMissingIsSaidWithTheRecord(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	zones := published(t, w)
	for name := range zones {
		if strings.Contains(name, "_domainkey") || strings.HasPrefix(name, "_dmarc") {
			delete(zones, name)
		}
	}
	zones["sparekey.example."] = mockdns.Zone{MX: zones["sparekey.example."].MX}
	checks, err := w.App.Doctor.Examine(w.Ctx(), access.Operator(), doctor.Question{Resolver: resolver(t, zones), FromIP: fromHere, MailOnly: true})
	require.NoError(t, err)
	require.True(t, doctor.Failed(checks))
	require.Equal(t, `sparekey.example. IN TXT "v=spf1 ip4:198.51.100.7 -all"`, find(t, checks, "spf").Records[0].String())
	require.Contains(t, find(t, checks, "dkim").Records[0].String(), `_domainkey.sparekey.example. IN TXT "v=DKIM1;`)
	require.Contains(t, find(t, checks, "dmarc").Records[0].String(), `_dmarc.sparekey.example. IN TXT "v=DMARC1;`)
	for _, c := range checks {
		require.NotEqual(t, "database", c.Name, "only mail was asked for")
	}
}

// TestTheCertificateOfAMailServer: who signed it, and when it ends.
func TestTheCertificateOfAMailServer(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	r := resolver(t, published(t, w))
	for name, test := range map[string]struct {
		ends     time.Duration
		trusted  bool
		smtp     maildns.State
		lasts    maildns.State
		sentence string
	}{
		"good":      {90 * 24 * time.Hour, true, maildns.OK, maildns.OK, "is good until"},
		"ends soon": {5 * 24 * time.Hour, true, maildns.OK, maildns.Warn, "ends on"},
		"ended":     {-time.Hour, true, maildns.Fail, "", "certificate has expired"},
		"unknown":   {90 * 24 * time.Hour, false, maildns.Fail, "", "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roots := x509.NewCertPool()
			d := *w.App.Doctor
			d.Config.SMTP = "smtps://" + startSMTP(t, roots, test.ends)
			if test.trusted {
				d.Roots = roots
			} else {
				d.Roots = x509.NewCertPool()
			}
			checks, err := d.Examine(t.Context(), access.Operator(), doctor.Question{Resolver: r, FromIP: fromHere, MailOnly: true})
			require.NoError(t, err)
			require.Equal(t, test.smtp, find(t, checks, "smtp").State)
			said := find(t, checks, "smtp").Sentence
			if test.lasts != "" {
				require.Equal(t, test.lasts, find(t, checks, "smtp-certificate").State)
				said = find(t, checks, "smtp-certificate").Sentence
			}
			require.Contains(t, said, test.sentence)
		})
	}
}

// TestNothingHangs: a server and a DNS that never answer cost the limit, once.
func TestNothingHangs(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = mute.Close() })
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = deaf.Close() })
	d := *w.App.Doctor
	d.Config.SMTP = "smtp://" + mute.Addr().String() + "?tls=none"
	d.Limit = time.Second
	started := time.Now()
	checks, err := d.Examine(w.Ctx(), access.Operator(), doctor.Question{Resolver: maildns.At(deaf.LocalAddr().String())})
	require.NoError(t, err)
	require.Less(t, time.Since(started), 10*time.Second)
	require.Equal(t, maildns.Fail, find(t, checks, "smtp").State)
	require.Equal(t, maildns.Unchecked, find(t, checks, "spf").State)
	require.Equal(t, maildns.OK, find(t, checks, "database").State, "the rest was looked at")
}

// TestAServerThatIsNone: what answers in another way than a mail server is told
// from what cannot be reached, in bounded time and in few words.
func TestAServerThatIsNone(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	long := strings.Repeat("welcome ", 100)
	for name, test := range map[string]struct {
		speak func(net.Conn)
		says  string
	}{
		"silence":             {func(net.Conn) {}, "takes the connection, but does not answer in time."},
		"silence after hello": {func(c net.Conn) { _, _ = io.WriteString(c, "220 hello\r\n") }, "takes the connection, but does not answer in time."},
		"silence at RCPT":     {func(c net.Conn) { _, _ = io.WriteString(c, "220 hello\r\n250 hello\r\n250 go on\r\n") }, "takes the connection, but does not answer in time."},
		"half a greeting":     {func(c net.Conn) { _, _ = io.WriteString(c, "220 "+long) }, "takes the connection, but does not answer in time."},
		"a line without end":  {func(c net.Conn) { flood(c, "220 ", long) }, "does not answer as a mail server does (the server's reply is too long)."},
		"lines without end":   {func(c net.Conn) { flood(c, "", "220-"+long+"\r\n") }, "does not answer as a mail server does (the server's reply is too long)."},
		"another program":     {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") }, "does not answer as a mail server does (SSH-2.0-OpenSSH_9.2)."},
		"nothing":             {func(c net.Conn) { _ = c.Close() }, "does not answer as a mail server does (the server hung up)."},
		"a refusal":           {func(c net.Conn) { _, _ = io.WriteString(c, "554 5.7.1 you are on a list\r\n") }, "turns us away (554 5.7.1 you are on a list)."},
		"a refusal at length": {func(c net.Conn) { _, _ = io.WriteString(c, "554 "+long+"\r\n") }, "welcome …)."},
		"nobody":              {nil, "connection refused)."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := *w.App.Doctor
			d.Limit = 2 * time.Second
			at := speaker(t, test.speak)
			d.Config.SMTP, d.Config.BounceListen, d.Config.BounceDomain = "smtp://"+at+"?tls=none", at, "bounce.sparekey.example"
			started := time.Now()
			checks, err := d.Examine(t.Context(), access.Operator(), doctor.Question{Resolver: resolver(t, nil), MailOnly: true})
			require.NoError(t, err)
			require.Less(t, time.Since(started), 10*time.Second)
			for _, name := range []string{"smtp", "return-path"} {
				c := find(t, checks, name)
				require.Equal(t, maildns.Fail, c.State, c.Sentence)
				require.Contains(t, c.Sentence, strings.TrimSuffix(test.says, "."))
				require.Less(t, len(c.Sentence), 500)
				require.NotEmpty(t, c.Action)
				require.Equal(t, test.speak == nil, strings.Contains(c.Sentence, "cannot be reached") || strings.Contains(c.Sentence, "Nobody answers"), c.Sentence)
			}
		})
	}
}

// speaker gives the address of a server that says this to everybody and leaves
// hanging up to them; nobody listens there if speak is nil.
func speaker(t *testing.T, speak func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if speak == nil {
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	var served sync.WaitGroup
	served.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			served.Go(func() {
				speak(c)
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); served.Wait() })
	return l.Addr().String()
}

// flood says the same until the other side has enough.
func flood(c net.Conn, first, again string) {
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = io.WriteString(c, again)
	}
}

func TestOnlyOperatorsAsk(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	for _, actor := range []access.Actor{
		{},
		{Environment: w.Acme.ID, User: w.Admin.ID, Role: access.ClientAdmin},
		{Environment: w.Acme.ID, User: w.Admin.ID, Role: access.ServerOperator},
		{Environment: id.OperatorEnvironment, User: "x", Role: access.Member},
	} {
		_, err := w.App.Doctor.Examine(w.Ctx(), actor, doctor.Question{})
		require.True(t, fault.Is(err, fault.Denied), "%+v", actor)
	}
}

type backend struct{}

func (backend) NewSession(*smtp.Conn) (smtp.Session, error) { return session{}, nil }

type session struct{}

func (session) Mail(string, *smtp.MailOptions) error { return nil }
func (session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (session) Data(r io.Reader) error               { _, err := io.Copy(io.Discard, r); return err }
func (session) Reset()                               {}
func (session) Logout() error                        { return nil }

// startSMTP serves SMTP over TLS with a certificate that ends after so long.
func startSMTP(t *testing.T, roots *x509.CertPool, ends time.Duration) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"smtp.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(ends), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots.AddCert(leaf)
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := smtp.NewServer(backend{})
	s.ErrorLog = log.New(io.Discard, "", 0)
	var served sync.WaitGroup
	served.Go(func() {
		_ = s.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	})
	t.Cleanup(func() { _ = s.Close(); served.Wait() })
	return l.Addr().String()
}
