package delivery

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
)

const (
	// giveUpAfter is how long a mail without a link is tried. One with a link is
	// not needed any more once the link is dead.
	giveUpAfter = 72 * time.Hour
	// unknownPause lets a server that may have taken the mail show it, before it
	// is sent a second time.
	unknownPause = 10 * time.Minute
	// ownPause bounds the pause after a failure of our own servers: whoever waits is
	// mailed soon after they are back. The relay's breakers spare them meanwhile.
	ownPause = 5 * time.Minute
	// settleTime bounds how long a server that stops waits for its database.
	settleTime = 5 * time.Second
	// waitsLong is how late a mail may come before somebody helps its reader.
	waitsLong = 5 * time.Minute
)

// verdict is what a try means for its message.
type verdict struct {
	state outbox.State
	pause time.Duration // until the next try, if deferred
	found diagnosis.Finding
}

// find reads one server's part. What reached none is our own word, and no answer.
func (d *Delivery) find(l letter, a relay.Attempt) diagnosis.Finding {
	if a.Outcome == relay.Accepted || a.Server == "" {
		return diagnosis.Finding{}
	}
	server, _, err := net.SplitHostPort(a.Server)
	if err != nil {
		server = a.Server
	}
	h := diagnosis.Heard{
		Stage: a.Stage, Code: a.Code, Enhanced: a.Enhanced, Text: words(a), Server: server, Domain: address.Domain(l.Message.ToEmail),
		// What is said about the recipient or the message may be the receiver's
		// word, passed on; everything before that is our server's own.
		OwnRelay: !aboutTheMail(a), First: len(l.Earlier) == 0,
	}
	if a.Err != nil && !a.Refused() { // a reply out of step means nothing
		h.Code, h.Enhanced, h.Text = 0, "", a.Err.Error()
	}
	f := diagnosis.Reply(h)
	if ofMailTaken[f.Class] {
		f.Class = diagnosis.Unknown
		if a.Outcome != relay.Permanent {
			f.Class = diagnosis.ReceiverTrouble
		}
	}
	return f
}

// ofMailTaken are the classes of reports about a mail that some server took. One
// that did not take it may use the words, but cannot mean them.
var ofMailTaken = map[diagnosis.Class]bool{
	diagnosis.Delivered: true, diagnosis.Delayed: true, diagnosis.AutoReply: true, diagnosis.GaveUp: true,
}

func aboutTheMail(a relay.Attempt) bool {
	return a.Stage == relay.StageRcpt || a.Stage == relay.StageData
}

// words are the server's, or what took their place.
func words(a relay.Attempt) string {
	if a.Reply == "" && a.Err != nil {
		return a.Err.Error()
	}
	return a.Reply
}

// judge says how a message stands after its last attempt. What went wrong on
// our own way, before the recipient was named, is tried again soon, whatever the
// code: our servers get repaired. What was said about the mail is tried again as
// its class says. An unknown outcome is tried again too: better twice, with the
// same Message-ID, than never.
func (d *Delivery) judge(l letter, j outbox.Job, last relay.Attempt, f diagnosis.Finding) verdict {
	v := verdict{state: outbox.Deferred, pause: outbox.Backoff(j.Tries), found: f}
	switch {
	case last.Outcome == relay.Accepted:
		v.state = outbox.Sent
		return v
	case last.Outcome == relay.Unknown:
		v.pause = max(v.pause, unknownPause)
	case last.Server == "" && last.Outcome == relay.Permanent:
		v.state = outbox.Refused // what no server would take reached none
	case !aboutTheMail(last) || f.Class == diagnosis.OwnSetup:
		v.pause = min(v.pause, ownPause)
	case last.Outcome == relay.Permanent && aboutContent(f.Class):
		if !l.hasCode() || l.tooMuch() {
			v.state = outbox.Refused
		}
	case last.Outcome == relay.Permanent && f.Class == diagnosis.Unknown:
		v.state = outbox.Refused // a no we do not understand is still a no
	default:
		pause, again := f.RetryAfter(l.met(f.Class) + 1)
		switch {
		case again:
			v.pause = pause
		case last.Outcome == relay.Permanent:
			v.state = outbox.Refused
		default:
			v.state = outbox.GivenUp
		}
	}
	if v.state == outbox.Deferred && d.tooOld(l) {
		v.state = outbox.GivenUp
	}
	return v
}

