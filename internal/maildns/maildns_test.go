package maildns_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/maildns"
)

type zones = map[string]mockdns.Zone

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// resolver asks a real DNS server on this machine that has these zones.
func resolver(t *testing.T, z zones) *maildns.Resolver {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(z, quiet{}, false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return maildns.At(s.LocalAddr().String())
}

func txt(texts ...string) mockdns.Zone { return mockdns.Zone{TXT: texts} }

func mx(hosts ...string) mockdns.Zone {
	var z mockdns.Zone
	for i, h := range hosts {
		z.MX = append(z.MX, net.MX{Host: h, Pref: uint16(10 * (i + 1))})
	}
	return z
}

var acme = maildns.Sender{
	From: "acme.example", ReturnPath: "bounce.acme.example", Hello: "login.acme.example",
	Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.7")},
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestSPF(t *testing.T) {
	t.Parallel()
	long := zones{}
	include := "v=spf1"
	for _, n := range strings.Split("abcdefghijkl", "") {
		include += " include:" + n + ".example"
		long[n+".example."] = txt("v=spf1 ip4:203.0.113.1 ~all")
	}
	long["bounce.acme.example."] = txt(include + " -all")
	nobody := acme
	nobody.Addresses = nil
	guessed := acme
	guessed.Guessed = true
	for name, test := range map[string]struct {
		zones   zones
		sender  maildns.Sender
		state   maildns.State
		publish string
	}{
		"passes":                 {zones{"bounce.acme.example.": txt("hello", "v=spf1 ip4:198.51.100.0/24 -all")}, acme, maildns.OK, ""},
		"passes by name":         {zones{"bounce.acme.example.": txt("v=spf1 a:out.acme.example -all"), "out.acme.example.": {A: []string{"198.51.100.7"}}}, acme, maildns.OK, ""},
		"none":                   {zones{"bounce.acme.example.": txt("hello")}, acme, maildns.Fail, "v=spf1 ip4:198.51.100.7 -all"},
		"no such name":           {zones{}, acme, maildns.Fail, "v=spf1 ip4:198.51.100.7 -all"},
		"no such name, no hint":  {zones{}, nobody, maildns.Fail, "v=spf1 a:login.acme.example -all"},
		"two":                    {zones{"bounce.acme.example.": txt("v=spf1 a -all", "v=spf1 mx ~all")}, acme, maildns.Fail, "v=spf1 a mx ~all"},
		"another address":        {zones{"bounce.acme.example.": txt("v=spf1 ip4:203.0.113.9 ~all")}, acme, maildns.Fail, "v=spf1 ip4:203.0.113.9 ip4:198.51.100.7 ~all"},
		"another, but a guess":   {zones{"bounce.acme.example.": txt("v=spf1 ip4:203.0.113.9 -all")}, guessed, maildns.Warn, "v=spf1 ip4:203.0.113.9 ip4:198.51.100.7 -all"},
		"too many look-ups":      {long, acme, maildns.Fail, ""},
		"nonsense":               {zones{"bounce.acme.example.": txt("v=spf1 ipv4:198.51.100.7 -all")}, acme, maildns.Fail, "v=spf1 ip4:198.51.100.7 -all"},
		"everybody":              {zones{"bounce.acme.example.": txt("v=spf1 +all")}, nobody, maildns.Fail, "v=spf1 -all"},
		"nobody told us, sound":  {zones{"bounce.acme.example.": txt("v=spf1 ip4:203.0.113.9 -all")}, nobody, maildns.OK, ""},
		"nobody told us, broken": {zones{"bounce.acme.example.": txt("v=spf1 include:gone.example -all")}, nobody, maildns.Fail, "v=spf1 a:login.acme.example -all"},
		"servers fail":           {zones{"bounce.acme.example.": {Err: &net.DNSError{Err: "servfail", IsTemporary: true}}}, acme, maildns.Unchecked, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := maildns.SPF(bounded(t), resolver(t, test.zones), test.sender)
			expect(t, c, test.state, "bounce.acme.example", test.publish)
		})
	}
}

// expect looks at the state and the one record to publish, if any.
func expect(t *testing.T, c maildns.Check, state maildns.State, at, publish string) {
	t.Helper()
	require.Equal(t, state, c.State, "%+v", c)
	require.NotEmpty(t, c.Sentence)
	if state != maildns.OK {
		require.NotEmpty(t, c.Action, "what to do? %+v", c)
	}
	if publish == "" {
		return
	}
	require.Len(t, c.Records, 1)
	require.Equal(t, at, c.Records[0].Name)
	require.Equal(t, publish, c.Records[0].Value)
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	key := maildns.Key{Domain: "acme.example", Selector: "s1", Text: "v=DKIM1; k=ed25519; p=AAAABBBB"}
	const at = "s1._domainkey.acme.example"
	for name, test := range map[string]struct {
		zone  mockdns.Zone
		state maildns.State
	}{
		"published":   {txt("v=DKIM1; k=ed25519; p=AAAA BBBB"), maildns.OK},
		"not":         {mockdns.Zone{}, maildns.Fail},
		"another key": {txt("v=DKIM1; k=ed25519; p=CCCC"), maildns.Fail},
		"withdrawn":   {txt("v=DKIM1; p="), maildns.Fail},
		"testing":     {txt("v=DKIM1; t=y; k=ed25519; p=AAAABBBB"), maildns.Warn},
		"two":         {txt("v=DKIM1; p=AAAABBBB", "v=DKIM1; p=CCCC"), maildns.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := zones{}
			if len(test.zone.TXT) > 0 {
				z[at+"."] = test.zone
			}
			c := maildns.DKIM(bounded(t), resolver(t, z), key)
			publish := ""
			if test.state != maildns.OK {
				publish = key.Text
			}
			expect(t, c, test.state, at, publish)
		})
	}
}

