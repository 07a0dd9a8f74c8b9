package relay

import (
	"fmt"
	"strings"
)

// deliver hands over one message. The reply is the one that accepted it.
func (c *conn) deliver(l *letter) (reply, *failure) {
	if l.utf8 && !c.offers("SMTPUTF8") {
		return reply{}, &failure{stage: StageMail, refused: true, err: errNoUTF8}
	}
	if f := c.reset(); f != nil {
		return reply{}, f
	}
	c.dirty = true
	begin := c.beginStepwise
	if c.offers("PIPELINING") {
		begin = c.beginAtOnce
	}
	if f := begin(c.opening(l), l.make); f != nil {
		return reply{}, f
	}
	withdrawn := l.failed
	if withdrawn == nil && !c.mayGo(l) {
		withdrawn = errWithdrawn
	}
	if withdrawn != nil {
		c.broken = true // it waits for a message
		return reply{}, &failure{stage: StageData, ours: true, err: withdrawn}
	}
	return c.message(l)
}

// mayGo asks, and keeps how long the answer took: no server is to blame for that.
func (c *conn) mayGo(l *letter) bool {
	if l.message.MayGo == nil {
		return true
	}
	asked := c.options.Clock()
	defer func() { l.waited += c.options.Clock().Sub(asked) }()
	return l.message.MayGo()
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

// step is a command that opens a message, with the class of the reply it wants.
type step struct {
	stage, line string
	class       int
}

func (c *conn) opening(l *letter) []step {
	return []step{{StageMail, c.mailLine(l), 2}, {StageRcpt, "RCPT TO:<" + l.to + ">", 2}, {StageData, "DATA", 3}}
}

// judge is expect for a step. After an odd answer to DATA nobody knows whether the
// server waits for a message.
func (c *conn) judge(s step, r reply, err error) *failure {
	f := expect(s.stage, s.class, r, err)
	c.broken = c.broken || f != nil && s.stage == StageData && !f.refused
	return f
}

// beginStepwise waits for each answer. What is to be done meanwhile is done first.
func (c *conn) beginStepwise(steps []step, meanwhile func()) *failure {
	meanwhile()
	for _, s := range steps {
		r, err := c.command(s.line)
		if f := c.judge(s, r, err); f != nil {
			return f
		}
	}
	return nil
}

// beginAtOnce says all steps in one go, does what is to be done meanwhile, and then
// reads the replies (RFC 2920): a round trip instead of three. The first that fails is the answer. A server that
// would have a message all the same, of which nobody wants the recipient, gets none:
// the connection ends.
func (c *conn) beginAtOnce(steps []step, meanwhile func()) *failure {
	var lines strings.Builder
	for _, s := range steps {
		c.talk.client(s.line)
		lines.WriteString(s.line + "\r\n")
	}
	err := c.within(c.options.CommandTimeout, func() error { return c.send(lines.String()) })
	meanwhile()
	var failed *failure
	for _, s := range steps {
		var r reply
		if err == nil {
			err = c.within(c.options.CommandTimeout, func() (err error) { r, err = c.read(); return err })
		}
		f := c.judge(s, r, err)
		if failed == nil {
			failed = f
		}
		if err != nil {
			c.broken = true
			break
		}
		c.broken = c.broken || failed != nil && f == nil && s.stage == StageData
	}
	return failed
}

// mailLine is said before the text is made. So it tells no size (RFC 1870), and takes
// octets above 127 for possible (RFC 6152) where the server does.
func (c *conn) mailLine(l *letter) string {
	line := "MAIL FROM:<" + l.from + ">"
	if c.offers("8BITMIME") {
		line += " BODY=8BITMIME"
	}
	if l.utf8 {
		line += " SMTPUTF8"
	}
	return line
}

// message sends the text and reads the verdict. From the moment everything is
// sent until then, silence means unknown.
func (c *conn) message(l *letter) (reply, *failure) {
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
