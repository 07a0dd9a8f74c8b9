package app

import (
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/mailserver"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
)

// How many jobs are done at a time. Few resolve, since each of their transactions
// stands in the way of those who ask at that moment; sending keeps as many
// connections as a mail server likes to see, of which one recipient's domain gets
// two thirds.
const (
	resolveAtOnce = 4
	sendAtOnce    = 12
)

// untilRead is how long an asking's work waits, so that the answer has been read by
// then: a client on the same machine could else tell by its time whether somebody
// has the address (docs/decisions/0019).
const untilRead = 150 * time.Microsecond

// newRelay reads SPAREKEY_SMTP. Without a server mails wait in the outbox.
func newRelay(c *Core) (*relay.Relay, error) {
	var servers []relay.Server
	if c.Config.SMTP != "" {
		var err error
		if servers, err = mailserver.Parse(c.Config.SMTP); err != nil {
			return nil, err
		}
	} else {
		c.Log.Warn("SPAREKEY_SMTP is not set: mails wait until it is")
	}
	return relay.New(relay.Options{Servers: servers, Hello: c.Config.URL.Hostname(), MaxConns: sendAtOnce, Clock: c.Clock}), nil
}

func newDelivery(c *Core, r *relay.Relay, m *metrics) (*delivery.Delivery, error) {
	_, host, _ := strings.Cut(c.Config.MailFrom.Address, "@")
	posting, err := providers(c)
	if err != nil {
		return nil, err
	}
	d := &delivery.Delivery{
		DB: c.DB, Ring: c.Ring, Relay: r, URL: c.Config.URL, Host: host,
		From:    mail.Party{Name: c.Config.MailFrom.Name, Address: c.Config.MailFrom.Address},
		Signer:  newSigner(c),
		Observe: m.mail, Providers: posting, ObserveEvent: m.mailEvent,
	}
	if c.Config.BounceListen != "" {
		d.BounceDomain = c.Config.BounceDomain
	}
	return d, nil
}

// newSigner signs mails with the keys of sparekey dkim.
func newSigner(c *Core) *keyring.Signer {
	return &keyring.Signer{Ring: c.Ring, Lost: func(err error) {
		c.Log.Error("mails go out without their DKIM signature", "error", err)
	}}
}

func pools(c *Core, d *delivery.Delivery) []*outbox.Pool {
	return []*outbox.Pool{
		{DB: c.DB, Kind: outbox.Resolve, Size: resolveAtOnce, Pause: untilRead, Log: c.Log, Handle: c.Recovery.Resolve},
		{DB: c.DB, Kind: outbox.Send, Size: sendAtOnce, Log: c.Log, Load: d.Load, Handle: d.Send},
	}
}
