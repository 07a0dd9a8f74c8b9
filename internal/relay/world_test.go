package relay_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/relay"
)

// post is a well-behaved server, with the library's own implementation of SMTP.
type post struct {
	addr  *net.TCPAddr
	roots *x509.CertPool
	mu    sync.Mutex
	peers map[string]bool // the client's end of each connection
	mails []arrived
}

type arrived struct{ from, to, data string }

type postOptions struct {
	mode           relay.Mode
	user, password string
	change         func(*smtp.Server)
}

func newPost(t testing.TB, o postOptions) *post {
	t.Helper()
	p := &post{roots: x509.NewCertPool(), peers: map[string]bool{}}
	certificate := certify(t, "localhost", p.roots)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.peers[c.Conn().RemoteAddr().String()] = true // there is a session for each EHLO
		return &postSession{post: p, options: o}, nil
	}))
	server.ErrorLog = quiet{}
	server.Domain = "localhost"
	if o.mode != relay.None {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	if o.change != nil {
		o.change(server)
	}
	listener := listen(t)
	p.addr = listener.Addr().(*net.TCPAddr)
	if o.mode == relay.Implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _, _ = server.Close(), listener.Close(); <-done })
	return p
}

func (p *post) conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.peers)
}

func (p *post) arrived() []arrived {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]arrived(nil), p.mails...)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type postSession struct {
	post    *post
	options postOptions
	in      bool
	mail    arrived
}

func (s *postSession) AuthMechanisms() []string {
	if s.options.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *postSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.options.user || password != s.options.password {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *postSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.options.user != "" && !s.in {
		return smtp.ErrAuthRequired
	}
	s.mail.from = from
	return nil
}

func (s *postSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
	}
	s.mail.to = to
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.data = string(data)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.mails = append(s.post.mails, s.mail)
	return nil
}

func (s *postSession) Reset()        { s.mail = arrived{} }
func (s *postSession) Logout() error { return nil }

// script is a server that does what a test tells it; each connection runs act.
type script struct {
	addr   *net.TCPAddr
	conns  atomic.Int32
	stalls chan struct{} // told when a connection begins to stall

	mu    sync.Mutex
	heard []string // every line clients sent
}

func newScript(t testing.TB, act func(*talker)) *script {
	t.Helper()
	s := &script{stalls: make(chan struct{}, 1)}
	listener := listen(t)
	s.addr = listener.Addr().(*net.TCPAddr)
	var running sync.WaitGroup
	ended := make(chan struct{})
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(s.conns.Add(1))
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					select {
					case <-ended:
						_ = conn.Close()
					case <-stop:
					}
				}()
				act(&talker{script: s, conn: conn, in: bufio.NewReader(conn), number: number, ended: ended})
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); close(ended); running.Wait() })
	return s
}

func (s *script) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.heard...)
}

// talker is one connection of a script.
type talker struct {
	script *script
	conn   net.Conn
	in     *bufio.Reader
	number int // 1 for the first connection
	ended  chan struct{}
}

func (k *talker) say(lines ...string) {
	_, _ = io.WriteString(k.conn, strings.Join(lines, "\r\n")+"\r\n")
}

// end is what hear gives when the client has hung up.
const end = "\x00end"

// hear reads one line.
func (k *talker) hear() string {
	line, err := k.in.ReadString('\n')
	if err != nil {
		return end
	}
	line = strings.TrimRight(line, "\r\n")
	k.script.mu.Lock()
	k.script.heard = append(k.script.heard, line)
	k.script.mu.Unlock()
	return line
}

// stall says nothing until the test is over or the client hangs up.
func (k *talker) stall() {
	select {
	case k.script.stalls <- struct{}{}:
	default:
	}
	_, _ = io.Copy(io.Discard, k.in)
}

func (k *talker) hello(offers ...string) {
	k.say("220 test")
	k.hear()
	for i, offer := range append([]string{"test"}, offers...) {
		mark := "-"
		if i == len(offers) {
			mark = " "
		}
		k.say("250" + mark + offer)
	}
}

func (k *talker) message() {
	for line := k.hear(); line != "." && line != end; line = k.hear() {
		continue
	}
}

func (k *talker) secure(config *tls.Config) {
	conn := tls.Server(k.conn, config)
	if conn.Handshake() == nil {
		k.conn, k.in = conn, bufio.NewReader(conn)
	}
}

// polite answers everything with yes, but for the commands in answers, whose
// words are said instead; "hang up" closes.
func polite(answers map[string]string, offers ...string) func(*talker) {
	return func(k *talker) {
		k.hello(offers...)
		serve(k, answers)
	}
}

func serve(k *talker, answers map[string]string) {
	for {
		line := k.hear()
		if line == end {
			return
		}
		verb, _, _ := strings.Cut(line, " ")
		answer, ok := answers[verb]
		switch {
		case answer == "hang up":
			return
		case answer == "stall":
			k.stall()
			return
		case ok:
			k.say(answer)
		case verb == "DATA":
			k.say("354 go on")
			k.message()
			answer, ok := answers["."]
			switch {
			case answer == "hang up":
				return
			case answer == "stall":
				k.stall()
				return
			case ok:
				k.say(answer)
			default:
				k.say("250 2.0.0 OK queued as 4711")
			}
		case verb == "QUIT":
			k.say("221 bye")
			return
		default:
			k.say("250 2.0.0 OK")
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// certify makes a certificate for host that roots trusts.
func certify(t testing.TB, host string, roots *x509.CertPool) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func at(addr *net.TCPAddr, mode relay.Mode) relay.Server {
	return relay.Server{Host: "127.0.0.1", Port: addr.Port, TLS: mode}
}

func newRelay(t testing.TB, o relay.Options) *relay.Relay {
	t.Helper()
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Hello == "" {
		o.Hello = "login.example.com"
	}
	r := relay.New(o)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// trusting is what a relay needs to believe p.
func (p *post) trusting() *tls.Config { return &tls.Config{RootCAs: p.roots, ServerName: "localhost"} }

var envelope = relay.Envelope{From: "bounce+1@login.example.com", To: "jane@acme.example"}

const letter = "Subject: Reset\r\n\r\nhttps://login.example.com/acme/reset-password/0V3G7T4K8Q2ZC9M5N1B6HX0R4D7W8Y3F5J2K9P1A\r\n04711815\r\n.\r\n..dots\r\n"

func port(addr *net.TCPAddr) string { return "127.0.0.1:" + strconv.Itoa(addr.Port) }
