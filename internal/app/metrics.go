package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
)

// metrics counts what the server does. Names begin with sparekey_; durations
// are in seconds. No label holds a person, an address or a link.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	mails    *prometheus.CounterVec
	sending  *prometheus.HistogramVec
	returned *prometheus.CounterVec
	events   *prometheus.CounterVec
	recovery *recoveryMetrics
}

func newMetrics(d *db.DB) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sparekey_http_request_seconds", Help: "Time to answer a request, by route and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route", "status"}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sparekey_mail_attempts_total", Help: "Conversations with mail servers, by kind of mail, outcome and stage.",
		}, []string{"kind", "outcome", "stage"}),
		sending: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sparekey_mail_attempt_seconds", Help: "Time of a conversation with a mail server.", Buckets: prometheus.ExponentialBuckets(.0005, 3, 12),
		}, []string{"outcome"}),
		returned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sparekey_returned_mails_total", Help: "Mails to our return paths, by what they are and what became of them.",
		}, []string{"kind", "verdict"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sparekey_mail_events_total", Help: "Events of mail providers, by provider and what became of them.",
		}, []string{"provider", "verdict"}),
	}
	m.recovery = newRecoveryMetrics()
	m.registry.MustRegister(m.recovery.all()...)
	audit.Observe(d, m.recovery.event)
	m.registry.MustRegister(m.requests, m.mails, m.sending, m.returned, m.events, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), waiting(d, outbox.Resolve), waiting(d, outbox.Send))
	return m
}

func waiting(d *db.DB, kind outbox.Kind) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sparekey_jobs_waiting", Help: "Jobs that are not done yet.", ConstLabels: prometheus.Labels{"kind": string(kind)},
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		n := 0
		err := d.View(ctx, func(tx *db.Tx) (err error) { n, err = outbox.Waiting(tx, kind); return err })
		if err != nil {
			return -1
		}
		return float64(n)
	})
}

func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) mail(kind mail.Kind, a relay.Attempt) {
	m.mails.WithLabelValues(string(kind), string(a.Outcome), a.Stage).Inc()
	m.sending.WithLabelValues(string(a.Outcome)).Observe(a.Duration.Seconds())
	m.recovery.mail(kind, a)
}

func (m *metrics) returnedMail(kind, verdict string) {
	m.returned.WithLabelValues(kind, verdict).Inc()
}

func (m *metrics) mailEvent(provider string, v delivery.Verdict) {
	m.events.WithLabelValues(provider, string(v)).Inc()
}

// Metrics answers what SPAREKEY_METRICS_LISTEN serves: /metrics and /debug/pprof.
func (s *Server) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
