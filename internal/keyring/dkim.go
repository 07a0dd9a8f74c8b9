package keyring

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/dkim"
	"github.com/sparekey/sparekey/internal/fault"
)

// DKIMInfo is what may be told about a pair of DKIM keys.
type DKIMInfo struct {
	Domain        string    `db:"domain"`
	Selector      string    `db:"selector"`
	RSAPublic     string    `db:"rsa_public"`
	Ed25519Public string    `db:"ed25519_public"`
	MadeAt        time.Time `db:"made_at"`
	SignsSince    time.Time `db:"signs_since"`
	RetiredAt     time.Time `db:"retired_at"`
}

// State is "signing", "ready" or "retired".
func (i DKIMInfo) State() string {
	switch {
	case !i.RetiredAt.IsZero():
		return "retired"
	case !i.SignsSince.IsZero():
		return "signing"
	default:
		return "ready"
	}
}

// Records are what must be published for it.
func (i DKIMInfo) Records() []dkim.Record {
	return dkim.Records(i.Domain, i.Selector, dkim.Public{RSA: i.RSAPublic, Ed25519: i.Ed25519Public})
}

const dkimColumns = "domain, selector, rsa_public, ed25519_public, made_at, signs_since, retired_at"

func sealedAsDKIM(domain, selector string) string { return "DKIM key " + selector + " of " + domain }

// ListDKIM gives all pairs, by domain and age.
func ListDKIM(ctx context.Context, d *db.DB) ([]DKIMInfo, error) {
	var all []DKIMInfo
	err := d.View(ctx, func(tx *db.Tx) (err error) {
		all, err = db.All[DKIMInfo](tx, "SELECT "+dkimColumns+" FROM dkim_keys ORDER BY domain, made_at, selector")
		return err
	})
	return all, err
}

// CreateDKIM makes a pair for a domain, which signs nothing before ActivateDKIM.
// An empty selector stands for the next of sparekey1, sparekey2 and so on, which
// no domain has had.
func (r *Ring) CreateDKIM(ctx context.Context, domain, selector string) (DKIMInfo, error) {
	domain, err := dkim.Domain(domain)
	if err != nil {
		return DKIMInfo{}, err
	}
	if selector != "" {
		if selector, err = dkim.Selector(selector); err != nil {
			return DKIMInfo{}, err
		}
	} else if selector, err = nextSelector(ctx, r.db); err != nil {
		return DKIMInfo{}, err
	}
	pair, err := dkim.Generate(domain, selector)
	if err != nil {
		return DKIMInfo{}, err
	}
	public, err := pair.Public()
	if err != nil {
		return DKIMInfo{}, err
	}
	info := DKIMInfo{Domain: domain, Selector: selector, RSAPublic: public.RSA, Ed25519Public: public.Ed25519}
	err = r.db.Update(ctx, func(tx *db.Tx) error {
		info.MadeAt = tx.Now()
		n, err := tx.Exec(`INSERT INTO dkim_keys (domain, selector, sealed, rsa_public, ed25519_public, made_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (domain, selector) DO NOTHING`,
			domain, selector, r.masterKey().SealBytes(pair.Private(), sealedAsDKIM(domain, selector)), public.RSA, public.Ed25519, info.MadeAt)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "%s has or had a key %s already. Choose another selector, or none.", domain, selector)
		}
		return err
	})
	return info, err
}

var ownSelector = regexp.MustCompile(`^sparekey([0-9]{1,9})$`)

func nextSelector(ctx context.Context, d *db.DB) (string, error) {
	all, err := ListDKIM(ctx, d)
	if err != nil {
		return "", err
	}
	last := 0
	for _, i := range all {
		if m := ownSelector.FindStringSubmatch(i.Selector); m != nil {
			n, _ := strconv.Atoi(m[1])
			last = max(last, n)
		}
	}
	return "sparekey" + strconv.Itoa(last+1), nil
}

// FindDKIM gives the pair of a selector. The domain may be left out where only
// one has that selector.
func FindDKIM(ctx context.Context, d *db.DB, domain, selector string) (DKIMInfo, error) {
	all, err := ListDKIM(ctx, d)
	if err != nil {
		return DKIMInfo{}, err
	}
	var found []DKIMInfo
	for _, i := range all {
		if i.Selector == selector && (domain == "" || i.Domain == domain) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return DKIMInfo{}, fault.New(fault.NotFound, "There is no DKIM key %q. See: sparekey dkim list", selector)
	case 1:
		return found[0], nil
	default:
		return DKIMInfo{}, fault.New(fault.Invalid, "Several domains have a DKIM key %q. Say which with --domain.", selector)
	}
}

