package relay

import (
	"fmt"
	"strings"
)

// deliver hands over one message. The reply is the one that accepted it.
func (c *conn) deliver(l letter) (reply, *failure) {
	if l.utf8 && !c.offers("SMTPUTF8") {
		return reply{}, &failure{stage: StageMail, refused: true, err: errNoUTF8}
	}
	if f := c.reset(); f != nil {
		return reply{}, f
	}
	c.dirty = true
	if f := c.envelope(l); f != nil {
		return reply{}, f
	}
	r, err := c.command("DATA")
	if f := expect(StageData, 3, r, err); f != nil {
		// After an odd answer nobody knows whether the server waits for a message.
		c.broken = c.broken || !f.refused
		return reply{}, f
	}
	return c.message(l)
}

// reset forgets a transaction that was refused half-way.
func (c *conn) reset() *failure {
	if !c.dirty {
		return nil
	}
	r, err := c.command("RSET")
	if f := expect(StageMail, 2, r, err); f != nil {
		// Only a kept connection comes here, and a new one will do.
		return &failure{stage: StageMail, err: f.err}
	}
	return nil
}

// envelope says MAIL and RCPT, in one go where the server allows it (RFC 2920).
// DATA waits for their answers: nothing is sent for a recipient that was refused.
func (c *conn) envelope(l letter) *failure {
	mail, rcpt := c.mailLine(l), "RCPT TO:<"+l.to+">"
	if !c.offers("PIPELINING") {
		r, err := c.command(mail)
		if f := expect(StageMail, 2, r, err); f != nil {
			return f
		}
		r, err = c.command(rcpt)
		return expect(StageRcpt, 2, r, err)
	}
	c.talk.client(mail)
	c.talk.client(rcpt)
	var first, second reply
	var failed *failure
	err := c.within(c.options.CommandTimeout, func() error {
		if err := c.send(mail + "\r\n" + rcpt + "\r\n"); err != nil {
			return err
		}
		var err error
		if first, err = c.read(); err != nil {
			return err
		}
		failed = expect(StageMail, 2, first, nil)
		second, err = c.read()
		return err
	})
	switch {
	case failed != nil:
		c.broken = c.broken || err != nil
		return failed
	case first.code == 0 || first.class() != 2:
		return expect(StageMail, 2, first, err)
	default:
		return expect(StageRcpt, 2, second, err)
	}
}

func (c *conn) mailLine(l letter) string {
	var line strings.Builder
	fmt.Fprintf(&line, "MAIL FROM:<%s>", l.from)
	if c.offers("SIZE") {
		fmt.Fprintf(&line, " SIZE=%d", l.size)
	}
	if l.eightBit && c.offers("8BITMIME") {
		line.WriteString(" BODY=8BITMIME")
	}
	if l.utf8 {
		line.WriteString(" SMTPUTF8")
	}
	return line.String()
}

// message sends the text and reads the verdict. From the moment everything is
// sent until then, silence means unknown.
func (c *conn) message(l letter) (reply, *failure) {
	c.talk.add(fmt.Sprintf("C: (the message, %d octets)", l.size))
	var sent int
	err := c.within(c.options.DataTimeout, func() error {
		var err error
		sent, err = c.wire.Write(l.data)
		return err
	})
	if err != nil {
		return reply{}, &failure{stage: StageData, unknown: sent == len(l.data), err: err}
	}
	var r reply
	err = c.within(c.options.DataTimeout, func() error {
		var err error
		r, err = c.read()
		return err
	})
	if f := expect(StageData, 2, r, err); f != nil {
		f.unknown = !f.refused
		return reply{}, f
	}
	c.dirty = false
	return r, nil
}
