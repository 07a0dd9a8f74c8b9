package diagnosis

import (
	"slices"
	"time"

	"github.com/sparekey/sparekey/internal/agent"
)

// The earliest moments of claims: before, less is said.
const (
	settling      = time.Minute      // some servers take everything and send it back a minute later
	stuckAfter    = time.Minute      // past due
	slowAfter     = 5 * time.Second  // past due, and with a mail server now
	downAfter     = 2 * time.Minute  // every server
	notOpenedFrom = 10 * time.Minute // after acceptance; where more is known per domain, its 90th percentile
	scannerQuiet  = 2 * time.Minute  // after the last look
	openedFrom    = 5 * time.Minute  // after the opening
	refusedFrom   = 3 * time.Minute  // after one refusal; at once after the second
)

// Judge says the one thing about a story that helps most. The newest evidence of
// the highest kind wins: a password set, a refused form, a person's opening, hard
// refusals, soft ones, waiting, a scanner, acceptance, the queue. A story of
// nothing gives the zero Diagnosis.
func Judge(s Story, now time.Time) Diagnosis {
	j := judgement{story: s, now: now}
	for _, try := range []func() (Class, Facts, bool){
		j.askedTooOften, j.askedElsewhere, j.used, j.formRefused, j.opened, j.suppressed, j.mails,
	} {
		if c, f, ok := try(); ok {
			return j.say(c, f)
		}
	}
	return Diagnosis{}
}

type judgement struct {
	story Story
	now   time.Time
}

// say puts a class into words.
func (j *judgement) say(c Class, f Facts) Diagnosis {
	f.Name, f.Address, f.LinksOff, f.Write = j.story.Name, j.story.Address, j.story.LinksOff, j.story.Write
	if f.New == "" {
		f.New = j.story.Guess
	}
	if c == MailboxMoved {
		f.New = Reply(Heard{Text: f.Reply}).MovedTo
	}
	return Diagnosis{
		Class: c, Family: c.Family(), Since: f.Since, Sentence: Sentence(c, f), Button: Action(c, f), New: f.New, Reply: f.Reply,
	}
}

// asked gives when the newest mail was asked for.
func (j *judgement) asked() time.Time {
	if len(j.story.Mails) == 0 {
		return time.Time{}
	}
	return j.story.Mails[0].QueuedAt
}

// used: unless the person has asked again since.
func (j *judgement) used() (Class, Facts, bool) {
	at := j.story.UsedAt
	if at.IsZero() || j.asked().After(at) {
		return "", Facts{}, false
	}
	return Used, Facts{Since: at, SignedIn: j.story.SignedInAt}, true
}

func (j *judgement) formRefused() (Class, Facts, bool) {
	all := j.story.Refusals
	if len(all) == 0 {
		return "", Facts{}, false
	}
	last := slices.MaxFunc(all, func(a, b Refusal) int { return a.At.Compare(b.At) })
	if len(all) == 1 && j.now.Sub(last.At) < refusedFrom {
		return "", Facts{}, false
	}
	mixed := slices.ContainsFunc(all, func(r Refusal) bool { return r.Reason != last.Reason })
	return FormRefused, Facts{Since: last.At, Count: len(all), Reason: last.Reason, Mixed: mixed}, true
}

// suppressed: an address that gets no mail, unless it has been allowed since.
func (j *judgement) suppressed() (Class, Facts, bool) {
	p := j.story.Suppressed
	if p == nil {
		return "", Facts{}, false
	}
	return p.Class, Facts{Since: p.Since, Reply: p.Reply}, true
}

// askedTooOften: the newest thing that happened is an asking that no mail followed.
func (j *judgement) askedTooOften() (Class, Facts, bool) {
	at := j.story.UnmailedAt
	if e := j.story.AskedElsewhere; at.IsZero() || e != nil && e.At.After(at) || !j.newest(at) {
		return "", Facts{}, false
	}
	return AskedTooOften, Facts{Since: at}, true
}

// askedElsewhere: the newest thing that happened is an asking with another address.
func (j *judgement) askedElsewhere() (Class, Facts, bool) {
	e := j.story.AskedElsewhere
	if e == nil || !j.newest(e.At) {
		return "", Facts{}, false
	}
	return AskedElsewhere, Facts{Since: e.At, Other: e.Address}, true
}

// newest tells whether an asking without a mail is the newest of the story, and the
// mails before it are fine. Anybody may ask: that must not hide what is wrong with a
// mail.
func (j *judgement) newest(at time.Time) bool {
	s := j.story
	if s.Suppressed != nil || j.asked().After(at) || s.UsedAt.After(at) || s.SignedInAt.After(at) {
		return false
	}
	if slices.ContainsFunc(s.Refusals, func(r Refusal) bool { return r.At.After(at) }) {
		return false
	}
	if open, _, ok := j.person(""); ok && open.At.After(at) {
		return false
	}
	mails := *j
	c, _, ok := mails.mails()
	return !ok || c.Family() == FamilyNone
}

