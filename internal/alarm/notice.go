package alarm

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/throttle"
)

// Answer is what a mail server said about one of our mails, at once or later.
type Answer struct {
	diagnosis.Finding
	Stage  string // the step it came in, "" if it came back later
	Server string // who said it; "" if nobody tells
	Domain string // of the recipient
	// Own says that it was said to us by our own mail server, of itself.
	Own    bool
	MadeAt time.Time // of the mail
}

// Thresholds within a day, for one domain.
const (
	policyRefusals  = 3
	contentRefusals = 2
)

const (
	// slowFor is how old a mail is that is told to come later before it is a
	// matter of more than a busy hour.
	slowFor = time.Hour
	// silentDomains that do not answer within silentFor are hardly to blame all.
	silentDomains = 3
	silentFor     = 30 * time.Minute
)

// Notice raises the alarm that an answer deserves, if any, and collects answers
// that nobody knows. Call it for every answer that is no acceptance.
func Notice(tx *db.Tx, a Answer) error {
	a.Reply = anonymous(a.Reply)
	switch a.Class {
	case diagnosis.OwnSetup:
		return Raise(tx, Alarm{
			Name: OwnSetup, About: a.Server, Severity: Urgent, Detail: a.Reply,
			Sentence: "Our own mail server refuses us. Check its address, user and password in SPAREKEY_SMTP, and that it lets this sender send.",
		})
	case diagnosis.RefusedReputation:
		return Raise(tx, a.reputation())
	case diagnosis.RefusedAuthentication:
		return Raise(tx, Alarm{
			Name: RefusedAuthentication, About: a.Domain, Severity: Urgent, Detail: a.Reply,
			Sentence: fmt.Sprintf("%s could not verify that our mail is genuine (%s). Run the checks of DNS and mail setup: they give the record to publish.", a.Domain, failingCheck(a.Reply)),
		})
	case diagnosis.SenderRefused:
		return Raise(tx, Alarm{
			Name: SenderRefused, About: a.Domain, Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("%s refused the sender address of our mail. Run the checks of DNS and mail setup: the sender's domain needs an MX or address record, and returned mail must be taken.", a.Domain),
		})
	case diagnosis.RefusedPolicy:
		return raiseFrom(tx, policyRefusals, Alarm{
			Name: RefusedPolicy, About: a.Domain, Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("A rule at %s turned our mail away at least %d times in a day. Ask the postmaster there, with the reply below.", a.Domain, policyRefusals),
		})
	case diagnosis.RefusedContent:
		return raiseFrom(tx, contentRefusals, Alarm{
			Name: RefusedContent, About: a.Domain, Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("The filter of %s stopped our mail because of what is in it, at least %d times in a day.", a.Domain, contentRefusals),
		})
	case diagnosis.TLSFailed:
		return Raise(tx, Alarm{
			Name: TLSFailed, About: a.at(), Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("No secure connection to %s could be made, and we send without one to nobody. Check the certificate: its names, its dates and who signed it.", a.at()),
		})
	case diagnosis.RelayDenied:
		return Raise(tx, Alarm{
			Name: RelayDenied, About: a.Domain, Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("%s says that it does not serve %s. The domain may just be moving, or our route to it is old: compare that server with the MX records of %s.", a.at(), a.Domain, a.Domain),
		})
	case diagnosis.RateLimited:
		if a.Own || a.MadeAt.IsZero() || tx.Now().Sub(a.MadeAt) < slowFor {
			return nil
		}
		return Raise(tx, Alarm{
			Name: RateLimited, About: a.Domain, Severity: Warning, Detail: a.Reply,
			Sentence: fmt.Sprintf("%s has been taking our mail slowly for more than an hour. Mails wait and are tried again; people there can be given links. If it goes on, ask the postmaster there, or let mail leave by another server, first in SPAREKEY_SMTP.", a.Domain),
		})
	case diagnosis.Unreachable:
		return unreachable(tx, a)
	case diagnosis.Unknown:
		return collect(tx, a)
	default:
		return nil
	}
}

