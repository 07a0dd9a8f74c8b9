package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client is one keep-alive HTTP/1.1 connection, and lean, because it shares the
// cores with what it measures. Not for use by several goroutines.
type client struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	body    []byte
	timeout time.Duration
}

func newClient(address string) *client {
	return &client{address: address, timeout: 60 * time.Second}
}

// answer is what the server said. The body is valid until the next request.
type answer struct {
	status   int
	location string
	cookies  []string      // name=value
	retry    time.Duration // Retry-After
	body     []byte
}

var errBadAnswer = errors.New("answer is no HTTP/1.1")

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is expected of it any more
		c.conn = nil
	}
}

// connect opens the connection ahead of the first request.
func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.address, 10*time.Second)
	if err != nil {
		return err
	}
	c.conn = conn
	if c.in == nil {
		c.in = bufio.NewReaderSize(conn, 16<<10)
	} else {
		c.in.Reset(conn)
	}
	return nil
}

// get asks for a page. header is "" or whole lines, each ended by \r\n.
func (c *client) get(path, header string) (answer, error) {
	c.out = append(c.out[:0], "GET "...)
	c.out = append(c.out, path...)
	c.head(header)
	c.out = append(c.out, "\r\n"...)
	return c.exchange()
}

// post sends a form that is already encoded.
func (c *client) post(path, header, form string) (answer, error) {
	c.out = append(c.out[:0], "POST "...)
	c.out = append(c.out, path...)
	c.head(header)
	c.out = append(c.out, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(form)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, form...)
	return c.exchange()
}

func (c *client) head(header string) {
	c.out = append(c.out, " HTTP/1.1\r\nHost: "...)
	c.out = append(c.out, c.address...)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, header...)
}

// exchange tries again once on a new connection if the server closed the kept
// one before it answered anything.
func (c *client) exchange() (answer, error) {
	kept := c.conn != nil
	a, begun, err := c.once()
	if err != nil {
		c.close()
		if kept && !begun {
			if a, _, err = c.once(); err != nil {
				c.close()
			}
		}
	}
	return a, err
}

func (c *client) once() (a answer, begun bool, err error) {
	if err := c.connect(); err != nil {
		return a, false, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return a, false, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return a, false, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, len(line) > 0, err
	}
	if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
		return a, true, errBadAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, true, errBadAnswer
	}
	return a, true, c.rest(&a)
}

func (c *client) rest(a *answer) error {
	length, chunked, last := -1, false, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(": ")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return errBadAnswer
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			last = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Location")):
			a.location = string(value)
		case bytes.EqualFold(name, []byte("Retry-After")):
			seconds, _ := strconv.Atoi(string(value)) // a date counts as none
			a.retry = time.Duration(seconds) * time.Second
		case bytes.EqualFold(name, []byte("Set-Cookie")):
			pair, _, _ := bytes.Cut(value, []byte(";"))
			a.cookies = append(a.cookies, string(pair))
		}
	}
	err := c.readBody(a, length, chunked)
	if last {
		c.close()
	}
	return err
}

func (c *client) readBody(a *answer, length int, chunked bool) error {
	c.body = c.body[:0]
	switch {
	case a.status == 304 || a.status == 204:
	case chunked:
		for {
			line, err := c.in.ReadSlice('\n')
			if err != nil {
				return err
			}
			n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
			if err != nil {
				return errBadAnswer
			}
			if err := c.readN(int(n)); err != nil {
				return err
			}
			if _, err := c.in.Discard(2); err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
	case length >= 0:
		if err := c.readN(length); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: no length", errBadAnswer)
	}
	a.body = c.body
	return nil
}

func (c *client) readN(n int) error {
	before := len(c.body)
	if cap(c.body) < before+n {
		c.body = append(make([]byte, 0, 2*(before+n)), c.body...)
	}
	c.body = c.body[:before+n]
	_, err := io.ReadFull(c.in, c.body[before:])
	return err
}

// form encodes name, value, name, value ...
func form(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

// cookieHeader makes a header line of name=value pairs.
func cookieHeader(pairs ...string) string { return "Cookie: " + strings.Join(pairs, "; ") + "\r\n" }
