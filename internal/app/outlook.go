package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/canary"
	"github.com/sparekey/sparekey/internal/db"
)

// outlook tells metrics of the alarms and the canary.
type outlook struct {
	db     *db.DB
	canary *canary.Canary
}

var (
	alarmGauge  = prometheus.NewDesc("sparekey_alarm", "Alarms that stand, by name.", []string{"name"}, nil)
	canaryUp    = prometheus.NewDesc("sparekey_canary_up", "1 if the newest walk of the canary that has ended was good.", nil, nil)
	canaryTook  = prometheus.NewDesc("sparekey_canary_seconds", "Time from asking to signed out of the canary's newest good walk.", nil, nil)
	outlookTime = 2 * time.Second
)

// Describe implements prometheus.Collector.
func (outlook) Describe(to chan<- *prometheus.Desc) {
	to <- alarmGauge
	to <- canaryUp
	to <- canaryTook
}

// Collect implements prometheus.Collector.
func (o outlook) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), outlookTime)
	defer cancel()
	counts := map[alarm.Name]int{}
	err := o.db.View(ctx, func(tx *db.Tx) error {
		all, err := alarm.List(tx)
		clear(counts)
		for _, a := range all {
			counts[a.Name]++
		}
		return err
	})
	if err == nil {
		for _, name := range alarm.Names {
			to <- prometheus.MustNewConstMetric(alarmGauge, prometheus.GaugeValue, float64(counts[name]), string(name))
		}
	}
	w, err := o.canary.Newest(ctx)
	if err != nil || o.canary.Every == 0 || w.GoodAt.IsZero() && w.Problem == "" {
		return // off, or no walk has ended yet
	}
	to <- prometheus.MustNewConstMetric(canaryUp, prometheus.GaugeValue, oneIf(w.Problem == ""))
	if !w.GoodAt.IsZero() {
		to <- prometheus.MustNewConstMetric(canaryTook, prometheus.GaugeValue, float64(w.Took)/1e6)
	}
}
