package user

import (
	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/token"
)

// AskForAddress notes an address that counts once it is confirmed, whoever asks
// for it: it takes the place of one asked for before, whose link ends. The mails
// that follow are notice.AddressChange.
func AskForAddress(tx *db.Tx, env id.Environment, actor access.Actor, u User, next address.Address) error {
	if err := token.EndNotices(tx, env, u.ID, secret.Confirm, token.LaterChange); err != nil {
		return err
	}
	if err := SetPendingEmail(tx, env, u, next.Mail); err != nil {
		return err
	}
	return audit.Record(tx, env, audit.Event{Kind: audit.AddressAsked, User: u.ID, Actor: actor})
}
