package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/mailevent"
	"github.com/sparekey/sparekey/internal/returns"
	"github.com/sparekey/sparekey/internal/throttle"
)

// graceForReturned is how long a server that brings returned mail may go on at
// the end; it brings the rest again.
const graceForReturned = 5 * time.Second

// ListenForReturned starts the listener for returned mail, if one is set up; Run
// does so by itself. It gives its address and how to stop it.
func (s *Server) ListenForReturned() (address string, stop func(), err error) {
	if s.Config.BounceListen == "" {
		return "", func() {}, nil
	}
	l, err := returns.Listen(s.Config.BounceListen, returns.Options{
		Delivery: s.Delivery, Domain: s.Config.BounceDomain, Sender: s.Config.MailFrom.Address,
		Clock: s.Clock, Log: s.Log, Observe: s.metrics.returnedMail, Canary: s.Canary, Alarm: s.forgedReturns,
	})
	if err != nil {
		return "", nil, cannotListen("SPAREKEY_BOUNCE_LISTEN", s.Config.BounceListen, err)
	}
	s.Log.Info("taking returned mail", "address", l.Addr(), "domain", s.Config.BounceDomain)
	return l.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), graceForReturned)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			s.Log.Warn("stop taking returned mail", "error", err)
		}
	}, nil
}

func (s *Server) forgedReturns() {
	ctx, cancel := context.WithTimeout(context.Background(), graceForReturned)
	defer cancel()
	if err := s.DB.Update(ctx, alarm.ForgedReturns); err != nil {
		s.Log.Error("raise alarm", "error", err)
	}
}

// providers reads SPAREKEY_MAIL_EVENTS.
func providers(c *Core) (map[string]mailevent.Source, error) {
	all := map[string]mailevent.Source{}
	for _, e := range c.Config.MailEvents {
		source, err := mailevent.New(e.Provider, e.Proof, fetch, once(c.DB))
		if err != nil {
			return nil, err
		}
		all[e.Provider] = source
	}
	return all, nil
}

// once remembers proofs in the database, so that one which was used at another
// node is known here.
func once(d *db.DB) mailevent.Once {
	return func(ctx context.Context, proof, words string, until time.Time) (bool, error) {
		first := false
		err := d.Update(ctx, func(tx *db.Tx) (err error) {
			first, err = throttle.Once(tx, id.OperatorEnvironment, "mail-event:"+proof, words, until)
			return err
		})
		return first, err
	}
}

const (
	fetchTime = 10 * time.Second
	maxFetch  = 64 << 10
)

// fetcher asks Amazon for a certificate, or confirms a subscription, and
// follows nobody anywhere else.
var fetcher = &http.Client{
	Timeout:       fetchTime,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := fetcher.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", r.URL.Host, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxFetch))
}
