// Package keyring holds the keys that sign links.
//
// One master key lies in a file; the ring lies in the database, each key sealed
// under the master key, so that the database alone opens nothing and a rotation
// is one row that every node follows. A retired key signs nothing new; a
// revoked one has leaked, and its links and codes have ended.
package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Ring signs and checks with the keys of one database. It is safe for concurrent use.
type Ring struct {
	db *db.DB

	mu      sync.RWMutex
	master  secret.Key
	keys    map[uint8]secret.Key
	unknown [mostKeys + 1]time.Time // when the ring was last read for nothing
}

// Info is what may be told about a key.
type Info struct {
	ID        int       `db:"id"`
	MadeAt    time.Time `db:"made_at"`
	RetiredAt time.Time `db:"retired_at"`
	RevokedAt time.Time `db:"revoked_at"`
}

// Open opens the ring with the master key in the file. The first command that
// meets a database which knows no master key makes the file; afterwards a
// missing file or another key is refused with one sentence.
func Open(ctx context.Context, d *db.DB, file string) (*Ring, error) {
	known, err := knownFingerprint(ctx, d)
	if err != nil {
		return nil, err
	}
	master, err := masterKey(file, known == "")
	if err != nil {
		return nil, err
	}
	if known == "" {
		if known, err = install(ctx, d, master); err != nil {
			return nil, err
		}
	}
	if known != master.Fingerprint() {
		master = finishChange(file, known, master)
	}
	if known != master.Fingerprint() {
		return nil, fault.New(fault.Conflict, "The key file %s does not belong to this database. Put back the key file that was made with it, or start a new ring with: sparekey keys reset", file)
	}
	r := &Ring{db: d, master: master}
	return r, r.reload(ctx)
}

// finishChange puts the new key in place if a rewrap or a reset was killed after
// the database took it; otherwise it gives the key that is there.
func finishChange(file, known string, there secret.Key) secret.Key {
	next, err := masterKey(file+newKeyFile, false)
	if err != nil || next.Fingerprint() != known {
		return there
	}
	_ = os.Rename(file+newKeyFile, file) // if it fails, the next command finds it beside again
	return next
}

// Fits tells whether the master key that this Ring holds is still the one of
// the database. After a rewrap or a reset elsewhere it is not, until a restart.
func (r *Ring) Fits(ctx context.Context) error {
	known, err := knownFingerprint(ctx, r.db)
	if err != nil {
		return err
	}
	if known != r.masterKey().Fingerprint() {
		return errors.New("the master key was changed while this server ran: restart it")
	}
	return nil
}

func knownFingerprint(ctx context.Context, d *db.DB) (string, error) {
	var known string
	err := d.View(ctx, func(tx *db.Tx) (err error) {
		known, err = db.One[string](tx, "SELECT master_fingerprint FROM installation WHERE one = 1")
		return err
	})
	if errors.Is(err, db.ErrNone) {
		return "", nil
	}
	return known, err
}

func masterKey(file string, mayMake bool) (secret.Key, error) {
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		key, err := secret.ParseKeyFile(string(text))
		if err != nil {
			return key, fault.Wrap(fault.Invalid, err, fmt.Sprintf("%s is not a Sparekey key file.", file))
		}
		return key, nil
	case errors.Is(err, os.ErrNotExist) && mayMake:
		return writeKeyFile(file, secret.NewKey())
	case errors.Is(err, os.ErrNotExist):
		return secret.Key{}, fault.New(fault.Conflict, "The key file %s is missing. Put back the key file that was made with this database; without it no link of the last day can be read. To start a new ring: sparekey keys reset", file)
	default:
		return secret.Key{}, fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The key file %s cannot be read. Check its permissions.", file))
	}
}

// writeKeyFile writes beside the file and links it into place, so that a crash
// leaves no half key and of two first commands one wins.
func writeKeyFile(file string, key secret.Key) (secret.Key, error) {
	refuse := func(err error) error {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The key file %s cannot be written. Check the folder and its permissions.", file))
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".sparekey-key-*") // mode 0600
	if err != nil {
		return key, refuse(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // after a rename there is nothing left
	_, err = f.WriteString(key.KeyFile())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return key, refuse(err)
	}
	if err := os.Link(f.Name(), file); err != nil {
		if errors.Is(err, os.ErrExist) {
			return masterKey(file, false)
		}
		return key, refuse(err)
	}
	return key, nil
}

// install stores the fingerprint and the first key, once.
func install(ctx context.Context, d *db.DB, master secret.Key) (string, error) {
	var known string
	err := d.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`INSERT INTO installation (one, master_fingerprint, made_at) VALUES (1, $1, $2)
			ON CONFLICT (one) DO NOTHING`, master.Fingerprint(), tx.Now())
		if err != nil {
			return err
		}
		if n == 1 {
			if err := addKey(tx, master); err != nil {
				return err
			}
		}
		known, err = db.One[string](tx, "SELECT master_fingerprint FROM installation WHERE one = 1")
		return err
	})
	return known, err
}

