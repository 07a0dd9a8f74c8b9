package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/console"
	"github.com/sparekey/sparekey/internal/doctor"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/maildns"
	"github.com/sparekey/sparekey/internal/numbers"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/relay"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showConsole(v *visit) error {
	o, err := d.Console.Overview(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	p := v.consolePage("console")
	page := templates.Console{Page: p, Canary: canaryCard(o.Canary), Environments: environmentRows(o.Environments)}
	for _, a := range o.Alarms {
		page.Alarms = append(page.Alarms, alarmRow(a))
	}
	for _, s := range o.Servers {
		page.Servers = append(page.Servers, serverRow(s))
	}
	page.Queue = queueFacts(o.Waiting)
	for _, c := range o.Returned {
		page.Returned = append(page.Returned, templates.Fact{Name: returnedWords[c.Kind], Value: strconv.Itoa(c.N)})
	}
	return v.show(http.StatusOK, templates.ConsolePage(page))
}

// consolePage is page with what the page before left to say.
func (v *visit) consolePage(current string) templates.Page {
	p := v.page()
	p.Nav.Current = current
	p.Flash = v.takeFlash().Words
	return p
}

var alarmTitles = map[alarm.Name]string{
	alarm.OwnSetup: "Our mail server refuses us", alarm.NoMailServer: "No mail server", alarm.AllServersDown: "No mail leaves",
	alarm.Stuck: "Mail is stuck", alarm.Canary: "The canary did not come back", alarm.Forged: "Forged returned mail",
	alarm.RefusedReputation: "Not trusted", alarm.RefusedAuthentication: "Not proved genuine", alarm.SenderRefused: "Sender refused",
	alarm.RefusedPolicy: "Turned away by a rule", alarm.RefusedContent: "Stopped by a filter", alarm.TLSFailed: "No secure connection",
	alarm.RelayDenied: "Not served there", alarm.RateLimited: "Taken slowly", alarm.Unreachable: "Several domains do not answer",
	alarm.Complaints: "Reported as spam", alarm.NeverOpened: "Mail that nobody opens", alarm.FormRefused: "New passwords refused",
}

func alarmRow(a console.Alarm) templates.AlarmRow {
	return templates.AlarmRow{
		Environment: string(a.Environment), Name: string(a.Name), About: a.About, Title: alarmTitles[a.Name], Slug: a.Slug,
		Urgent: a.Severity == alarm.Urgent, Sentence: a.Sentence, Detail: a.Detail, Noticed: a.Noticed, Since: a.Since, LastAt: a.LastAt,
	}
}

