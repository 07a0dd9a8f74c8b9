package keyring

import (
	"context"
	"errors"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// ReturnPath gives the local part of the address that a message's returned mail
// comes to.
func (r *Ring) ReturnPath(message id.Message) (string, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	newest := uint8(0) // numbers grow, so this is the one that signs
	for number := range r.keys {
		newest = max(newest, number)
	}
	if newest == 0 {
		return "", errors.New("sign return path: the ring is empty")
	}
	return secret.SignReturnPath(r.keys[newest].Derive(secret.Returned), newest, string(message)), nil
}

// ReadReturnPath proves that we made a local part, and tells for which message
// and with which key; false if we did not. A revoked key still proves: see Revoked.
func (r *Ring) ReadReturnPath(ctx context.Context, local string) (id.Message, int, bool, error) {
	p, ok := secret.ParseReturnPath(local)
	if !ok {
		return "", 0, false, nil
	}
	k, ok, err := r.keyOfText(ctx, p.KeyID)
	if err != nil || !ok || !p.Genuine(k.Derive(secret.Returned)) {
		return "", 0, false, err
	}
	return id.Message(p.Message), int(p.KeyID), true, nil
}

// Revoked tells whether a key has leaked: what it signed proves nothing any more.
func Revoked(tx *db.Tx, number int) (bool, error) {
	n, err := db.One[int](tx, "SELECT count(*) FROM signing_keys WHERE id = $1 AND revoked_at IS NULL", number)
	return n == 0, err
}