// mostKeys is how many numbers the first byte of a link has, without 0.
const mostKeys = 255

func addKey(tx *db.Tx, master secret.Key) error {
	last, err := lastKey(tx)
	if err != nil {
		return err
	}
	if last >= mostKeys {
		return fault.New(fault.Conflict, "All 255 key numbers are taken. Start a new ring with: sparekey keys reset")
	}
	return insertKey(tx, master, last+1)
}

func lastKey(tx *db.Tx) (int, error) {
	return db.One[int](tx, "SELECT COALESCE(max(id), 0) FROM signing_keys")
}

func insertKey(tx *db.Tx, master secret.Key, number int) error {
	_, err := tx.Exec("INSERT INTO signing_keys (id, sealed, made_at) VALUES ($1, $2, $3)",
		number, master.Seal(secret.NewKey(), sealedAs(number)), tx.Now())
	return err
}

func sealedAs(id int) string { return fmt.Sprintf("signing key %d", id) }

type sealedKey struct {
	ID     int    `db:"id"`
	Sealed string `db:"sealed"`
}

func sealedKeys(tx *db.Tx) ([]sealedKey, error) {
	return db.All[sealedKey](tx, "SELECT id, sealed FROM signing_keys")
}

func (r *Ring) masterKey() secret.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.master
}

func (r *Ring) reload(ctx context.Context) error {
	var rows []sealedKey
	err := r.db.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = sealedKeys(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read key ring: %w", err)
	}
	keys := make(map[uint8]secret.Key, len(rows))
	for _, row := range rows {
		key, err := r.masterKey().Unseal(row.Sealed, sealedAs(row.ID))
		if err != nil { // why it does not open says more, if it is known
			return cmp.Or(r.Fits(ctx), fmt.Errorf("read key ring: key %d: %w", row.ID, err))
		}
		keys[uint8(row.ID)] = key //nolint:gosec // the table allows 1 to 255
	}
	r.mu.Lock()
	r.keys = keys
	r.mu.Unlock()
	return nil
}

// unknownFor is how long a number in the text of a link stays unknown before the
// ring is read again for it: anybody can write any number into an address.
const unknownFor = time.Second

// keyOfText is key for a number that anybody may have made up.
func (r *Ring) keyOfText(ctx context.Context, keyID uint8) (secret.Key, bool, error) {
	r.mu.RLock()
	k, ok := r.keys[keyID]
	since := r.db.Now().Sub(r.unknown[keyID])
	r.mu.RUnlock()
	if ok || since >= 0 && since < unknownFor {
		return k, ok, nil
	}
	asked := r.db.Now()
	k, ok, err := r.key(ctx, keyID)
	if err == nil && !ok {
		r.mu.Lock()
		r.unknown[keyID] = asked
		r.mu.Unlock()
	}
	return k, ok, err
}

// key gives a key of the ring; an unknown number makes it read the ring again,
// since another node may have rotated.
func (r *Ring) key(ctx context.Context, keyID uint8) (secret.Key, bool, error) {
	r.mu.RLock()
	k, ok := r.keys[keyID]
	r.mu.RUnlock()
	if ok || keyID == 0 {
		return k, ok, nil
	}
	if err := r.reload(ctx); err != nil {
		return k, false, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok = r.keys[keyID]
	return k, ok, nil
}

// Text gives the secret text of a link.
func (r *Ring) Text(ctx context.Context, p secret.Purpose, env id.Environment, keyID uint8, link secret.LinkID) (string, error) {
	k, ok, err := r.key(ctx, keyID)
	if err != nil || !ok {
		return "", errors.Join(err, fmt.Errorf("sign link: no key %d", keyID))
	}
	return secret.SignLink(k.Derive(p), keyID, link, string(env)), nil
}

// Code gives the reset code that goes with a mailed link.
func (r *Ring) Code(ctx context.Context, env id.Environment, keyID uint8, link secret.LinkID) (string, error) {
	k, ok, err := r.key(ctx, keyID)
	if err != nil || !ok {
		return "", errors.Join(err, fmt.Errorf("derive code: no key %d", keyID))
	}
	return secret.Code(k.Derive(secret.CodeOf), link, string(env)), nil
}

// Read takes a link text apart and proves that we made it for this purpose and
// environment, without a look at its row.
func (r *Ring) Read(ctx context.Context, p secret.Purpose, env id.Environment, text string) (secret.LinkID, secret.Problem, error) {
	link, problem := secret.ParseLink(text)
	if problem != secret.Fine {
		return secret.LinkID{}, problem, nil
	}
	k, ok, err := r.keyOfText(ctx, link.KeyID)
	if err != nil {
		return secret.LinkID{}, "", err
	}
	if !ok || !link.Genuine(k.Derive(p), string(env)) {
		return secret.LinkID{}, secret.Damaged, nil
	}
	return link.ID, secret.Fine, nil
}

// Cookie gives the key that signs what a browser keeps for us.
func (r *Ring) Cookie(p secret.Purpose) secret.PurposeKey { return r.masterKey().Derive(p) }
