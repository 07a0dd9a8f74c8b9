package keyring

import (
	"context"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/dkim"
)

// SignersFor is how long a change at another node may go unnoticed: the old
// record stays published for longer than that.
const SignersFor = time.Minute

// Signer signs mails with the pairs that are active. It is safe for concurrent use.
type Signer struct {
	Ring *Ring
	// Lost is told of a pair that should sign and cannot be used, at most once a
	// minute for each: the mail then goes out without its signature.
	Lost func(err error)

	cached signers
}

// signers are the active pairs by domain, as they were lately.
type signers struct {
	mu    sync.Mutex
	pairs map[string]dkim.Pair
	until time.Time
}

// Sign gives the message with the signatures of the first of these domains that
// has keys; of none: as it is. Only a failure to sign is an error; where the keys
// cannot be read just now, those read before are used.
func (s *Signer) Sign(ctx context.Context, raw []byte, domains ...string) ([]byte, error) {
	pairs := s.active(ctx)
	for _, d := range domains {
		if pair, ok := pairs[d]; ok {
			return pair.Sign(raw)
		}
	}
	return raw, nil
}

func (s *Signer) active(ctx context.Context) map[string]dkim.Pair {
	s.cached.mu.Lock()
	defer s.cached.mu.Unlock()
	now := s.Ring.db.Now()
	if now.Before(s.cached.until) && s.cached.until.Sub(now) <= SignersFor {
		return s.cached.pairs
	}
	pairs, err := s.read(ctx)
	if err != nil {
		s.lost(err)
		return s.cached.pairs
	}
	s.cached.pairs, s.cached.until = pairs, now.Add(SignersFor)
	return pairs
}

func (s *Signer) read(ctx context.Context) (map[string]dkim.Pair, error) {
	var rows []sealedDKIM
	err := s.Ring.db.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = db.All[sealedDKIM](tx, "SELECT domain, selector, sealed FROM dkim_keys WHERE signs_since IS NOT NULL")
		return err
	})
	if err != nil {
		return nil, err
	}
	pairs := map[string]dkim.Pair{}
	for _, row := range rows {
		pair, err := s.Ring.openDKIM(row)
		if err != nil {
			s.lost(err)
			continue
		}
		pairs[row.Domain] = pair
	}
	return pairs, nil
}

func (s *Signer) lost(err error) {
	if s.Lost != nil {
		s.Lost(err)
	}
}
