package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/canary"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/story"
	"github.com/sparekey/sparekey/internal/web"
)

// Server is the running product.
type Server struct {
	*Core
	relay    *relay.Relay
	Delivery *delivery.Delivery
	pools    []*outbox.Pool
	metrics  *metrics
	handler  http.Handler
	stopping chan struct{}
	Canary   *canary.Canary
	began    time.Time
	servedAt atomic.Value // net.Addr
	// Resolver asks the DNS about alarms.
	Resolver *maildns.Resolver
}

// New opens everything a server needs. It serves nothing yet.
func New(ctx context.Context, c config.Config, o Options) (*Server, error) {
	core, err := Open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	r, err := newRelay(core)
	if err != nil {
		return nil, errors.Join(err, core.Close())
	}
	s := &Server{Core: core, relay: r, metrics: newMetrics(core.DB), stopping: make(chan struct{}), Resolver: maildns.System(), began: core.DB.Now()}
	s.Canary = s.newCanary()
	s.metrics.registry.MustRegister(mailHealth{r}, outlook{core.DB, s.Canary})
	alarm.Log(core.DB, core.Log)
	if s.Delivery, err = newDelivery(core, r, s.metrics); err != nil {
		return nil, errors.Join(err, core.Close())
	}
	s.pools = pools(core, s.Delivery)
	core.UserManager.Servers = func(*db.Tx) (story.Servers, error) {
		return story.Servers{None: !r.Configured(), AllDownSince: r.AllDownSince()}, nil
	}
	s.handler = (&web.Door{
		SignIn: core.SignIn, Recovery: core.Recovery, Account: core.Account, UserManager: core.UserManager, Settings: core.Settings,
		Console: newConsole(core, r, s.Canary), Doctor: core.Doctor, Delivery: s.Delivery, Help: core.Help, Numbers: core.Numbers,
		URL: c.URL, Sender: c.MailFrom.Address, TrustedProxies: c.TrustedProxies, Clock: o.Clock, Log: o.Log,
		Ready: s.ready, Stopping: s.stopping, Observe: s.metrics.request,
	}).Handler()
	return s, nil
}

// Handler answers requests; Run serves it.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.stopping:
		return errors.New("shutting down")
	default:
		return s.Ring.Fits(ctx) // which also tells whether the database answers
	}
}

// Times of the shutdown: requests under way may finish, then mails under way.
const (
	graceForRequests = 15 * time.Second
	graceForJobs     = 10 * time.Second
)

// Run serves on the listener until ctx ends, then lets requests and jobs under
// way finish, and closes everything.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	if s.Config.LimitsOff {
		s.Log.Warn("SPAREKEY_LIMITS=off: nobody who guesses passwords is slowed down; for load tests only")
	}
	s.servedAt.Store(l.Addr())
	server := s.httpServer(s.handler)
	metricsServer, err := s.serveMetrics()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	_, noMoreReturned, err := s.ListenForReturned()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	jobs := s.StartJobs()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.Log.Info("stopping: requests and mails under way are finished first")
	close(s.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceForRequests)
	defer cancel()
	stop := server.Shutdown(grace)
	noMoreReturned()
	jobs()
	if metricsServer != nil {
		stop = errors.Join(stop, metricsServer.Close())
	}
	if errors.Is(stop, context.DeadlineExceeded) {
		stop = errors.Join(server.Close(), nil) // whoever is that slow tries again
	}
	err = errors.Join(err, stop, s.relay.Close(), s.Close())
	s.Log.Info("stopped")
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		// ReadTimeout also ends the context of a request that was read long ago. So it is
		// longer than a database may take to answer (package db), which has words of its own.
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 45 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// StartJobs runs what goes on beside the pages: the outbox, the tidying, the
// watching and the canary. Call the result to stop.
func (s *Server) StartJobs() (stop func()) {
	soft, endSoft := context.WithCancel(context.Background())
	hard, endHard := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, p := range s.pools {
		running.Go(func() { p.Run(soft, hard) })
	}
	running.Go(func() { s.tidy(soft) })
	running.Go(func() { s.watch(soft) })
	running.Go(func() { s.Canary.Run(soft) })
	return func() {
		endSoft()
		impatient := time.AfterFunc(graceForJobs, endHard)
		running.Wait()
		impatient.Stop()
		endHard()
	}
}

func (s *Server) serveMetrics() (*http.Server, error) {
	if s.Config.MetricsListen == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", s.Config.MetricsListen)
	if err != nil {
		return nil, cannotListen("SPAREKEY_METRICS_LISTEN", s.Config.MetricsListen, err)
	}
	server := s.httpServer(s.Metrics())
	server.WriteTimeout = 5 * time.Minute // a profile takes as long as it is asked to
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.Log.Error("serve metrics", "error", err)
		}
	}()
	return server, nil
}

// cannotListen names the setting whose address cannot be had.
func cannotListen(setting, address string, err error) error {
	return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("%s is %q, and nothing can listen there: is the port free, and may this user have it?", setting, address))
}