func serverRow(s relay.ServerHealth) templates.ServerRow {
	row := templates.ServerRow{Name: s.Server, Tone: templates.ToneGood, Words: "Takes our mail, as far as we know", More: s.LastError}
	switch {
	case s.State == relay.Open:
		row.Tone, row.Words, row.Until = templates.ToneBad, counted(s.Failures, "failure", "failures")+" in a row", s.Until
	case s.State == relay.HalfOpen:
		row.Tone, row.Words = templates.ToneWait, "The next mail tries whether it works again"
	case s.Failures > 0:
		row.Words = counted(s.Failures, "failure", "failures") + " just now"
	}
	return row
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func queueFacts(all []outbox.Backlog) []templates.Fact {
	names := map[outbox.Kind]string{outbox.Send: "Mails to send", outbox.Resolve: "Askings to look up"}
	var facts []templates.Fact
	for _, kind := range []outbox.Kind{outbox.Send, outbox.Resolve} {
		f := templates.Fact{Name: names[kind], Value: "none"}
		for _, b := range all {
			if b.Kind != kind {
				continue
			}
			f.Value, f.Since = strconv.Itoa(b.All), b.OldestDue
			if later := b.All - b.Due; later > 0 {
				f.Value += ", " + strconv.Itoa(later) + " under way or put off"
			}
		}
		facts = append(facts, f)
	}
	return facts
}

func canaryCard(c console.Canary) templates.CanaryCard {
	card := templates.CanaryCard{On: c.On, At: c.AskedAt, GoodAt: c.GoodAt, Tone: templates.ToneGood, Words: "The whole way works."}
	if c.Took > 0 {
		card.Took = strconv.FormatFloat(c.Took.Seconds(), 'f', 1, 64) + " seconds from asking to signed out"
	}
	switch {
	case c.AskedAt.IsZero():
		card.Tone, card.Words = templates.ToneQuiet, "The first walk begins soon."
	case c.Problem != "":
		card.Tone, card.Words, card.Problem = templates.ToneBad, "The last walk failed.", c.Problem
	case c.GoodAt.IsZero():
		card.Tone, card.Words = templates.ToneWait, "The first walk is under way."
	}
	return card
}

var returnedWords = map[dsn.Kind]string{
	dsn.Bounce: "Bounced", dsn.Delay: "Delayed", dsn.Complaint: "Reported as spam", dsn.Delivered: "Reported as delivered", dsn.AutoReply: "Automatic answers",
}

func environmentRows(all []console.Environment) []templates.EnvironmentRow {
	var rows []templates.EnvironmentRow
	for _, e := range all {
		users := counted(e.Users, "user", "users")
		if e.Users >= console.ManyUsers {
			users = "over 10,000 users"
		}
		rows = append(rows, templates.EnvironmentRow{Slug: e.Slug, Name: e.Name, Users: users, Asked: e.Asked, Stuck: e.Stuck, SuspendedAt: e.SuspendedAt})
	}
	return rows
}

// submitAlarm ends an alarm that somebody has seen to.
func (d *Door) submitAlarm(v *visit) error {
	err := d.Console.ClearAlarm(v.ctx(), v.actor(), id.Environment(v.form.Get("environment")), alarm.Name(v.form.Get("name")), v.form.Get("about"))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	v.flash(flash{Words: "Taken off the list. It comes back if it happens again."})
	return v.redirect(v.at())
}

func (d *Door) showOperatorEnvironments(v *visit) error {
	return d.operatorEnvironments(v, http.StatusOK, "")
}

func (d *Door) operatorEnvironments(v *visit, status int, confirm string) error {
	all, err := d.Console.Environments(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	page := templates.OperatorEnvironments{Page: v.consolePage("environments"), Environments: environmentRows(all)}
	for i, row := range page.Environments {
		if row.Slug == confirm {
			page.Confirm = &page.Environments[i]
		}
	}
	return v.show(status, templates.OperatorEnvironmentsPage(page))
}

// submitOperatorEnvironments closes and opens an environment; closing is asked twice.
func (d *Door) submitOperatorEnvironments(v *visit) error {
	env, err := d.Settings.BySlug(v.ctx(), v.form.Get("slug"))
	if err != nil {
		return err
	}
	var done string
	switch do := v.form.Get("do"); {
	case do == templates.ConsoleSuspend && v.form.Get("confirm") != "yes":
		return d.operatorEnvironments(v, http.StatusOK, env.Slug)
	case do == templates.ConsoleSuspend:
		err, done = d.Settings.Suspend(v.ctx(), v.actor(), env), " is suspended."
	case do == templates.ConsoleResume:
		err, done = d.Settings.Resume(v.ctx(), v.actor(), env), " is open again."
	default:
		return fault.New(fault.Invalid, "Choose Suspend or Resume.")
	}
	if err != nil {
		return err
	}
	v.flash(flash{Words: env.Name + done})
	return v.redirect(v.at("environments"))
}

// showAllNumbers says how recovery goes in each environment, and in all together.
func (d *Door) showAllNumbers(v *visit) error {
	all, err := d.Console.Environments(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	page := templates.AllNumbers{Numbers: templates.Numbers{Page: v.consolePage("console"), Days: 30, Periods: numbers.Periods, URL: v.at("numbers")}}
	for _, e := range all {
		n, err := d.numbersOf(v, e.Environment)
		if err != nil {
			return err
		}
		n.URL = v.at("numbers", e.Slug)
		page.Days, page.Asked, page.Alone = n.Days, page.Asked+n.Asked, page.Alone+n.Alone
		page.Environments = append(page.Environments, templates.EnvironmentNumbers{Numbers: n, FeedbackURL: v.at("feedback", e.Slug)})
	}
	return v.show(http.StatusOK, templates.AllNumbersPage(page))
}

// clientEnvironment finds the one that the address names. Operators have no
// numbers and no readers of their own.
func (d *Door) clientEnvironment(v *visit) (environment.Environment, error) {
	env, err := d.Settings.BySlug(v.ctx(), v.r.PathValue("slug"))
	if err == nil && env.IsOperators() {
		err = fault.New(fault.NotFound, "The operators’ own environment has no numbers and no feedback. Choose a client’s environment under Numbers.")
	}
	return env, err
}

func (d *Door) showNumbersOf(v *visit) error {
	env, err := d.clientEnvironment(v)
	if err != nil {
		return err
	}
	n, err := d.numbersOf(v, env)
	if err != nil {
		return err
	}
	n.Nav.Current, n.URL, n.BackURL = "console", v.at("numbers", env.Slug), v.at("numbers")
	return v.show(http.StatusOK, templates.NumbersPage(n))
}

func (d *Door) showFeedbackOf(v *visit) error {
	env, err := d.clientEnvironment(v)
	if err != nil {
		return err
	}
	return d.feedbackOf(v, env, templates.HelpReport{
		Page: v.consolePage("console"), Of: env.Name, BackURL: v.at("numbers"), Back: "Numbers",
		CSVURL: v.at("feedback", env.Slug, "csv"), JSONURL: v.at("feedback", env.Slug, "json"),
	})
}

func (d *Door) exportFeedbackOfCSV(v *visit) error { return d.exportFeedbackOf(v, help.CSV) }

func (d *Door) exportFeedbackOfJSON(v *visit) error { return d.exportFeedbackOf(v, help.JSON) }

func (d *Door) exportFeedbackOf(v *visit, f help.Format) error {
	env, err := d.clientEnvironment(v)
	if err != nil {
		return err
	}
	return d.exportFeedback(v, env, f)
}

func (d *Door) showUnknownReplies(v *visit) error {
	all, err := d.Console.UnknownReplies(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	page := templates.UnknownReplies{Page: v.consolePage("unknown-replies")}
	for _, r := range all {
		page.Rows = append(page.Rows, templates.UnknownReplyRow{
			Fingerprint: r.Fingerprint, Reply: r.Reply, Stage: r.Stage, Domain: r.Domain, Seen: r.Seen, FirstAt: r.FirstAt, LastAt: r.LastAt,
		})
	}
	return v.show(http.StatusOK, templates.UnknownRepliesPage(page))
}

func (d *Door) submitUnknownReply(v *visit) error {
	if err := d.Console.ForgetReply(v.ctx(), v.actor(), v.form.Get("reply")); err != nil {
		return err
	}
	v.flash(flash{Words: "Forgotten. It is collected again if it is heard again."})
	return v.redirect(v.at("unknown-replies"))
}

func (d *Door) showMailSetup(v *visit) error {
	if _, err := d.Console.Environments(v.ctx(), v.actor()); err != nil { // who may not see the console may not see this
		return err
	}
	return v.show(http.StatusOK, templates.MailSetupPage(templates.MailSetup{Page: v.consolePage("mail-setup"), From: d.Sender}))
}

// submitMailSetup makes the checks; the page is the answer, so that a reload asks first.
func (d *Door) submitMailSetup(v *visit) error {
	checks, err := d.Doctor.Examine(v.ctx(), v.actor(), doctor.Question{MailOnly: true})
	if err != nil {
		return err
	}
	page := templates.MailSetup{Page: v.consolePage("mail-setup"), From: d.Sender, CheckedAt: d.Clock().Truncate(time.Second)}
	page.Now = d.Clock()
	for _, c := range checks {
		page.Checks = append(page.Checks, checkRow(c))
	}
	return v.show(http.StatusOK, templates.MailSetupPage(page))
}

func checkRow(c doctor.Check) templates.CheckRow {
	row := templates.CheckRow{Title: c.Title, Sentence: c.Sentence, Action: c.Action}
	switch c.State {
	case maildns.OK:
		row.Tone, row.Words = templates.ToneGood, "fine"
	case maildns.Warn:
		row.Tone, row.Words = templates.ToneWait, "look at this"
	case maildns.Fail:
		row.Tone, row.Words = templates.ToneBad, "wrong"
	default:
		row.Tone, row.Words = templates.ToneQuiet, "not checked"
	}
	for _, r := range c.Records {
		row.Records = append(row.Records, r.String())
	}
	return row
}