func TestDMARC(t *testing.T) {
	t.Parallel()
	elsewhere := acme
	elsewhere.ReturnPath = "mail.provider.example"
	below := acme
	below.From, below.ReturnPath = "login.acme.example", "bounce.acme.example"
	for name, test := range map[string]struct {
		zones  zones
		sender maildns.Sender
		signed bool
		state  maildns.State
	}{
		"none":                    {zones{}, acme, false, maildns.Warn},
		"nonsense":                {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=whatever")}, acme, false, maildns.Fail},
		"relaxed":                 {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=reject")}, acme, false, maildns.OK},
		"strict":                  {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=reject; aspf=s")}, acme, false, maildns.Fail},
		"strict, signed":          {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=reject; aspf=s")}, acme, true, maildns.OK},
		"another domain":          {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=quarantine")}, elsewhere, false, maildns.Fail},
		"another domain, signed":  {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=quarantine")}, elsewhere, true, maildns.OK},
		"of the organisation":     {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=reject")}, below, false, maildns.OK},
		"watching":                {zones{"_dmarc.acme.example.": txt("v=DMARC1; p=none")}, acme, false, maildns.OK},
		"the name server is dead": {zones{"_dmarc.acme.example.": {Err: &net.DNSError{Err: "servfail", IsTemporary: true}}}, acme, false, maildns.Unchecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, maildns.DMARC(bounded(t), resolver(t, test.zones), test.sender, test.signed), test.state, "", "")
		})
	}
}

func TestWhereMailGoes(t *testing.T) {
	t.Parallel()
	ours := []netip.Addr{netip.MustParseAddr("198.51.100.7")}
	for name, test := range map[string]struct {
		zones         zones
		from, return_ maildns.State
	}{
		"all is well": {zones{
			"acme.example.": mx("mx.acme.example."), "bounce.acme.example.": mx("login.acme.example."),
		}, maildns.OK, maildns.OK},
		"by another name": {zones{
			"acme.example.": mx("mx.acme.example."), "bounce.acme.example.": mx("back.acme.example."),
			"back.acme.example.": {A: []string{"198.51.100.7"}},
		}, maildns.OK, maildns.OK},
		"nothing":    {zones{}, maildns.Fail, maildns.Fail},
		"null MX":    {zones{"acme.example.": mx("."), "bounce.acme.example.": mx("other.example."), "other.example.": {A: []string{"203.0.113.5"}}}, maildns.Warn, maildns.Warn},
		"an address": {zones{"acme.example.": {A: []string{"203.0.113.1"}}}, maildns.Warn, maildns.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := resolver(t, test.zones)
			expect(t, maildns.SenderMX(bounded(t), r, "acme.example", "login.acme.example"), test.from, "", "")
			back := maildns.ReturnMX(bounded(t), r, "bounce.acme.example", "login.acme.example", ours)
			publish := ""
			if test.return_ != maildns.OK {
				publish = "10 login.acme.example."
			}
			expect(t, back, test.return_, "bounce.acme.example", publish)
		})
	}
}

func TestReverseDNS(t *testing.T) {
	t.Parallel()
	const at = "7.100.51.198.in-addr.arpa."
	private := acme
	private.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")}
	for name, test := range map[string]struct {
		zones  zones
		sender maildns.Sender
		state  maildns.State
	}{
		"both ways":    {zones{at: {PTR: []string{"out.acme.example."}}, "out.acme.example.": {A: []string{"198.51.100.7"}}}, acme, maildns.OK},
		"no name":      {zones{}, acme, maildns.Fail},
		"not back":     {zones{at: {PTR: []string{"out.acme.example."}}, "out.acme.example.": {A: []string{"203.0.113.1"}}}, acme, maildns.Fail},
		"private only": {zones{}, private, maildns.Unchecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := maildns.Reverse(bounded(t), resolver(t, test.zones), test.sender)
			expect(t, c, test.state, "", "")
			if name == "no name" {
				require.Equal(t, strings.TrimSuffix(at, ".")+". IN PTR login.acme.example.", c.Records[0].String())
			}
		})
	}
}

func TestMTASTSAndDANE(t *testing.T) {
	t.Parallel()
	text := "version: STSv1\r\nmode: enforce\r\nmx: *.mx.example\r\nmax_age: 86400\r\n"
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "mta-sts.acme.example" || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.Redirect(w, r, "https://mta-sts.acme.example/.well-known/mta-sts.txt", http.StatusFound) // must not be followed
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(site.Close)
	web := site.Client()
	transport := web.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, site.Listener.Addr().String())
	}
	web.Transport = transport
	tlsa := func(host string) mockdns.Zone {
		rr, err := dns.NewRR("_25._tcp." + host + " IN TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000")
		require.NoError(t, err)
		return mockdns.Zone{AD: true, Misc: map[dns.Type][]dns.RR{dns.Type(dns.TypeTLSA): {rr}}}
	}
	unsigned := tlsa("a.mx.example.")
	unsigned.AD = false
	for name, test := range map[string]struct {
		zones     zones
		domain    string
		sts, dane maildns.State
	}{
		"neither":             {zones{"acme.example.": mx("a.mx.example.")}, "acme.example", maildns.OK, maildns.OK},
		"both":                {zones{"acme.example.": mx("a.mx.example."), "_mta-sts.acme.example.": txt("v=STSv1; id=1"), "_25._tcp.a.mx.example.": tlsa("a.mx.example.")}, "acme.example", maildns.OK, maildns.OK},
		"a server not named":  {zones{"acme.example.": mx("a.b.mx.example."), "_mta-sts.acme.example.": txt("v=STSv1; id=1")}, "acme.example", maildns.Fail, maildns.OK},
		"one of two has TLSA": {zones{"acme.example.": mx("a.mx.example.", "b.mx.example."), "_25._tcp.a.mx.example.": tlsa("a.mx.example.")}, "acme.example", maildns.OK, maildns.Warn},
		"TLSA not signed":     {zones{"acme.example.": mx("a.mx.example."), "_25._tcp.a.mx.example.": unsigned}, "acme.example", maildns.OK, maildns.Warn},
		"no policy there":     {zones{"globex.example.": mx("a.mx.example."), "_mta-sts.globex.example.": txt("v=STSv1; id=1")}, "globex.example", maildns.Warn, maildns.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks := maildns.Strictness(bounded(t), resolver(t, test.zones), web, test.domain)
			expect(t, checks[0], test.sts, "", "")
			expect(t, checks[1], test.dane, "", "")
		})
	}
}

