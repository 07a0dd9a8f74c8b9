package delivery

import (
	"context"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/dkim"
	"github.com/sparekey/sparekey/internal/mail"
)

// sender is whom a mail comes from: the environment's own, or the server's. The
// return path stays the server's in any case: what comes back must come to us.
func (d *Delivery) sender(l letter) mail.Party {
	from := d.From
	if l.Environment.Policy.SenderName != "" {
		from.Name = l.Environment.Policy.SenderName
	}
	if l.Environment.Policy.SenderAddress != "" {
		from.Address = l.Environment.Policy.SenderAddress
	}
	return from
}

// sign signs with the keys of the sender's domain. Where it has none, those of
// the server's own domain at least say who answers for the mail.
func (d *Delivery) sign(ctx context.Context, l letter, raw []byte) ([]byte, error) {
	if d.Signer == nil {
		return raw, nil
	}
	var domains []string
	for _, from := range []string{d.sender(l).Address, d.From.Address} {
		if domain, err := dkim.Domain(address.Domain(from)); err == nil {
			domains = append(domains, domain)
		}
	}
	return d.Signer.Sign(ctx, raw, domains...)
}
