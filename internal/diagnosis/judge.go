package diagnosis

import (
	"slices"
	"time"
)

// The earliest moments of claims: before, less is said.
const (
	settling      = time.Minute      // some servers take everything and send it back a minute later
	stuckAfter    = time.Minute      // past due
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
		j.used, j.formRefused, j.suppressed, j.askedElsewhere, j.opened, j.mails,
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
	about Mail // the mail it is about
	hard  bool
}

// say puts a class into words.
func (j *judgement) say(c Class, f Facts) Diagnosis {
	f.Name, f.Address, f.LinksOff, f.Write = j.story.Name, j.story.Address, j.story.LinksOff, j.story.Write
	if f.New == "" {
		f.New = j.story.Guess
	}
	switch c {
	case MailboxMoved:
		f.New = Reply(Heard{Text: f.Reply}).MovedTo
	case RefusedReputation:
		f.List = Reply(Heard{Text: f.Reply}).List
	}
	return Diagnosis{
		Class: c, Family: c.Family(), Since: f.Since, Sentence: Sentence(c, f), Button: Action(c, f), Operator: Operator(c, f),
		Perhaps: f.Perhaps, Hard: j.hard, Reply: f.Reply, Mail: j.about.ID,
	}
}

func (j *judgement) used() (Class, Facts, bool) {
	if j.story.UsedAt.IsZero() {
		return "", Facts{}, false
	}
	return Used, Facts{Since: j.story.UsedAt, SignedIn: j.story.SignedInAt}, true
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
	return FormRefused, Facts{Since: last.At, Count: len(all), Reason: last.Reason}, true
}

// suppressed: an address that gets no mail, unless it has been allowed since.
func (j *judgement) suppressed() (Class, Facts, bool) {
	p := j.story.Suppressed
	if p == nil {
		return "", Facts{}, false
	}
	j.hard = true
	return p.Class, Facts{Since: p.Since, Provider: p.Provider, Reply: p.Reply}, true
}

func (j *judgement) askedElsewhere() (Class, Facts, bool) {
	e := j.story.AskedElsewhere
	if e == nil {
		return "", Facts{}, false
	}
	return AskedElsewhere, Facts{Since: e.At, Other: e.Address}, true
}

// opened: a person has seen the page, so whatever came back since belongs to a
// forward or a copy.
func (j *judgement) opened() (Class, Facts, bool) {
	open, guess, ok := j.person()
	if !ok || j.now.Sub(open.At) < openedFrom {
		return "", Facts{}, false
	}
	return Opened, Facts{Since: open.At, Perhaps: guess.Perhaps()}, true
}

// person gives the newest opening by a person.
func (j *judgement) person() (Open, Guess, bool) {
	var (
		last  Open
		guess Guess
		found bool
	)
	for _, o := range j.story.Opens {
		if g := Look(o, j.around(o)); g.By == ByPerson && (!found || o.At.After(last.At)) {
			last, guess, found = o, g, true
		}
	}
	return last, guess, found
}

