package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/secret"
)

// List gives the keys of the ring, oldest first.
func List(ctx context.Context, d *db.DB) ([]Info, error) {
	var all []Info
	err := d.View(ctx, func(tx *db.Tx) (err error) {
		all, err = db.All[Info](tx, "SELECT id, made_at, retired_at, revoked_at FROM signing_keys ORDER BY id")
		return err
	})
	return all, err
}

// Rotate makes a new key that signs from now on. Links of the old ones stay
// valid until they end.
func (r *Ring) Rotate(ctx context.Context) error {
	err := r.db.Update(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL", tx.Now()); err != nil {
			return err
		}
		return addKey(tx, r.masterKey())
	})
	if err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	return r.reload(ctx)
}

// Revoke is for a leak: links and codes of that key end now. If it was the one
// that signs, a new one takes its place.
func (r *Ring) Revoke(ctx context.Context, number int) error {
	err := r.db.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("UPDATE signing_keys SET revoked_at = $1, retired_at = COALESCE(retired_at, $1) WHERE id = $2 AND revoked_at IS NULL", tx.Now(), number)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "There is no key %d that could be revoked. See: sparekey keys list", number)
		}
		signing, err := db.One[int](tx, "SELECT count(*) FROM signing_keys WHERE retired_at IS NULL")
		if err != nil || signing > 0 {
			return err
		}
		return addKey(tx, r.masterKey())
	})
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return r.reload(ctx)
}

// newKeyFile is added to the name of the key file while a rewrap is under way.
const newKeyFile = ".new"

// Rewrap seals the ring and the DKIM keys under a new master key and puts it in
// the file in place of the old one. The new file is written beside it first, so a
// crash between the two steps leaves both keys on the disk, and Open finishes the
// second.
func (r *Ring) Rewrap(ctx context.Context, file string) error {
	next := file + newKeyFile
	master, err := writeKeyFile(next, secret.NewKey())
	if err != nil {
		return err
	}
	err = r.db.Update(ctx, func(tx *db.Tx) error {
		rows, err := sealedKeys(tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			key, err := r.masterKey().Unseal(row.Sealed, sealedAs(row.ID))
			if err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE signing_keys SET sealed = $1 WHERE id = $2", master.Seal(key, sealedAs(row.ID)), row.ID); err != nil {
				return err
			}
		}
		if err := r.rewrapDKIM(tx, master.SealBytes); err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE installation SET master_fingerprint = $1", master.Fingerprint())
		return err
	})
	if err != nil {
		return fmt.Errorf("rewrap keys: %w", err)
	}
	r.mu.Lock()
	r.master = master
	r.mu.Unlock()
	return moveNew(file)
}

func moveNew(file string) error {
	if err := os.Rename(file+newKeyFile, file); err != nil {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The ring is sealed with the new key in %[1]s%[2]s, but it could not be moved to %[1]s. Move it by hand.", file, newKeyFile))
	}
	return nil
}

// mostOld is how many old key files are kept beside the key file.
const mostOld = 100

// keepOld gives the key file a second name beside it, that of no other key, and
// leaves it where it is. Without a key file it does nothing.
func keepOld(file string) error {
	refuse := func(err error) error {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The old key file %s cannot be kept beside the new one. Nothing was changed.", file))
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refuse(err)
	}
	for n := 1; n <= mostOld; n++ {
		old := file + ".old"
		if n > 1 {
			old = fmt.Sprintf("%s.old.%d", file, n)
		}
		err := os.Link(file, old)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrExist) {
			return refuse(err)
		}
		if kept, err := os.ReadFile(old); err == nil && bytes.Equal(kept, text) {
			return nil // by a reset that did not come to its end
		}
	}
	return refuse(errors.New("there are too many old ones"))
}

// Reset starts a new ring under a new master key. It is for a lost key file and
// costs the live links and the DKIM keys, nothing else. Its first key has a number
// that the old ring had not: a server that still runs with the old one then
// notices, instead of mailing links that nobody can open.
//
// An old key file stays in place until the database has the new ring, and is
// kept as FILE.old, or FILE.old.2 and so on. After a crash between the two, Open
// finds the new key beside it.
func Reset(ctx context.Context, d *db.DB, file string) error {
	if err := keepOld(file); err != nil {
		return err
	}
	master, err := writeKeyFile(file+newKeyFile, secret.NewKey())
	if err != nil {
		return err
	}
	if err := startRing(ctx, d, master); err != nil {
		return fmt.Errorf("start a new ring: %w", err)
	}
	return moveNew(file)
}

func startRing(ctx context.Context, d *db.DB, master secret.Key) error {
	return d.Update(ctx, func(tx *db.Tx) error {
		last, err := lastKey(tx)
		if err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM installation",
			"DELETE FROM signing_keys",
		} {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("UPDATE links SET ended_at = $1, ended_why = 'the keys for links were renewed' WHERE ended_at IS NULL", tx.Now()); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE dkim_keys SET sealed = '', signs_since = NULL, retired_at = $1 WHERE retired_at IS NULL", tx.Now()); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO installation (one, master_fingerprint, made_at) VALUES (1, $1, $2)", master.Fingerprint(), tx.Now()); err != nil {
			return err
		}
		return insertKey(tx, master, last%mostKeys+1)
	})
}