// unreachable raises an alarm when several domains do not answer at once. What
// our own servers do is looked at elsewhere.
func unreachable(tx *db.Tx, a Answer) error {
	if a.Own {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO alarm_signs (environment_id, name, about, last_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment_id, name, about) DO UPDATE SET last_at = excluded.last_at`, id.OperatorEnvironment, Unreachable, clip(a.Domain, longAbout), tx.Now())
	if err != nil {
		return err
	}
	since := tx.Now().Add(-silentFor)
	if _, err := tx.Exec("DELETE FROM alarm_signs WHERE environment_id = $1 AND name = $2 AND last_at < $3", id.OperatorEnvironment, Unreachable, since); err != nil {
		return err
	}
	silent, err := db.All[string](tx, "SELECT about FROM alarm_signs WHERE environment_id = $1 AND name = $2 ORDER BY last_at DESC, about LIMIT 10", id.OperatorEnvironment, Unreachable)
	if err != nil || len(silent) < silentDomains {
		return err
	}
	return Raise(tx, Alarm{
		Name: Unreachable, Severity: Warning, Detail: strings.Join(silent, "\n"),
		Sentence: "Several mail domains do not answer at once, so it is most likely us. Check the network, the DNS and the outgoing port 25 of the server that our mail leaves by.",
	})
}

func (a Answer) reputation() Alarm {
	about, where, because := a.List, "Look up our address there", fmt.Sprintf(": we stand on the list %s", a.List)
	if about == "" {
		about, where, because = a.Domain, "Ask the postmaster there what we are blamed for", ""
	}
	return Alarm{
		Name: RefusedReputation, About: about, Severity: Urgent, Detail: a.Reply,
		Sentence: fmt.Sprintf("%s does not trust our mail server%s. %s and ask for removal; the reply below may name the page. Meanwhile mail can leave by another server, first in SPAREKEY_SMTP.", a.Domain, because, where),
	}
}

// at is where the connection went that could not be secured.
func (a Answer) at() string {
	if a.Server != "" {
		return a.Server
	}
	return a.Domain
}

// raiseFrom raises an alarm from the n-th time in a day on.
func raiseFrom(tx *db.Tx, n int, a Alarm) error {
	seen, _, err := throttle.Count(tx, id.OperatorEnvironment, "alarm:"+string(a.Name)+":"+clip(a.About, longAbout), 24*time.Hour)
	if err != nil || seen < n {
		return err
	}
	return Raise(tx, a)
}

// ForgedAnHour is how many mails may come in an hour to return paths that we did
// not make, before somebody is told.
const ForgedAnHour = 20

// ForgedReturns says that there were more.
func ForgedReturns(tx *db.Tx) error {
	return Raise(tx, Alarm{
		Name: Forged, Severity: Warning,
		Sentence: fmt.Sprintf("More than %d returned mails in an hour were not about mail of ours: somebody sends in our name, or guesses return addresses. None was believed. A DMARC policy of reject for our domain helps against the former.", ForgedAnHour),
	})
}

// checks are the words by which receivers name what failed.
var checks = []struct{ word, name string }{
	{"dmarc", "DMARC"}, {"dkim", "DKIM"}, {"spf", "SPF"}, {"ptr", "reverse DNS"}, {"reverse", "reverse DNS"}, {"helo", "our name in HELO"},
}

func failingCheck(reply string) string {
	folded := strings.ToLower(reply)
	var found []string
	for _, c := range checks {
		if strings.Contains(folded, c.word) && (len(found) == 0 || found[len(found)-1] != c.name) {
			found = append(found, c.name)
		}
	}
	if len(found) == 0 {
		return "it does not say by which check"
	}
	return strings.Join(found, ", ")
}

var localPart = regexp.MustCompile(`[^\s<>"'(),;:@]+@`)

// anonymous takes the people out of an answer: the operators enter no environment.
func anonymous(reply string) string { return localPart.ReplaceAllString(reply, "…@") }

func clip(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	for longest > 0 && !utf8.RuneStart(s[longest]) {
		longest--
	}
	return s[:longest]
}