func (j *judgement) around(o Open) Around {
	a := Around{Now: j.now}
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

// mails judges the mails, newest first: the newest speaks, unless it has nothing
// to say yet and an older one failed for good.
func (j *judgement) mails() (Class, Facts, bool) {
	opened, _, seen := j.person()
	var waiting func() (Class, Facts, bool)
	for _, m := range j.story.Mails {
		if m.State == StateNotNeeded {
			continue
		}
		c, f, hard, bad := trouble(m, opened, seen)
		if bad && (waiting == nil || hard) {
			j.about, j.hard = m, hard
			f.Since = j.since(c, f.Since)
			return c, f, true
		}
		if waiting == nil {
			waiting = func() (Class, Facts, bool) { return j.underWay(m) }
		}
		if m.State == StateSent && j.now.Sub(m.AcceptedAt) >= settling || m.State == StateDeferred {
			break // it has something to say of its own
		}
	}
	if waiting == nil {
		return "", Facts{}, false
	}
	return waiting()
}

// since gives when a trouble of this class began, in the mails of this story.
func (j *judgement) since(c Class, at time.Time) time.Time {
	for _, m := range j.story.Mails {
		if t, f, _, bad := trouble(m, Open{}, false); bad && t == c && f.Since.Before(at) {
			at = f.Since
		}
	}
	return at
}

// trouble tells whether a mail came back or was refused for good, and how. What
// came after a person opened the link does not count.
func trouble(m Mail, opened Open, seen bool) (Class, Facts, bool, bool) {
	var worst *Report
	for i, r := range m.Reports {
		if (r.Kind != "bounce" && r.Kind != "complaint") || seen && r.At.After(opened.At) {
			continue
		}
		if worst == nil || r.Hard && !worst.Hard || r.Hard == worst.Hard && r.At.After(worst.At) {
			worst = &m.Reports[i]
		}
	}
	f := Facts{Since: m.LastTryAt, Host: m.Server, Reply: m.Reply}
	switch {
	case worst != nil:
		return orUnknown(worst.Class), Facts{Since: worst.At, Host: m.Server, Reply: worst.Reply}, worst.Hard, true
	case m.State == StateRefused:
		return orUnknown(m.Class), f, m.Hard, true
	case m.State == StateGivenUp && (m.Class == "" || m.Class.Family() == FamilyTemporary):
		f.Since = m.QueuedAt
		return GaveUp, f, false, true
	case m.State == StateGivenUp:
		return m.Class, f, m.Hard, true
	}
	return "", Facts{}, false, false
}

func orUnknown(c Class) Class {
	if c == "" {
		return Unknown
	}
	return c
}

// underWay is what can be said of a mail that has not failed.
func (j *judgement) underWay(m Mail) (Class, Facts, bool) {
	j.about = m
	f := Facts{Since: m.QueuedAt, Host: m.Server, Reply: m.Reply, Next: m.NextTryAt}
	pending := m.State == StateQueued || m.State == StateDeferred
	down := j.story.AllDownSince
	switch {
	case pending && j.story.NoServer:
		return NoMailServer, Facts{Since: m.QueuedAt}, true
	case pending && !down.IsZero() && j.now.Sub(down) >= downAfter:
		return AllServersDown, Facts{Since: down, Reply: m.Reply}, true
	case pending && j.now.Sub(m.DueAt) >= stuckAfter:
		return Stuck, Facts{Since: m.QueuedAt}, true
	case m.State == StateDeferred:
		f.MayHave = m.UnknownOutcome
		if m.UnknownOutcome {
			f.Since = m.LastTryAt
			return Unreachable, f, true
		}
		if m.Class == "" {
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
	if open, _, ok := j.person(); ok && open.Link == m.Link { // seen, but too short a while ago to say more
		return Accepted, Facts{Since: m.AcceptedAt, Host: m.Server}, true
	}
	if notice != nil {
		c := map[string]Class{"delay": Delayed, "delivered": Delivered, "auto-reply": AutoReply}[notice.Kind]
		f := Facts{Since: notice.At, Host: m.Server, Reply: notice.Reply}
		if c == Delayed && notice.Class != Delayed && notice.Class != "" {
			f.Reason = Sentence(notice.Class, Facts{Name: j.story.Name, Address: j.story.Address})
		}
		return c, f, true
	}
	var lastScan Open
	for _, o := range j.story.Opens {
		if o.Link == m.Link && o.At.After(lastScan.At) {
			lastScan = o
		}
	}
	age := j.now.Sub(m.AcceptedAt)
	switch {
	case age < notOpenedFrom || !lastScan.At.IsZero() && j.now.Sub(lastScan.At) < scannerQuiet:
		return Accepted, Facts{Since: m.AcceptedAt, Host: m.Server}, true
	case !lastScan.At.IsZero():
		return ScannerOnly, Facts{Since: lastScan.At, Vendor: vendor(lastScan.Agent), Perhaps: true}, true
	default:
		return NotOpened, Facts{Since: m.AcceptedAt, Host: m.Server}, true
	}
}
