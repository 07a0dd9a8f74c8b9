// Package delivery sends the mails of the outbox, and writes down what the mail
// servers said and what came back.
//
// A mail is rendered when it is sent, from its row and the rows it speaks of,
// so no secret lies in the database and a second try mails the same link.
//
// delivery.go: from the job to the servers. settle.go: what an answer means for
// the message. returned.go and events.go: what comes back, news.go: what that
// means. follow.go: no more mail to an address, help for a person.
package delivery

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/mailevent"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
)

// Delivery holds what sending needs.
type Delivery struct {
	DB    *db.DB
	Ring  *keyring.Ring
	Relay *relay.Relay
	URL   *url.URL   // the public address; every link begins with it
	From  mail.Party // the sender
	Host  string     // right of the @ in a Message-ID
	// Signer signs mails with the DKIM keys of their sender's domain; nil: nobody does.
	Signer *keyring.Signer
	// BounceDomain is where returned mail comes in; without it the sender's own
	// address is the return path, and nothing that comes there is believed.
	BounceDomain string
	// Providers are the mail providers that may post events, by name.
	Providers map[string]mailevent.Source
	// Observe is told of every attempt, for metrics; it may be nil.
	Observe func(kind mail.Kind, a relay.Attempt)
	// ObserveEvent is told what became of each event of a provider; it may be nil.
	ObserveEvent func(provider string, v Verdict)
}

// letter is what is read here from a notice.Letter.
type letter notice.Letter

// Send is the job that sends one message. It finds it loaded (see Load). While the
// promise of a mail is being committed a server is asked to take it, and it is rendered;
// the mail itself leaves after the commit.
func (d *Delivery) Send(ctx context.Context, j outbox.Job) error {
	l := letter(j.Loaded.(notice.Letter)) //nolint:forcetypeassert // the pool that calls this has Load
	if l.Message.MessageID == "" {
		l.Message.MessageID = string(l.Message.ID) + "@" + d.Host
	}
	if !l.needed(d.DB.Now()) {
		return d.settle(ctx, j, l, nil, verdict{state: outbox.NotNeeded})
	}
	if l.Held {
		return d.settle(ctx, j, l, nil, verdict{state: outbox.Held})
	}
	turn, wait := d.Relay.Turn(ctx, l.Message.ToEmail)
	if turn == nil {
		return d.hold(ctx, j, l, wait)
	}
	defer turn.End()
	attempts, wait, err := d.hand(ctx, j, l, turn)
	if err != nil && d.tooOld(l) {
		return d.settle(ctx, j, l, nil, verdict{state: outbox.GivenUp})
	}
	if err != nil {
		return fmt.Errorf("message %s: %w", l.Message.ID, err)
	}
	if len(attempts) == 0 {
		return d.hold(ctx, j, l, wait)
	}
	if d.Observe != nil && j.Committed() {
		for _, a := range attempts {
			d.Observe(mail.Kind(l.Message.Kind), a)
		}
	}
	last := attempts[len(attempts)-1]
	if last.Outcome == relay.Accepted || last.Outcome == relay.Unknown {
		// It left the house, so this is written down even while the server stops.
		kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		ctx = kept
	}
	return d.settle(ctx, j, l, attempts, d.judge(l, j, last, d.find(l, last)))
}

// hand lets the servers have the letter, once its job has been committed.
func (d *Delivery) hand(ctx context.Context, j outbox.Job, l letter, turn *relay.Turn) ([]relay.Attempt, relay.Wait, error) {
	e, err := d.envelope(l)
	if err != nil {
		return nil, relay.Wait{}, err
	}
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	return turn.Send(ctx, e, relay.Message{
		Text: func() ([]byte, error) { return d.text(ctx, l) },
		MayGo: func() bool {
			kept := j.Committed()
			if !kept {
				hangUp()
			}
			return kept
		},
	})
}

func (d *Delivery) envelope(l letter) (relay.Envelope, error) {
	e := relay.Envelope{From: d.From.Address, To: l.Message.ToEmail}
	if d.BounceDomain != "" {
		local, err := d.Ring.ReturnPath(l.Message.ID)
		if err != nil {
			return e, err
		}
		e.From = local + "@" + d.BounceDomain
	}
	return e, nil
}

