package delivery

import (
	"context"
	"errors"
	"strings"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/mailevent"
	"github.com/sparekey/sparekey/internal/outbox"
)

// MayPost tells whether a mail provider may post events.
func (d *Delivery) MayPost(provider string) bool { return d.Providers[provider] != nil }

// TakeEvents takes what a mail provider posts, each event once, however often it
// comes. Its errors are those of mailevent, or mean: not now, come again.
func (d *Delivery) TakeEvents(ctx context.Context, provider string, p mailevent.Post) error {
	events, err := d.Providers[provider].Read(ctx, p, d.DB.Now())
	switch {
	case errors.Is(err, mailevent.ErrUnproven):
		d.observeEvent(provider, Forged)
		return err
	case err != nil:
		return err
	}
	for _, e := range events {
		v, err := d.takeEvent(ctx, provider, e)
		if err != nil {
			return err
		}
		d.observeEvent(provider, v)
	}
	return nil
}

func (d *Delivery) observeEvent(provider string, v Verdict) {
	if d.ObserveEvent != nil {
		d.ObserveEvent(provider, v)
	}
}

func (d *Delivery) takeEvent(ctx context.Context, provider string, e mailevent.Event) (Verdict, error) {
	local, _, _ := strings.Cut(e.ReturnPath, "@")
	message, key, ok, err := d.Ring.ReadReturnPath(ctx, local)
	if err != nil {
		return "", err
	}
	var v Verdict
	err = d.DB.Update(ctx, func(tx *db.Tx) error {
		leaked, err := keyring.Revoked(tx, key)
		if err != nil {
			return err
		}
		var proven []id.Message
		if ok && !leaked {
			proven = append(proven, message)
		}
		env, m, err := d.meant(tx, e, proven)
		if errors.Is(err, db.ErrNone) {
			v = Unmatched
			return nil
		}
		if err != nil {
			return err
		}
		v, err = take(tx, env, m, inEvent(provider, e))
		return err
	})
	return v, err
}

// meant finds the mail an event is about: by our return path, by what the
// provider was given along, by the Message-ID, and, where it names no mail at all,
// the newest to that address that a server took; db.ErrNone if there is none.
// Others may send through the same account: what names a mail of theirs says
// nothing about ours.
func (d *Delivery) meant(tx *db.Tx, e mailevent.Event, candidates []id.Message) (id.Environment, outbox.Message, error) {
	if id.Valid(e.Reference) {
		candidates = append(candidates, id.Message(e.Reference))
	}
	for _, messageID := range e.MessageIDs {
		if left, _, _ := strings.Cut(messageID, "@"); id.Valid(left) { // as Send makes them
			candidates = append(candidates, id.Message(strings.ToLower(left)))
		}
	}
	for _, message := range candidates {
		env, m, err := outbox.Locate(tx, message)
		if !errors.Is(err, db.ErrNone) {
			return env, m, err
		}
	}
	elsewhere := d.BounceDomain != "" && e.ReturnPath != "" && !strings.EqualFold(address.Domain(e.ReturnPath), d.BounceDomain)
	if e.Reference != "" || len(e.MessageIDs) > 0 || elsewhere {
		return "", outbox.Message{}, db.ErrNone
	}
	return outbox.NewestTo(tx, address.KeyOf(e.Recipient), tx.Now().Add(-believedFor))
}

// inEvent reads what a provider says. The words of an answer know better than its
// types, but for those that tell of its own doings.
func inEvent(provider string, e mailevent.Event) news {
	f := diagnosis.Reply(diagnosis.Heard{
		Code: e.Code, Enhanced: e.Enhanced, Text: e.Reply, Server: e.Reporter, Domain: address.Domain(e.Recipient),
	})
	if e.Sure || f.Class == diagnosis.Unknown && e.Class != "" {
		f.Class, f.Hard = e.Class, e.Hard
	}
	switch e.Kind {
	case dsn.Delivered:
		f.Class, f.Hard = diagnosis.Delivered, false
	case dsn.Delay:
		f.Class, f.Hard = diagnosis.Delayed, false
	case dsn.AutoReply:
		f.Class, f.Hard = diagnosis.AutoReply, false
	}
	n := news{found: f, report: outbox.Report{
		At: e.At, Source: provider, Kind: string(e.Kind), Reporter: e.Reporter, Recipient: e.Recipient, Fingerprint: e.ID,
	}}
	if f.Class == diagnosis.Suppressed {
		n.provider = provider
	}
	if n.report.Fingerprint == "" || e.Kind == dsn.Delay { // they tell of every try: one will do
		n.report.Fingerprint = fingerprint(n)
	}
	return n
}
