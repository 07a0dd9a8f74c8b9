package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/numbers"
	"github.com/sparekey/sparekey/internal/web/templates"
)

var stepWords = map[numbers.Step]string{
	numbers.Asked: "Asked for a link", numbers.Reached: "Mail taken by their server, or link given", numbers.Opened: "Opened the link",
	numbers.Sent: "Sent a new password", numbers.Used: "Password set", numbers.SignedIn: "Logged in",
}

// reasonWords says shortly why somebody did not get in.
var reasonWords = map[diagnosis.Class]string{
	diagnosis.NotOpened: "The mail was taken; nobody opened the link", diagnosis.ScannerOnly: "Only a link scanner opened the link",
	diagnosis.Opened: "Opened the link, did not finish", diagnosis.FormRefused: "The new password was refused", diagnosis.Queued: "No server has taken the mail",
	diagnosis.NoSuchMailbox: "There is no such mailbox", diagnosis.MailboxDisabled: "The mailbox is switched off", diagnosis.MailboxMoved: "The mailbox has moved",
	diagnosis.NoSuchDomain: "There is no such mail domain", diagnosis.DomainTakesNoMail: "The domain takes no mail", diagnosis.MailboxFull: "The mailbox is full",
	diagnosis.RefusedByRecipient: "The mailbox takes mail from chosen senders only", diagnosis.Suppressed: "Our mail provider no longer writes there",
	diagnosis.Complaint: "The mail was reported as spam", diagnosis.RefusedReputation: "Their server does not trust ours",
	diagnosis.RefusedAuthentication: "Their server could not verify our mail", diagnosis.RefusedPolicy: "A rule of theirs turned the mail away",
	diagnosis.RelayDenied: "Their server does not serve that domain", diagnosis.SenderRefused: "The sender address was refused",
	diagnosis.OwnSetup: "Our mail service is not set up correctly", diagnosis.RefusedContent: "A filter stopped the mail", diagnosis.TooLarge: "The mail was too large",
	diagnosis.Greylisted: "Their server asked us to come back later", diagnosis.RateLimited: "Their server takes mail slowly",
	diagnosis.ReceiverTrouble: "Their mail server has a problem", diagnosis.Unreachable: "Their mail server did not answer", diagnosis.TLSFailed: "No secure connection could be made",
	diagnosis.GaveUp: "Their server could not be reached for days", diagnosis.Unknown: "An answer we do not know",
}

func (d *Door) showNumbers(v *visit) error {
	n, err := d.numbersOf(v, v.env)
	if err != nil {
		return err
	}
	n.URL = v.at("numbers")
	return v.show(http.StatusOK, templates.NumbersPage(n))
}

// numbersOf are the numbers of an environment for the period that is asked for, or
// for 30 days where there is none such.
func (d *Door) numbersOf(v *visit, env environment.Environment) (templates.Numbers, error) {
	days := 30
	if asked, err := strconv.Atoi(v.r.URL.Query().Get("days")); err == nil && slices.Contains(numbers.Periods, asked) {
		days = asked
	}
	r, err := d.Numbers.Show(v.ctx(), v.actor(), env, days)
	if err != nil {
		return templates.Numbers{}, err
	}
	p := v.page()
	p.Nav.Current = "numbers"
	return numbersPage(p, env, r), nil
}

func numbersPage(p templates.Page, env environment.Environment, r numbers.Report) templates.Numbers {
	n := templates.Numbers{
		Page: p, Of: env.Name, Days: r.Days, Periods: numbers.Periods, CountedAt: r.CountedAt, Asked: r.Funnel[0].N, Nobody: r.Nobody,
		Outcomes: []templates.Outcome{
			{Words: "without an administrator", N: r.Alone, Fill: "alone"},
			{Words: "with an administrator’s help", N: r.Helped, Fill: "helped"},
			{Words: "begun within the last hour", N: r.UnderWay, Fill: "under-way"},
			{Words: "not back in", N: r.NotBack, Fill: "not-back"},
		},
	}
	n.Alone, n.SignedIn = r.Alone, r.Funnel[len(r.Funnel)-1].N
	n.Median, n.P90 = inWords(r.Median), inWords(r.P90)
	for _, s := range r.Funnel {
		n.Funnel = append(n.Funnel, templates.NumbersBar{Words: stepWords[s.What], N: s.N, Of: n.Asked})
	}
	for _, t := range r.Times {
		n.Times = append(n.Times, templates.NumbersBar{Words: t.What.Words, N: t.N, Of: n.SignedIn})
	}
	all := 0
	for _, why := range r.Reasons {
		all += why.N
	}
	for _, why := range r.Reasons {
		words := reasonWords[why.What]
		if words == "" {
			words = string(why.What)
		}
		n.Reasons = append(n.Reasons, templates.NumbersBar{Words: words, N: why.N, Of: all})
	}
	for _, day := range r.ByDay {
		n.ByDay = append(n.ByDay, templates.NumbersDay(day))
	}
	return n
}

// inWords is a time as one says it: no more exact than it is known.
func inWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + " min"
	case d < 10*time.Hour:
		return strconv.FormatFloat(d.Hours(), 'f', 1, 64) + " h"
	default:
		return strconv.Itoa(int(d.Round(time.Hour).Hours())) + " h"
	}
}
