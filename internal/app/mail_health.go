package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sparekey/sparekey/internal/relay"
)

// mailHealth tells how the mail servers stand, as this process knows them.
type mailHealth struct{ relay *relay.Relay }

var (
	serverUp = prometheus.NewDesc("sparekey_mail_server_up",
		"1 while the mail server can be used, 0 while it failed too often of late.", []string{"server"}, nil)
	serverFailures = prometheus.NewDesc("sparekey_mail_server_failures",
		"Failures of the mail server in a row.", []string{"server"}, nil)
	circuitOpen = prometheus.NewDesc("sparekey_mail_circuit_open",
		"1 while the mail server is left alone until its next probe.", []string{"server"}, nil)
	domainsWaiting = prometheus.NewDesc("sparekey_mail_domains_waiting",
		"Recipients' domains that keep their mails waiting for now, at most 100.", nil, nil)
	domainsSlow = prometheus.NewDesc("sparekey_mail_domains_slow",
		"Recipients' domains that answer so slowly that they have few senders, at most 100.", nil, nil)
)

// Describe names the metrics.
func (m mailHealth) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{serverUp, serverFailures, circuitOpen, domainsWaiting, domainsSlow} {
		to <- d
	}
}

// Collect reads them. No label names a domain: whom people write to is theirs.
func (m mailHealth) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	seen := map[string]bool{}
	for _, h := range m.relay.Health() {
		if seen[h.Server] { // named twice, with different users
			continue
		}
		seen[h.Server] = true
		gauge(serverUp, oneIf(h.State == relay.Closed), h.Server)
		gauge(circuitOpen, oneIf(h.State == relay.Open), h.Server)
		gauge(serverFailures, float64(h.Failures), h.Server)
	}
	waiting, slow := 0, 0
	for _, h := range m.relay.DomainHealth() {
		if h.State != relay.Closed {
			waiting++
		}
		if h.Slow {
			slow++
		}
	}
	gauge(domainsWaiting, float64(waiting))
	gauge(domainsSlow, float64(slow))
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
