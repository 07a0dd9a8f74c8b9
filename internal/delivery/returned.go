package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/outbox"
)

// OurReturnPath tells whether we made the local part of an address for a mail of
// ours. It does not look at the mail.
func (d *Delivery) OurReturnPath(ctx context.Context, local string) (bool, error) {
	_, _, ok, err := d.Ring.ReadReturnPath(ctx, local)
	return ok, err
}

// TakeReturned takes a mail that came to a return path, given by its local part.
// The return path says which mail of ours it is about, whatever the report
// names; a path we did not make, or made with a key that leaked, proves nothing.
// The same report again does nothing. An error means: not now, come again.
func (d *Delivery) TakeReturned(ctx context.Context, local string, raw []byte) (Took, error) {
	message, key, ok, err := d.Ring.ReadReturnPath(ctx, local)
	if err != nil {
		return Took{}, err
	}
	if !ok {
		return Took{dsn.None, Forged}, nil
	}
	returned, err := dsn.Read(bytes.NewReader(raw))
	if err != nil { // no mail, from whoever it is
		return Took{dsn.None, Ignored}, nil //nolint:nilerr // trying again would not make it one
	}
	took := Took{Kind: returned.Kind}
	if returned.Kind == dsn.None {
		took.Verdict = Ignored
		return took, nil
	}
	err = d.DB.Update(ctx, func(tx *db.Tx) error {
		leaked, err := keyring.Revoked(tx, key)
		if err != nil || leaked {
			took.Verdict = Forged
			return err
		}
		env, m, err := outbox.Locate(tx, message)
		if errors.Is(err, db.ErrNone) {
			took.Verdict = Unmatched
			return nil
		}
		if err != nil {
			return err
		}
		took.Verdict, err = take(tx, env, m, inReturned(returned, m))
		return err
	})
	return took, err
}

// inReturned picks what a returned mail says about our mail's only recipient.
// Where it names ten thousand, as after a list, one of them is enough: ours, or
// the first of those that fared worst.
func inReturned(r dsn.Returned, m outbox.Message) news {
	best := diagnosis.Diagnosed{Kind: r.Kind, Server: r.Reporter}
	switch r.Kind {
	case dsn.Complaint:
		best.Class = diagnosis.Complaint
	case dsn.AutoReply:
		best.Class = diagnosis.AutoReply
	}
	rank := 0
	for _, d := range diagnosis.Returned(r) {
		if n := rankOf(d, m); n > rank {
			best, rank = d, n
		}
	}
	n := news{
		found: best.Finding, behind: best.Reason,
		report: outbox.Report{Source: "mail", Kind: string(best.Kind), Reporter: best.Server, Recipient: best.Address},
	}
	n.report.Fingerprint = fingerprint(n)
	return n
}

// rankOf: what is said of our recipient goes first, then the worst.
func rankOf(d diagnosis.Diagnosed, m outbox.Message) int {
	rank := map[dsn.Kind]int{dsn.Complaint: 5, dsn.Bounce: 4, dsn.Delay: 3, dsn.Delivered: 2}[d.Kind] + 1
	if strings.EqualFold(d.Address, m.ToEmail) {
		rank += 10
	}
	return rank
}

// fingerprint makes two copies of one report the same, whatever way they came.
func fingerprint(n news) string {
	r, f := n.report, n.found
	h := sha256.New()
	for _, part := range []string{r.Source, r.Kind, r.Reporter, r.Recipient, string(f.Class), fmt.Sprint(f.Code), f.Enhanced, f.Reply} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash never fails to write
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