// text gives what is handed to the mail server.
func (d *Delivery) text(ctx context.Context, l letter) ([]byte, error) {
	raw, err := d.render(ctx, l)
	if err != nil {
		return nil, err
	}
	if d.MayPost(mailevent.Postmark) {
		raw = append([]byte(mailevent.ReferenceHeader+": "+string(l.Message.ID)+"\r\n"), raw...)
	}
	return d.sign(ctx, l, raw)
}

// Load reads the letter of a job.
func (d *Delivery) Load(tx *db.Tx, j outbox.Job) (any, error) {
	l, err := notice.Find(tx, j.Environment, id.Message(j.Subject))
	if err == nil && j.Tries > 1 {
		l.Earlier, err = outbox.Attempts(tx, j.Environment, []id.Message{l.Message.ID})
	}
	return l, err
}

// needed tells whether the mail's link still works; a mail without one is
// always news.
func (l letter) needed(now time.Time) bool {
	return l.Message.Link == "" || token.Judge(l.Token, l.Link, now) == token.Works
}

// hasCode tells whether the mail has a code that does the same as its link.
func (l letter) hasCode() bool { return l.Link.Purpose == secret.Reset }

// tooMuch tells whether the last server that answered refused what the mail
// holds: then it goes once more, in its shortest form.
func (l letter) tooMuch() bool {
	if len(l.Earlier) == 0 {
		return false
	}
	last := l.Earlier[len(l.Earlier)-1]
	return last.Outcome == string(relay.Permanent) && aboutContent(diagnosis.Class(last.Class))
}

func aboutContent(c diagnosis.Class) bool {
	return c == diagnosis.RefusedContent || c == diagnosis.TooLarge
}

func (d *Delivery) render(ctx context.Context, l letter) ([]byte, error) {
	detail := notice.ReadDetail(l.Message.Detail)
	data := mail.Data{
		Environment: l.Environment.Name, From: d.sender(l), To: mail.Party{Name: l.Message.ToName, Address: l.Message.ToEmail},
		ReplyTo: l.Environment.Policy.HelpEmail, MessageID: l.Message.MessageID, Date: l.Message.MadeAt, UserName: l.Message.ToName,
		By: detail.By, Device: agent.Words(detail.Device), Network: detail.Network, At: detail.At, SessionsEnded: detail.Sessions,
		OldAddress: detail.Old, NewAddress: detail.New,
	}
	if mail.Kind(l.Message.Kind) == mail.Digest {
		data.Queue = d.URL.JoinPath(l.Environment.Slug, "needs-help").String()
		for _, p := range detail.Stuck {
			data.Stuck = append(data.Stuck, mail.Stuck(p))
		}
		data.MoreStuck = detail.MoreStuck
	}
	var err error
	if l.Message.Link != "" {
		data.Until = l.Link.EndsAt
		if data.Link, err = d.address(ctx, l, l.Link); err != nil {
			return nil, err
		}
	}
	if l.hasCode() {
		data.CodeOnly = l.tooMuch() || detail.Short
		if data.Code, err = d.code(ctx, l); err != nil {
			return nil, err
		}
	}
	if l.Message.NotMe != "" {
		data.NotMeUntil = l.NotMe.EndsAt
		if data.NotMe, err = d.address(ctx, l, l.NotMe); err != nil {
			return nil, err
		}
	}
	return mail.Render(mail.Kind(l.Message.Kind), data)
}

// pages are where the links of each purpose lead.
var pages = map[secret.Purpose]string{
	secret.Reset: "reset-password", secret.Invite: "reset-password", secret.NotMe: "not-me", secret.Confirm: "confirm-address",
}

func (d *Delivery) address(ctx context.Context, l letter, link token.Link) (string, error) {
	id, err := link.LinkID()
	if err != nil {
		return "", err
	}
	text, err := d.Ring.Text(ctx, link.Purpose, l.Environment.ID, uint8(link.KeyID), id) //nolint:gosec // the table allows 1 to 255
	return d.URL.JoinPath(l.Environment.Slug, pages[link.Purpose], text).String(), err
}

func (d *Delivery) code(ctx context.Context, l letter) (string, error) {
	id, err := l.Link.LinkID()
	if err != nil {
		return "", err
	}
	return d.Ring.Code(ctx, l.Environment.ID, uint8(l.Link.KeyID), id) //nolint:gosec // the table allows 1 to 255
}