// TestASilentDNSIsNoVerdict: who cannot ask must not say that something is wrong.
func TestASilentDNSIsNoVerdict(t *testing.T) {
	t.Parallel()
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = deaf.Close() })
	r := maildns.At(deaf.LocalAddr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	all := append(maildns.Strictness(ctx, r, http.DefaultClient, "acme.example"),
		maildns.SPF(ctx, r, acme), maildns.DMARC(ctx, r, acme, false), maildns.Reverse(ctx, r, acme),
		maildns.DKIM(ctx, r, maildns.Key{Domain: "acme.example", Selector: "s"}),
		maildns.SenderMX(ctx, r, "acme.example", "x.example"), maildns.ReturnMX(ctx, r, "acme.example", "x.example", nil))
	for _, c := range all {
		require.Equal(t, maildns.Unchecked, c.State, "%+v", c)
	}
}

func TestLongRecordsAreSplit(t *testing.T) {
	t.Parallel()
	r := maildns.Record{Name: "s._domainkey.acme.example", Type: "TXT", Value: strings.Repeat("k", 600)}
	require.Equal(t, 3, strings.Count(r.String(), `"`)/2)
	for part := range strings.SplitSeq(r.String(), `"`) {
		require.LessOrEqual(t, len(part), 255)
	}
}
