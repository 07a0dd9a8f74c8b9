package lockouts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// The steps of a conversation at which a mail server can say something.
const (
	atLogin = "login"
	atMail  = "mail"
	atRcpt  = "rcpt"
	atData  = "data"
	atTaken = "taken" // when it has the mail, and only its answer is missing
)

// errHangUp is an answer that is none: the connection closes.
var errHangUp = errors.New("hang up")

// answer decides what the mail server says at a step; nil lets it go on.
type answer func(step, to, text string) error

// office is the mail server the product hands its mail to. It says what a test
// tells it to, and brings what it takes to the inbox.
type office struct {
	addr    string
	inbox   string // where what it takes goes
	mu      sync.Mutex
	says    answer
	down    bool
	tls     *tls.Config
	signsIn bool
}

// open starts the server on a free port of the loopback interface.
func (o *office) open(t *testing.T) *office {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.addr = l.Addr().String()
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &counter{office: o, conn: c}, nil
	}))
	server.Domain, server.TLSConfig = "mail.example", o.tls
	server.EnableSMTPUTF8 = true
	server.ErrorLog = log.New(io.Discard, "", 0)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(gate{l, o}) })
	t.Cleanup(func() {
		_ = server.Close()
		_ = l.Close()
		serving.Wait()
	})
	return o
}

// url is how SPAREKEY_SMTP names it.
func (o *office) url() string {
	if o.tls == nil {
		return "smtp://" + o.addr + "?tls=none"
	}
	_, port, _ := net.SplitHostPort(o.addr)
	login := ""
	if o.signsIn {
		login = "sparekey:secret@"
	}
	return "smtp://" + login + "localhost:" + port
}

// answers sets what it says from now on; nil: it takes everything.
func (o *office) answers(a answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.says = a
}

// goesDown lets it hang up on everybody; comesUp ends that.
func (o *office) goesDown() { o.setDown(true) }
func (o *office) comesUp()  { o.setDown(false) }

func (o *office) setDown(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *office) isDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

// gate is its front door: while it is down nobody gets a greeting.
type gate struct {
	net.Listener
	office *office
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.office.isDown() {
			return c, err
		}
		_ = c.Close()
	}
}

// counter is one conversation.
type counter struct {
	office *office
	conn   *smtp.Conn
	from   string
	to     string
}

func (c *counter) ask(step, to, text string) error {
	c.office.mu.Lock()
	says, down := c.office.says, c.office.down
	c.office.mu.Unlock()
	if down {
		return c.hangUp()
	}
	if says == nil {
		return nil
	}
	err := says(step, to, text)
	if errors.Is(err, errHangUp) {
		return c.hangUp()
	}
	return err
}

func (c *counter) hangUp() error {
	_ = c.conn.Conn().Close()
	return errHangUp
}

func (c *counter) AuthMechanisms() []string {
	if c.office.signsIn {
		return []string{sasl.Plain}
	}
	return nil
}

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error { return c.ask(atLogin, "", "") }), nil
}

func (c *counter) Mail(from string, _ *smtp.MailOptions) error {
	c.from = from
	return c.ask(atMail, "", "")
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = to
	return c.ask(atRcpt, to, "")
}

func (c *counter) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	text := string(raw)
	if err := c.ask(atData, c.to, text); err != nil {
		return err
	}
	if err := netsmtp.SendMail(c.office.inbox, nil, c.from, []string{c.to}, raw); err != nil {
		return err
	}
	return c.ask(atTaken, c.to, text)
}

func (c *counter) Reset() {}

func (c *counter) Logout() error { return nil }

// reply makes an answer of a code, an enhanced one ("" for none) and words.
func reply(code int, enhanced, words string) *smtp.SMTPError {
	e := &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: words}
	if enhanced != "" {
		var a, b, c int
		if _, err := fmt.Sscanf(enhanced, "%d.%d.%d", &a, &b, &c); err != nil {
			panic(err)
		}
		e.EnhancedCode = smtp.EnhancedCode{a, b, c}
	}
	return e
}

// authority signs the certificates of mail servers. The whole test process
// trusts it, as a company's machines trust its own.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var ca authority

// trustOurAuthority makes it before anything is verified.
func trustOurAuthority(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Lock-outs"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	ca.key = key
	file := filepath.Join(folder, "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}

// certificate is one of the authority's, for a host.
func (a authority) certificate(t *testing.T, host string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}
