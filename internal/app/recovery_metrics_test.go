package app

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/relay"
)

func TestRecoveryIsMeasured(t *testing.T) {
	t.Parallel()
	m := newRecoveryMetrics()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.all()...)
	for _, e := range []audit.Event{
		{Kind: audit.Asked},
		{Kind: audit.LinkOpened},
		{Kind: audit.ResetRefused},
		{Kind: audit.PasswordReset, Detail: audit.Detail{"channel": "mail", audit.SinceAsked: "240"}},
		{Kind: audit.SignedIn, Detail: audit.Detail{audit.SinceAsked: "300"}},
		{Kind: audit.SignedIn}, // an ordinary one
		{Kind: audit.PasswordReset, Detail: audit.Detail{"channel": "admin", audit.SinceAsked: "60"}},
		{Kind: audit.PasswordReset, Detail: audit.Detail{"channel": "mail"}}, // an invitation
		{Kind: audit.UserRenamed},
	} {
		m.event(e)
	}
	m.mail(mail.Reset, relay.Attempt{Outcome: relay.Accepted})
	m.mail(mail.Reset, relay.Attempt{Outcome: relay.Temporary})
	m.mail(mail.NewSignIn, relay.Attempt{Outcome: relay.Accepted})

	counts, sums := map[string]float64{}, map[string]float64{}
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, one := range f.GetMetric() {
			name := f.GetName() + ":" + one.GetLabel()[0].GetValue()
			if h := one.GetHistogram(); h != nil {
				counts[name], sums[name] = float64(h.GetSampleCount()), h.GetSampleSum()
				continue
			}
			counts[name] = one.GetCounter().GetValue()
		}
	}
	require.Equal(t, map[string]float64{
		"sparekey_recovery_funnel_total:asked": 1, "sparekey_recovery_funnel_total:accepted": 1, "sparekey_recovery_funnel_total:opened": 1,
		"sparekey_recovery_funnel_total:refused": 1, "sparekey_recovery_funnel_total:used": 2, "sparekey_recovery_funnel_total:signed_in": 1,
		"sparekey_recovery_total:alone": 1, "sparekey_recovery_total:helped": 1,
		"sparekey_recovery_seconds:used": 2, "sparekey_recovery_seconds:signed_in": 1,
	}, counts)
	require.Equal(t, map[string]float64{"sparekey_recovery_seconds:used": 300, "sparekey_recovery_seconds:signed_in": 300}, sums)
}