// opened: a person has seen the page, so whatever came back since belongs to a
// forward or a copy; but a mail asked for later may have trouble of its own, and an
// address may get no mail any more.
func (j *judgement) opened() (Class, Facts, bool) {
	open, guess, ok := j.person("")
	if !ok || j.now.Sub(open.At) < openedFrom {
		return "", Facts{}, false
	}
	if p := j.story.Suppressed; p != nil && p.Since.After(open.At) {
		return "", Facts{}, false
	}
	for _, m := range j.story.Mails {
		if m.QueuedAt.After(open.At) && j.trouble(m) != nil {
			return "", Facts{}, false
		}
	}
	return Opened, Facts{Since: open.At, Perhaps: guess.Perhaps(), Filter: j.filtered(open.Link)}, true
}

// filtered tells whether a filter surely looked at a link, too.
func (j *judgement) filtered(link string) bool {
	return slices.ContainsFunc(j.story.Opens, func(o Open) bool {
		g := Look(o, j.around(o))
		return o.Link == link && g.By == ByScanner && !g.Perhaps()
	})
}

// person gives the newest opening of a link by a person, of any link if "".
func (j *judgement) person(link string) (Open, Guess, bool) {
	var (
		last  Open
		guess Guess
		found bool
	)
	for _, o := range j.story.Opens {
		if link != "" && o.Link != link {
			continue
		}
		if g := Look(o, j.around(o)); g.By == ByPerson && (!found || o.At.After(last.At)) {
			last, guess, found = o, g, true
		}
	}
	return last, guess, found
}

func (j *judgement) around(o Open) Around {
	a := Around{Now: j.now, FormAt: j.story.UsedAt}
	for _, r := range j.story.Refusals {
		if r.At.After(a.FormAt) {
			a.FormAt = r.At
		}
	}
	for _, m := range j.story.Mails {
		if m.Link == o.Link {
			a.AcceptedAt = m.AcceptedAt
		}
	}
	for _, other := range j.story.Opens {
		if other.Link == o.Link {
			a.Opens = append(a.Opens, other)
		}
	}
	return a
}

// mails judges the mails, newest first: a hard failure stays true until a newer
// mail was taken and did not come back; else the newest speaks.
func (j *judgement) mails() (Class, Facts, bool) {
	var newest *Mail
	for i := range j.story.Mails {
		m := &j.story.Mails[i]
		if m.State == StateNotNeeded {
			continue
		}
		t := j.trouble(*m)
		if t != nil && (t.hard || newest == nil && !j.harderBefore(i)) {
			t.facts.Since = j.since(t.class, t.facts.Since)
			return t.class, t.facts, true
		}
		if newest == nil {
			newest = m
		}
		if t == nil && m.State == StateSent && j.now.Sub(m.AcceptedAt) >= settling {
			break // what was before has passed
		}
	}
	if newest == nil {
		return "", Facts{}, false
	}
	return j.underWay(*newest)
}

// harderBefore tells whether a mail before the one at this place failed for good,
// with none taken in between.
func (j *judgement) harderBefore(place int) bool {
	for _, m := range j.story.Mails[place+1:] {
		t := j.trouble(m)
		if t != nil && t.hard {
			return true
		}
		if t == nil && m.State == StateSent {
			return false
		}
	}
	return false
}

// since gives when a trouble of this class began, in the mails of this story.
func (j *judgement) since(c Class, at time.Time) time.Time {
	for _, m := range j.story.Mails {
		if t := j.trouble(m); t != nil && t.class == c && t.facts.Since.Before(at) {
			at = t.facts.Since
		}
	}
	return at
}

// trouble is how a mail failed.
type trouble struct {
	class Class
	facts Facts
	hard  bool
}

// trouble tells whether a mail came back or was refused for good, and how; nil if
// not. What came after a person opened its link does not count, nor does a soft
// report that a delivery followed.
func (j *judgement) trouble(m Mail) *trouble {
	open, _, seen := j.person(m.Link)
	var worst *Report
	for i, r := range m.Reports {
		if r.Kind != "bounce" && r.Kind != "complaint" || r.Kind == "bounce" && seen && m.Link != "" && r.At.After(open.At) {
			continue
		}
		if !r.Hard && r.Kind == "bounce" && slices.ContainsFunc(m.Reports, func(d Report) bool { return d.Kind == "delivered" && d.At.After(r.At) }) {
			continue
		}
		if worst == nil || r.Hard && !worst.Hard || r.Hard == worst.Hard && r.At.After(worst.At) {
			worst = &m.Reports[i]
		}
	}
	f := Facts{Since: m.LastTryAt, Reply: m.Reply}
	switch {
	case worst != nil:
		f = Facts{Since: worst.At, Reply: worst.Reply}
		if worst.Kind == "bounce" && PassedOn(worst.Recipient, j.story.Address) {
			f.Forward = worst.Recipient
		}
		return &trouble{orUnknown(worst.Class), f, worst.Hard && f.Forward == ""}
	case m.State == StateRefused:
		f.ShortToo = true // it is tried before a mail is refused for good
		return &trouble{orUnknown(m.Class), f, m.Hard}
	case m.State == StateGivenUp && (m.Class == "" || m.Class.Family() == FamilyTemporary):
		f.Since, f.Reason = m.QueuedAt, lastAnswer(m)
		return &trouble{GaveUp, f, false}
	case m.State == StateGivenUp:
		return &trouble{m.Class, f, m.Hard}
	}
	return nil
}

