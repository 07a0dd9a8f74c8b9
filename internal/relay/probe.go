package relay

import (
	"context"
	"crypto/tls"
	"fmt"
)

// Probed is what a conversation without a message found out.
type Probed struct {
	Attempt Attempt
	// TLS is how the connection was secured; nil if it was not.
	TLS *tls.ConnectionState
}

// Probe talks to one server up to RCPT and takes it back: it tells whether the
// server would take a mail, and sends none. It keeps no connection.
func Probe(ctx context.Context, s Server, o Options, e Envelope) Probed {
	if s.TLS == "" {
		s.TLS = StartTLS
	}
	t := &talk{}
	p := Probed{Attempt: Attempt{At: o.Clock(), Server: s.Address(), Stage: StageRcpt, Outcome: Accepted}}
	r, f := p.ask(ctx, s, o.complete(), e, t)
	if f != nil {
		r = f.reply
		p.Attempt.Stage, p.Attempt.Outcome, p.Attempt.Err = f.stage, f.outcome(), f
	}
	p.Attempt.Duration = o.Clock().Sub(p.Attempt.At)
	p.Attempt.Conversation = t.String()
	p.Attempt.Code, p.Attempt.Enhanced, p.Attempt.Reply = r.code, r.enhanced(), r.text()
	return p
}

func (p *Probed) ask(ctx context.Context, s Server, o Options, e Envelope, t *talk) (reply, *failure) {
	from, err := reversePath(e.From)
	if err != nil && e.From != "" {
		return reply{}, &failure{stage: StageMail, err: fmt.Errorf("sender: %w", err)}
	}
	to, err := path(e.To)
	if err != nil {
		return reply{}, &failure{stage: StageRcpt, err: fmt.Errorf("recipient: %w", err)}
	}
	c, f := dial(ctx, s, o, t)
	if f != nil {
		return reply{}, f
	}
	defer c.close()
	if secure, ok := c.wire.(*tls.Conn); ok {
		state := secure.ConnectionState()
		p.TLS = &state
	}
	end := c.follow(ctx)
	defer end()
	var r reply
	for _, step := range []struct{ stage, line string }{
		{StageMail, "MAIL FROM:<" + from + ">"}, {StageRcpt, "RCPT TO:<" + to + ">"},
	} {
		var err error
		r, err = c.command(step.line)
		if f := expect(step.stage, 2, r, err); f != nil {
			f.err = c.explain(ctx, f.err)
			return r, f
		}
	}
	_, _ = c.command("RSET") // the connection ends now anyway
	return r, nil
}
