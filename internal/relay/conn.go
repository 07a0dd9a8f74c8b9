package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// conn is one connection to a server. It is used by one attempt at a time.
type conn struct {
	server  Server
	options Options
	raw     net.Conn // below TLS
	wire    net.Conn // what is spoken on: raw, or TLS over it
	in      *bufio.Reader
	ext     map[string]string // what EHLO offered, in upper case
	talk    *talk             // of the attempt that uses it
	guard   *time.Timer       // ends the step that takes too long
	idle    *time.Timer       // ends the connection that nobody uses
	dirty   bool              // a transaction was refused half-way: RSET first
	broken  bool              // not to be used again
}

// failure is an attempt that did not end in acceptance.
type failure struct {
	stage   string
	reply   reply // the deciding one; zero if there was none
	refused bool  // the server said no, clearly
	unknown bool  // the message may have arrived all the same
	ours    bool  // we took it back
	err     error
}

func (f *failure) Error() string { return f.stage + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

var (
	errHungUp    = errors.New("the server hung up")
	errNoTLS     = errors.New("the server offers no TLS, which is demanded")
	errNoAuth    = errors.New("the server offers no way to sign in that we know")
	errNoUTF8    = errors.New("the server takes no addresses with letters outside ASCII")
	errUntimely  = errors.New("the server's reply does not fit the command")
	errWithdrawn = errors.New("the message was withdrawn")
	errClearText = errors.New("the password is not sent over an unencrypted connection")
)

// dial opens a connection and brings it to where MAIL may be said.
func dial(ctx context.Context, s Server, o Options, t *talk) (*conn, *failure) {
	dialer := net.Dialer{Timeout: o.ConnectTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", s.Address())
	if err != nil {
		return nil, &failure{stage: StageConnect, err: fmt.Errorf("connect: %w", err)}
	}
	c := &conn{server: s, options: o, raw: raw, wire: raw, talk: t}
	c.in = bufio.NewReaderSize(raw, maxLine)
	c.guard = time.AfterFunc(time.Hour, c.expire)
	c.guard.Stop()
	end := c.follow(ctx)
	defer end()
	for _, step := range []func() *failure{c.implicitTLS, c.greeting, c.hello, c.startTLS, c.auth} {
		if f := step(); f != nil {
			c.broken = true
			c.close()
			f.err = c.explain(ctx, f.err)
			return nil, f
		}
	}
	return c, nil
}

// follow makes the end of ctx end the conversation. The function it gives
// must be called when the attempt is over.
func (c *conn) follow(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, c.expire)
	return func() {
		if !stop() {
			c.broken = true
		}
	}
}

// expire makes all that waits on the connection fail at once, for good.
func (c *conn) expire() { _ = c.raw.SetDeadline(time.Unix(1, 0)) }

// within limits the time of one step.
func (c *conn) within(limit time.Duration, step func() error) error {
	c.guard.Reset(limit)
	err := step()
	if !c.guard.Stop() {
		c.broken = true
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("no answer within %s: %w", limit, err)
		}
	}
	return err
}

// explain puts the end of the attempt's context before the error it caused.
func (c *conn) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("given up: %w", context.Cause(ctx))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errHungUp
	default:
		return err
	}
}

// close ends the connection, with a QUIT where it still listens. It does not
// wait for the answer.
func (c *conn) close() {
	if !c.broken {
		_ = c.within(time.Second, func() error {
			_, err := io.WriteString(c.wire, "QUIT\r\n")
			return err
		})
	}
	c.guard.Stop()
	_ = c.raw.Close()
}

func (c *conn) send(lines string) error {
	_, err := io.WriteString(c.wire, lines)
	return err
}

func (c *conn) read() (reply, error) { return readReply(c.in, c.talk.server) }

// command sends one line and reads the reply.
func (c *conn) command(line string) (reply, error) {
	c.talk.client(line)
	var r reply
	err := c.within(c.options.CommandTimeout, func() error {
		if err := c.send(line + "\r\n"); err != nil {
			return err
		}
		var err error
		r, err = c.read()
		return err
	})
	return r, err
}

// expect turns what came back into a failure unless it is of the wanted class.
func expect(stage string, class int, r reply, err error) *failure {
	switch {
	case err != nil:
		return &failure{stage: stage, reply: r, err: err}
	case r.class() == class:
		return nil
	case r.class() == 4 || r.class() == 5:
		return &failure{stage: stage, reply: r, refused: true, err: fmt.Errorf("refused: %s", r.text())}
	default:
		return &failure{stage: stage, reply: r, err: errUntimely}
	}
}

func (c *conn) implicitTLS() *failure {
	if c.server.TLS != Implicit {
		return nil
	}
	return c.handshake()
}

func (c *conn) greeting() *failure {
	var r reply
	err := c.within(c.options.CommandTimeout, func() error {
		var err error
		r, err = c.read()
		return err
	})
	return expect(StageConnect, 2, r, err)
}

