package delivery

import (
	"context"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
)

// hold lets a mail wait whose turn has not come. Nothing was tried, so there is
// no attempt to write down; but where a server or the recipient's domain keeps
// it waiting, it is deferred, and whoever looks sees until when.
func (d *Delivery) hold(ctx context.Context, j outbox.Job, l letter, w relay.Wait) error {
	if !j.Committed() {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // the lease runs out, and somebody else does it
	}
	if w.Why != relay.DomainBusy && d.tooOld(l) {
		return d.settle(ctx, j, l, nil, verdict{state: outbox.GivenUp})
	}
	return d.DB.Update(ctx, func(tx *db.Tx) error {
		ours, err := outbox.Hold(tx, j, w.Until)
		if err != nil || !ours || w.Why == relay.DomainBusy {
			return err
		}
		m := l.Message
		m.State, m.NextTryAt = outbox.Deferred, w.Until
		if err := outbox.Settle(tx, j.Environment, m); err != nil {
			return err
		}
		return follow(tx, j.Environment, m, verdict{state: outbox.Deferred})
	})
}