// ActivateDKIM makes a pair sign the mails of its domain, in place of the one
// that did, which stays ready.
func (r *Ring) ActivateDKIM(ctx context.Context, domain, selector string) error {
	if err := r.readable(ctx, domain, selector); err != nil {
		return err
	}
	return r.db.Update(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("UPDATE dkim_keys SET signs_since = NULL WHERE domain = $1 AND selector <> $2", domain, selector); err != nil {
			return err
		}
		n, err := tx.Exec("UPDATE dkim_keys SET signs_since = COALESCE(signs_since, $1) WHERE domain = $2 AND selector = $3 AND retired_at IS NULL", tx.Now(), domain, selector)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "The key %s of %s is retired: its private part is gone. Make a new one with: sparekey dkim rotate %s", selector, domain, domain)
		}
		return err
	})
}

// RetireDKIM destroys the private part of a pair. One that signs is refused
// unless the caller says so: the domain's mails would go out unsigned.
func (r *Ring) RetireDKIM(ctx context.Context, domain, selector string, evenIfSigning bool) error {
	return r.db.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`UPDATE dkim_keys SET sealed = '', signs_since = NULL, retired_at = $1
			WHERE domain = $2 AND selector = $3 AND retired_at IS NULL AND (signs_since IS NULL OR $4)`, tx.Now(), domain, selector, evenIfSigning)
		if err != nil || n == 1 {
			return err
		}
		still, err := db.One[int](tx, "SELECT count(*) FROM dkim_keys WHERE domain = $1 AND selector = $2 AND retired_at IS NULL", domain, selector)
		if err != nil {
			return err
		}
		if still == 1 {
			return fault.New(fault.Conflict, "The key %s signs the mails of %s. Activate another one first, or, to send them unsigned, add --even-if-signing.", selector, domain)
		}
		return fault.New(fault.Conflict, "The key %s of %s is retired already.", selector, domain)
	})
}

type sealedDKIM struct {
	Domain   string `db:"domain"`
	Selector string `db:"selector"`
	Sealed   string `db:"sealed"`
}

func (r *Ring) openDKIM(row sealedDKIM) (dkim.Pair, error) {
	private, err := r.masterKey().UnsealBytes(row.Sealed, sealedAsDKIM(row.Domain, row.Selector))
	if err != nil {
		return dkim.Pair{}, fault.Wrap(fault.Conflict, err, fmt.Sprintf(
			"The DKIM key %s of %s was sealed with another master key and cannot be used. Make a new one with: sparekey dkim rotate %s", row.Selector, row.Domain, row.Domain))
	}
	return dkim.Parse(row.Domain, row.Selector, private)
}

// readable refuses a pair that this master key does not open.
func (r *Ring) readable(ctx context.Context, domain, selector string) error {
	var row sealedDKIM
	err := r.db.View(ctx, func(tx *db.Tx) (err error) {
		row, err = db.One[sealedDKIM](tx, "SELECT domain, selector, sealed FROM dkim_keys WHERE domain = $1 AND selector = $2", domain, selector)
		return err
	})
	if errors.Is(err, db.ErrNone) {
		return fault.New(fault.NotFound, "There is no DKIM key %q of %s. See: sparekey dkim list", selector, domain)
	}
	if err != nil || row.Sealed == "" {
		return err // a retired one: activating it says so
	}
	_, err = r.openDKIM(row)
	return err
}

// rewrapDKIM seals the private parts under another master key.
func (r *Ring) rewrapDKIM(tx *db.Tx, seal func(private []byte, as string) string) error {
	rows, err := db.All[sealedDKIM](tx, "SELECT domain, selector, sealed FROM dkim_keys WHERE sealed <> ''")
	if err != nil {
		return err
	}
	for _, row := range rows {
		as := sealedAsDKIM(row.Domain, row.Selector)
		private, err := r.masterKey().UnsealBytes(row.Sealed, as)
		if err != nil {
			// From another installation's backup: lost before, and no reason to keep
			// the old master key.
			continue
		}
		if _, err := tx.Exec("UPDATE dkim_keys SET sealed = $1 WHERE domain = $2 AND selector = $3", seal(private, as), row.Domain, row.Selector); err != nil {
			return err
		}
	}
	return nil
}
