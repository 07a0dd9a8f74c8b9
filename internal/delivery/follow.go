package delivery

import (
	"errors"
	"strings"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/cases"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/token"
)

// stopMail lets no more mail go to a message's address, until somebody clears it.
func stopMail(tx *db.Tx, env id.Environment, m outbox.Message, f diagnosis.Finding, provider string) error {
	key := address.KeyOf(m.ToEmail)
	if _, stopped, err := suppression.Of(tx, env, key); err != nil || stopped {
		return err
	}
	err := suppression.Add(tx, env, suppression.Entry{
		AddressKey: key, Class: string(f.Class), Since: tx.Now(), Provider: provider, Reply: f.Reply,
	})
	if err != nil {
		return err
	}
	return audit.Record(tx, env, audit.Event{
		Kind: audit.MailStopped, User: m.User,
		Detail: audit.Detail{"to": m.ToEmail, "why": strings.ReplaceAll(string(f.Class), "-", " ")},
	})
}

// needsHelp puts the reader of a recovery mail in the administrators' queue,
// as long as the mail's token is neither used nor revoked.
func needsHelp(tx *db.Tx, env id.Environment, m outbox.Message, why cases.Why) error {
	recovers, err := waitedFor(tx, env, m)
	if err != nil || !recovers {
		return err
	}
	return cases.Open(tx, env, m.User, why)
}

// waitedFor tells whether a mail still lets its reader set a password.
func waitedFor(tx *db.Tx, env id.Environment, m outbox.Message) (bool, error) {
	if m.Link == "" {
		return false, nil
	}
	t, _, err := token.Find(tx, env, m.Link)
	if errors.Is(err, db.ErrNone) { // a link to confirm an address belongs to no token
		return false, nil
	}
	return err == nil && t.UsedAt.IsZero() && t.RevokedAt.IsZero(), err
}

// arrived ends the waiting of a mail's reader: a server took the mail. Where one
// behind it was said to wait still, that server's word is not enough.
func arrived(tx *db.Tx, env id.Environment, m outbox.Message) error {
	recovers, err := waitedFor(tx, env, m)
	if err != nil || !recovers {
		return err
	}
	waits, err := outbox.DelayedBehind(tx, env, m.User, tx.Now().Add(-believedFor))
	if err != nil || waits {
		return err
	}
	return cases.Arrived(tx, env, m.User, cases.Waiting)
}
