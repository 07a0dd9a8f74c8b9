package alarm

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/secret"
)

// Lately adds up what environments have seen in a day. No single answer tells it:
// few complaints among many mails, a domain that takes mail and hides it, a form
// that turns people away.
type Lately struct {
	complaints int
	mails      int            // that a server took
	unopened   map[string]int // people, by the domain of their address
	mailed     map[string]int // people whose mail was taken an hour ago or longer
	forms      []Alarm        // of single environments: each has rules of its own
}

const (
	lately = 24 * time.Hour
	// ripe is how old a mail is before it is odd that nobody opened it.
	ripe = time.Hour
	// The shares that are too large, and how many there must be of something
	// before a share says anything.
	complaintsIn1000 = 1
	fewComplaints    = 2
	unopenedIn100    = 30
	fewMailed        = 10
	refusedIn100     = 20
	fewForms         = 10
	// mostOfEach bounds what is read of one environment, the newest first.
	mostOfEach = 5_000
	// mostMails bounds how many mails are counted: past it a share is precise enough.
	mostMails = 100_000
	// mostDomains are named at once, those with the most people first.
	mostDomains = 20
)

// Look adds what one environment has seen in the last 24 hours. Each statement
// reads a day by an index.
func (l *Lately) Look(tx *db.Tx, env id.Environment) error {
	n, err := db.One[int](tx, "SELECT count(*) FROM reports WHERE environment_id = $1 AND kind = 'complaint' AND at > $2", env, tx.Now().Add(-lately))
	if err != nil {
		return err
	}
	l.complaints += n
	if err := l.lookAtMails(tx, env); err != nil {
		return err
	}
	return l.lookAtForms(tx, env)
}

// Count adds the mails of one environment that servers took. Worth its reading
// only where there are Complaints.
func (l *Lately) Count(tx *db.Tx, env id.Environment) error {
	n, err := db.One[int](tx, `SELECT count(*) FROM (SELECT 1 FROM messages WHERE environment_id = $1 AND id > $2 AND accepted_at IS NOT NULL LIMIT $3) AS taken`,
		env, id.Before[id.Message](tx.Now().Add(-lately)), mostMails)
	l.mails += n
	return err
}

// Complaints tells whether there are enough to ask among how many mails.
func (l *Lately) Complaints() bool { return l.complaints >= fewComplaints }

// lookAtMails counts people, not mails: of three mails somebody opens one.
func (l *Lately) lookAtMails(tx *db.Tx, env id.Environment) error {
	type mailed struct {
		Token  id.Token  `db:"id"`
		UsedAt time.Time `db:"used_at"`
		To     string    `db:"to_email"`
		Opens  int       `db:"opens"`
	}
	rows, err := db.All[mailed](tx, `SELECT t.id, t.used_at, m.to_email,
			(SELECT COALESCE(max(l.opens), 0) FROM links l WHERE l.environment_id = t.environment_id AND l.token_id = t.id) AS opens
		FROM (SELECT environment_id, id, user_id, made_at, used_at FROM tokens
			WHERE environment_id = $1 AND made_at > $2 AND made_at <= $3 AND purpose = $4 ORDER BY made_at DESC LIMIT $5) AS t
		JOIN messages m ON m.environment_id = t.environment_id AND m.user_id = t.user_id AND m.made_at >= t.made_at AND m.accepted_at <= $3
		JOIN links k ON k.environment_id = m.environment_id AND k.id = m.link_id AND k.token_id = t.id
		WHERE NOT EXISTS (SELECT 1 FROM reports r WHERE r.environment_id = m.environment_id AND r.message = m.id AND r.kind = 'bounce')`,
		env, tx.Now().Add(-lately-ripe), tx.Now().Add(-ripe), secret.Reset, mostOfEach)
	seen := map[id.Token]bool{}
	for _, m := range rows {
		if seen[m.Token] {
			continue
		}
		seen[m.Token] = true
		domain := address.Domain(m.To)
		add(&l.mailed, domain)
		if m.Opens == 0 && m.UsedAt.IsZero() {
			add(&l.unopened, domain)
		}
	}
	return err
}

// lookAtForms counts people, not forms: many try twice.
func (l *Lately) lookAtForms(tx *db.Tx, env id.Environment) error {
	events, err := db.All[audit.Entry](tx, "SELECT user_id, detail FROM events WHERE environment_id = $1 AND kind = $2 AND at > $3 ORDER BY at DESC LIMIT $4",
		env, audit.ResetRefused, tx.Now().Add(-lately), mostOfEach)
	if err != nil || len(events) == 0 {
		return err
	}
	used, err := db.All[id.User](tx, "SELECT user_id FROM tokens WHERE environment_id = $1 AND made_at > $2 AND used_at > $3 LIMIT $4",
		env, tx.Now().Add(-2*lately), tx.Now().Add(-lately), mostOfEach)
	if err != nil {
		return err
	}
	sent := map[id.User]bool{}
	for _, u := range used {
		sent[u] = true
	}
	refused := map[string]map[id.User]bool{} // by the sentence they read
	for _, e := range events {
		why := e.Detail()["why"]
		if refused[why] == nil {
			refused[why] = map[id.User]bool{}
		}
		refused[why][e.User], sent[e.User] = true, true
	}
	for why, people := range refused {
		if len(sent) < fewForms || len(people)*100 <= len(sent)*refusedIn100 {
			continue
		}
		l.forms = append(l.forms, Alarm{
			Environment: env, Name: FormRefused, About: why, Severity: Warning,
			Sentence: fmt.Sprintf("Of %d people who sent a new password in a day, %d were refused for one reason: “%s” Look whether the rule is meant so, and tell people of it beforehand.", len(sent), len(people), why),
		})
	}
	return nil
}

func add(to *map[string]int, what string) {
	if *to == nil {
		*to = map[string]int{}
	}
	(*to)[what]++
}

// Alarms gives what the sums deserve.
func (l *Lately) Alarms() []Alarm {
	var all []Alarm
	if l.Complaints() && l.complaints*1000 > l.mails*complaintsIn1000 {
		all = append(all, Alarm{
			Name: Complaints, Severity: Warning,
			Sentence: fmt.Sprintf("%d of %d mails of the last 24 hours were reported as spam, more than one in a thousand: receivers stop trusting a server that goes on so. Look who asks so often for addresses that are not theirs, and whether a sender name tells people whose mail it is.", l.complaints, l.mails),
		})
	}
	return append(append(all, l.domains()...), l.forms...)
}

func (l *Lately) domains() []Alarm {
	var all []Alarm
	for domain, hidden := range l.unopened {
		of := l.mailed[domain]
		if of < fewMailed || hidden*100 <= of*unopenedIn100 {
			continue
		}
		all = append(all, Alarm{
			Name: NeverOpened, About: domain, Severity: Warning, Noticed: hidden,
			Sentence: fmt.Sprintf("%s took our mail for %d people in a day, and %d of them opened nothing. It may lie in spam or quarantine there. Run the checks of DNS and mail setup, and ask the postmaster there to look.", domain, of, hidden),
		})
	}
	slices.SortFunc(all, func(a, b Alarm) int { return cmp.Or(b.Noticed-a.Noticed, cmp.Compare(a.About, b.About)) })
	return all[:min(len(all), mostDomains)]
}