// lastAnswer is what was heard before giving up.
func lastAnswer(m Mail) string {
	if m.Reply == "" {
		return ""
	}
	return "The last answer: “" + short(m.Reply) + "”."
}

func orUnknown(c Class) Class {
	if c == "" {
		return Unknown
	}
	return c
}

// underWay is what can be said of a mail that has not failed.
func (j *judgement) underWay(m Mail) (Class, Facts, bool) {
	f := Facts{Since: m.QueuedAt, Reply: m.Reply, Next: m.NextTryAt}
	pending := m.State == StateQueued || m.State == StateDeferred
	down := j.story.AllDownSince
	switch {
	case pending && j.story.NoServer && m.Class == "": // else one has answered that is set up elsewhere
		return NoMailServer, Facts{Since: m.QueuedAt}, true
	case pending && !down.IsZero() && j.now.Sub(down) >= downAfter:
		return AllServersDown, Facts{Since: down, Reply: m.Reply}, true
	case pending && j.now.Sub(m.DueAt) >= slowAfter && m.UnderWay:
		return Queued, Facts{Since: m.DueAt, UnderWay: true}, true
	case pending && j.now.Sub(m.DueAt) >= stuckAfter:
		return Stuck, Facts{Since: m.QueuedAt}, true
	case m.State == StateDeferred:
		f.MayHave = m.UnknownOutcome
		if m.UnknownOutcome {
			f.Since = m.LastTryAt
			return Unreachable, f, true
		}
		if m.Class == "" || m.Ours && m.Class != OwnSetup {
			f.Ours = m.Ours
			return Deferred, f, true
		}
		if m.Class != Unreachable {
			f.Since = j.sinceWaiting(m)
		}
		return m.Class, f, true
	case m.State == StateQueued:
		return Queued, Facts{Since: m.QueuedAt}, true
	}
	return j.taken(m)
}

// sinceWaiting gives since when mails of this story wait for the same reason.
func (j *judgement) sinceWaiting(m Mail) time.Time {
	since := m.LastTryAt
	if m.Class == MailboxFull {
		for _, other := range j.story.Mails {
			if other.Class == m.Class && !other.LastTryAt.IsZero() && other.LastTryAt.Before(since) {
				since = other.LastTryAt
			}
		}
	}
	return since
}

// taken is what can be said of a mail that a server took.
func (j *judgement) taken(m Mail) (Class, Facts, bool) {
	var notice *Report
	for i, r := range m.Reports {
		if (r.Kind == "delay" || r.Kind == "delivered" || r.Kind == "auto-reply") && (notice == nil || r.At.After(notice.At)) {
			notice = &m.Reports[i]
		}
	}
	if _, _, ok := j.person(m.Link); ok { // seen, but too short a while ago to say more
		return Accepted, Facts{Since: m.AcceptedAt}, true
	}
	if notice != nil && notice.Kind != "delivered" {
		return j.notice(*notice)
	}
	var lastScan Open
	for _, o := range j.story.Opens {
		if o.Link == m.Link && o.At.After(lastScan.At) {
			lastScan = o
		}
	}
	age := j.now.Sub(m.AcceptedAt)
	switch {
	case notice == nil && age < notOpenedFrom || !lastScan.At.IsZero() && j.now.Sub(lastScan.At) < scannerQuiet:
		return Accepted, Facts{Since: m.AcceptedAt}, true
	case !lastScan.At.IsZero():
		return ScannerOnly, Facts{Since: lastScan.At, Vendor: agent.Vendor(lastScan.Agent), Perhaps: true}, true
	case notice != nil:
		return j.notice(*notice)
	default:
		return NotOpened, Facts{Since: m.AcceptedAt}, true
	}
}

// notice is what a report says that is no failure.
func (j *judgement) notice(r Report) (Class, Facts, bool) {
	f := Facts{Since: r.At, Reply: r.Reply}
	switch r.Kind {
	case "delay":
		if r.Class != Delayed && r.Reply != "" {
			f.Reason = "It said: “" + short(r.Reply) + "”."
		}
		return Delayed, f, true
	case "auto-reply":
		return AutoReply, f, true
	default:
		return Delivered, f, true
	}
}
