package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/token"
)

// recoveryMetrics count how recovery goes on this node, where it happens. The
// numbers page counts tries over all nodes; these are for alarms.
type recoveryMetrics struct {
	steps    *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	times    *prometheus.HistogramVec
}

func newRecoveryMetrics() *recoveryMetrics {
	return &recoveryMetrics{
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sparekey_recovery_funnel_total", Help: "Events on the way back in, of which one try may have several: asked, accepted, opened, refused, used, signed_in.",
		}, []string{"step"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sparekey_recovery_total", Help: "Passwords set by a reset, without an administrator's link (alone) or with one (helped).",
		}, []string{"outcome"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sparekey_recovery_seconds", Help: "Time from the asking that made the token until the password was set (used) and until the sign-in after it (signed_in).",
			Buckets: []float64{15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400},
		}, []string{"until"}),
	}
}

func (m *recoveryMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.steps, m.outcomes, m.times}
}

var recoverySteps = map[audit.Kind]string{audit.Asked: "asked", audit.LinkOpened: "opened", audit.ResetRefused: "refused"}

// event counts what an event says about recovery.
func (m *recoveryMetrics) event(e audit.Event) {
	switch e.Kind {
	case audit.PasswordReset:
		if !m.took("used", e) {
			return // an invitation
		}
		m.steps.WithLabelValues("used").Inc()
		outcome := "alone"
		if e.Detail["channel"] == string(token.Admin) {
			outcome = "helped"
		}
		m.outcomes.WithLabelValues(outcome).Inc()
	case audit.SignedIn:
		if m.took("signed_in", e) {
			m.steps.WithLabelValues("signed_in").Inc()
		}
	default:
		if step := recoverySteps[e.Kind]; step != "" {
			m.steps.WithLabelValues(step).Inc()
		}
	}
}

// took tells whether the event ends a time since an asking, and counts it.
func (m *recoveryMetrics) took(until string, e audit.Event) bool {
	seconds, err := strconv.ParseFloat(e.Detail[audit.SinceAsked], 64)
	if err != nil {
		return false
	}
	m.times.WithLabelValues(until).Observe((time.Duration(seconds) * time.Second).Seconds())
	return true
}

// mail counts a reset mail that a server took.
func (m *recoveryMetrics) mail(kind mail.Kind, a relay.Attempt) {
	if (kind == mail.Reset || kind == mail.ResetByAdmin || kind == mail.ResetAfterNotMe) && a.Outcome == relay.Accepted {
		m.steps.WithLabelValues("accepted").Inc()
	}
}