// met counts how often the mail met an answer of this class before, once the recipient
// had been named: what came earlier was said by our own server of itself.
func (l letter) met(c diagnosis.Class) int {
	n := 0
	for _, a := range l.Earlier {
		if a.Class == string(c) && (a.Stage == relay.StageRcpt || a.Stage == relay.StageData) {
			n++
		}
	}
	return n
}

func (d *Delivery) tooOld(l letter) bool { return d.DB.Now().Sub(l.Message.MadeAt) > giveUpAfter }

// settle writes down what happened and ends or postpones the job, in one step.
// Where the lease was lost, somebody else has the last word on the message: the
// attempts are kept, the state is left alone.
func (d *Delivery) settle(ctx context.Context, j outbox.Job, l letter, attempts []relay.Attempt, v verdict) error {
	if !j.Committed() {
		return nil
	}
	records := make([]outbox.Attempt, 0, len(attempts))
	var answers []alarm.Answer
	for _, a := range attempts {
		f := d.find(l, a)
		if f.Class != "" {
			answers = append(answers, alarm.Answer{Finding: f, Stage: a.Stage, Server: a.Server, Domain: address.Domain(l.Message.ToEmail), Own: !aboutTheMail(a), MadeAt: l.Message.MadeAt})
		}
		records = append(records, outbox.Attempt{
			Message: l.Message.ID, At: a.At, Server: a.Server, Stage: a.Stage, Code: a.Code, Enhanced: a.Enhanced, Reply: words(a),
			Outcome: string(a.Outcome), Conversation: a.Conversation, Took: a.Duration.Microseconds(), Class: string(f.Class), Hard: f.Hard,
		})
	}
	return d.DB.Update(ctx, func(tx *db.Tx) error {
		for _, a := range records {
			err := outbox.RecordAttempt(tx, j.Environment, a)
			if errors.Is(err, db.ErrNone) { // the user was deleted meanwhile
				_, err = outbox.Done(tx, j)
				return err
			}
			if err != nil {
				return err
			}
		}
		for _, a := range answers {
			if err := alarm.Notice(tx, a); err != nil {
				return err
			}
		}
		m := l.Message
		m.State = v.state
		var (
			ours bool
			err  error
		)
		if v.state == outbox.Deferred {
			m.NextTryAt = tx.Now().Add(v.pause)
			ours, err = outbox.Postpone(tx, j, m.NextTryAt)
		} else {
			m.SettledAt, m.NextTryAt = tx.Now(), time.Time{}
			ours, err = outbox.Done(tx, j)
		}
		if err != nil || !ours {
			return err
		}
		if v.state == outbox.Sent {
			m.AcceptedAt = tx.Now()
		}
		if err := outbox.Settle(tx, j.Environment, m); err != nil {
			return err
		}
		return follow(tx, j.Environment, m, v)
	})
}

// follow draws the consequences for the address and the person.
func follow(tx *db.Tx, env id.Environment, m outbox.Message, v verdict) error {
	switch v.state {
	case outbox.Sent:
		return arrived(tx, env, m)
	case outbox.Held:
		return needsHelp(tx, env, m, cases.Stopped)
	case outbox.Refused:
		if v.found.Suppresses() {
			if err := stopMail(tx, env, m, v.found, ""); err != nil {
				return err
			}
		}
		return needsHelp(tx, env, m, cases.Refused)
	case outbox.GivenUp:
		return needsHelp(tx, env, m, cases.Waiting)
	case outbox.Deferred:
		late := m.NextTryAt.Sub(m.MadeAt) > waitsLong
		if v.found.Class == diagnosis.Greylisted { // one pause of five minutes is usual
			late = tx.Now().Sub(m.MadeAt) > waitsLong
		}
		if late {
			return needsHelp(tx, env, m, cases.Waiting)
		}
	}
	return nil
}