func (c *conn) hello() *failure {
	r, err := c.command("EHLO " + c.options.Hello)
	if f := expect(StageHello, 2, r, err); f != nil {
		if !f.refused || r.class() != 5 || c.server.TLS == StartTLS && c.wire == c.raw {
			return f
		}
		// RFC 5321 section 3.2: a server of old knows only HELO.
		r, err = c.command("HELO " + c.options.Hello)
		c.ext = nil
		return expect(StageHello, 2, r, err)
	}
	c.ext = make(map[string]string)
	for _, line := range r.lines[1:] {
		keyword, rest, _ := strings.Cut(line, " ")
		c.ext[strings.ToUpper(keyword)] = strings.ToUpper(rest)
	}
	return nil
}

func (c *conn) offers(keyword string) bool {
	_, ok := c.ext[keyword]
	return ok
}

func (c *conn) startTLS() *failure {
	if c.server.TLS != StartTLS {
		return nil
	}
	if !c.offers("STARTTLS") {
		return &failure{stage: StageTLS, err: errNoTLS}
	}
	r, err := c.command("STARTTLS")
	if f := expect(StageTLS, 2, r, err); f != nil {
		return f
	}
	if c.in.Buffered() > 0 {
		// Words slipped in before TLS must not count as said within it (CVE-2011-0411).
		return &failure{stage: StageTLS, err: errTooEarly}
	}
	if f := c.handshake(); f != nil {
		return f
	}
	// RFC 3207 section 4.2: what was offered in clear text does not count.
	return c.hello()
}

func (c *conn) handshake() *failure {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.options.TLSConfig != nil {
		config = c.options.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = c.server.Host
	}
	secure := tls.Client(c.raw, config)
	if err := c.within(c.options.ConnectTimeout, secure.Handshake); err != nil {
		return &failure{stage: StageTLS, err: fmt.Errorf("secure the connection: %w", err)}
	}
	c.wire = secure
	c.in = bufio.NewReaderSize(secure, maxLine)
	c.talk.add("(" + tls.VersionName(secure.ConnectionState().Version) + ")")
	return nil
}

func (c *conn) auth() *failure {
	if c.server.User == "" {
		return nil
	}
	if c.wire == c.raw { // mailserver.Parse refuses this; a Server made by hand gets here
		return &failure{stage: StageAuth, err: errClearText}
	}
	mechanism, client := c.mechanism()
	if client == nil {
		return &failure{stage: StageAuth, err: errNoAuth}
	}
	_, initial, err := client.Start()
	if err != nil {
		return &failure{stage: StageAuth, err: fmt.Errorf("sign in: %w", err)}
	}
	line := "AUTH " + mechanism
	if initial != nil {
		line += " " + base64.StdEncoding.EncodeToString(initial)
	}
	if initial == nil {
		c.talk.client(line)
	} else {
		c.talk.client("AUTH " + mechanism + " " + removed)
	}
	for {
		r, err := c.secret(line)
		if f := expect(StageAuth, 2, r, err); f == nil || r.class() != 3 || err != nil {
			return f
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.Join(r.lines, ""))
		if err != nil {
			return &failure{stage: StageAuth, err: errUntimely}
		}
		answer, err := client.Next(challenge)
		if err != nil {
			return &failure{stage: StageAuth, err: errUntimely}
		}
		line = base64.StdEncoding.EncodeToString(answer)
		c.talk.client(removed)
	}
}

// mechanism chooses how to sign in. Both ways send the password, so both need TLS.
func (c *conn) mechanism() (string, sasl.Client) {
	offered := strings.Fields(c.ext["AUTH"])
	for _, name := range offered {
		if name == sasl.Plain {
			return sasl.Plain, sasl.NewPlainClient("", c.server.User, c.server.Password)
		}
	}
	for _, name := range offered {
		if name == sasl.Login {
			return sasl.Login, &login{[]string{c.server.User, c.server.Password}}
		}
	}
	return "", nil
}

// login answers the questions of AUTH LOGIN in their order, whatever their words:
// the library's client knows only servers that ask for a "Password:" and take the
// user's name along with the command, which not all do.
type login struct{ answers []string }

func (l *login) Start() (mechanism string, initial []byte, err error) { return sasl.Login, nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

// secret is command for lines that hold a password: neither they nor what a reply
// repeats of them are recorded.
func (c *conn) secret(line string) (reply, error) {
	answer := line
	if command, ok := strings.CutPrefix(line, "AUTH "); ok {
		_, answer, _ = strings.Cut(command, " ")
	}
	hide := hiding(answer, c.server.Password, c.server.User)
	var r reply
	err := c.within(c.options.CommandTimeout, func() error {
		if err := c.send(line + "\r\n"); err != nil {
			return err
		}
		var err error
		r, err = readReply(c.in, func(said string) { c.talk.server(hide(said)) })
		return err
	})
	if r.class() != 3 {
		for i := range r.lines {
			r.lines[i] = hide(r.lines[i])
		}
	}
	return r, err
}
