package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/story"
)

// What nobody tells is looked for: mail that is stuck, servers that are down.
const (
	watchEvery = 5 * time.Second
	// stuckAfter and badlyStuck are how long a job may be due before somebody is told.
	stuckAfter = time.Minute
	badlyStuck = 5 * time.Minute
	// downFor, or downFailures at each server, is when no mail leaves.
	downFor      = 2 * time.Minute
	downFailures = 3
)

// watch runs until ctx ends. Every node does it.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := s.Watch(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("watch", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Watch looks once, raises the alarms whose cause is there and ends those whose
// cause is gone. It writes only where there is something to write.
func (s *Server) Watch(ctx context.Context) error {
	due := serverAlarms(s.relay, s.DB.Now())
	over := false
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		waiting, err := outbox.Backlogs(tx)
		if err != nil {
			return err
		}
		// What fell due while no server ran is taken up now: that is no alarm.
		if a, ok := stuck(waiting, tx.Now()); ok && tx.Now().Sub(s.began) >= stuckAfter {
			due = append(due, a)
		}
		over, err = alarm.AnyOver(tx)
		return err
	})
	if err != nil || len(due) == 0 && !over {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		for _, a := range due {
			if err := alarm.Raise(tx, a); err != nil {
				return err
			}
		}
		return alarm.Expire(tx)
	})
}

func stuck(waiting []outbox.Backlog, now time.Time) (alarm.Alarm, bool) {
	var oldest time.Time
	jobs := 0
	for _, b := range waiting {
		if b.OldestDue.IsZero() {
			continue
		}
		if oldest.IsZero() || b.OldestDue.Before(oldest) {
			oldest = b.OldestDue
		}
		jobs += b.Due
	}
	if oldest.IsZero() || now.Sub(oldest) < stuckAfter {
		return alarm.Alarm{}, false
	}
	a := alarm.Alarm{
		Name: alarm.Stuck, Severity: alarm.Warning,
		Sentence: fmt.Sprintf("%s waiting in our own server since %s, and nobody takes them up. Is a node running, and has it time? Read its log; restart it.",
			things(jobs), oldest.UTC().Format("15:04 UTC")),
	}
	if now.Sub(oldest) >= badlyStuck {
		a.Severity = alarm.Urgent
	}
	return a, true
}

func things(n int) string {
	if n == 1 {
		return "1 mail or asking is"
	}
	return strconv.Itoa(n) + " mails or askings are"
}

func serverAlarms(r *relay.Relay, now time.Time) []alarm.Alarm {
	if !r.Configured() {
		return []alarm.Alarm{{
			Name: alarm.NoMailServer, Severity: alarm.Urgent,
			Sentence: "No mail server is set up, so no mail can be sent; mails wait. Set SPAREKEY_SMTP and start again.",
		}}
	}
	since := r.AllDownSince()
	if since.IsZero() {
		return nil
	}
	failures, last := true, []string{}
	for _, h := range r.Health() {
		failures = failures && h.Failures >= downFailures
		if h.LastError != "" {
			last = append(last, h.Server+": "+h.LastError)
		}
	}
	if now.Sub(since) < downFor && !failures {
		return nil
	}
	return []alarm.Alarm{{
		Name: alarm.AllServersDown, Severity: alarm.Urgent, Detail: strings.Join(last, "\n"), Since: since,
		Sentence: fmt.Sprintf("No mail of ours has left since %s: no mail server can be used. Mails wait and go out by themselves once one works again. Check the servers, or add another to SPAREKEY_SMTP.", since.UTC().Format("15:04 UTC")),
	}}
}

// serversAsTold tells a command, which sends nothing, how the mail servers stand: by
// the alarms that a running server keeps up. The command's own configuration may be
// another one.
func (c *Core) serversAsTold(tx *db.Tx) (story.Servers, error) {
	_, none, err := alarm.Standing(tx, alarm.NoMailServer)
	if err != nil {
		return story.Servers{}, err
	}
	down, _, err := alarm.Standing(tx, alarm.AllServersDown)
	return story.Servers{None: none, AllDownSince: down.Since}, err
}
