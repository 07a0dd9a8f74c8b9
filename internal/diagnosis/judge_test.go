package diagnosis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Stories begin at ten; times are minutes after it.
var ten = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return ten.Add(time.Duration(minutes * float64(time.Minute))) }

const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func taken(id string, asked, accepted float64) Mail {
	return Mail{Link: "l" + id, State: StateSent, QueuedAt: at(asked), DueAt: at(asked), LastTryAt: at(accepted), AcceptedAt: at(accepted)}
}

func refused(id string, asked float64, c Class, hard bool) Mail {
	return Mail{Link: "l" + id, State: StateRefused, QueuedAt: at(asked), DueAt: at(asked), LastTryAt: at(asked), Class: c, Hard: hard, Reply: "550 no"}
}

func deferred(id string, asked float64, c Class, next float64) Mail {
	return Mail{Link: "l" + id, State: StateDeferred, QueuedAt: at(asked), DueAt: at(next), NextTryAt: at(next), LastTryAt: at(asked), Class: c, Reply: "450 later"}
}

func queued(id string, asked float64) Mail {
	return Mail{Link: "l" + id, State: StateQueued, QueuedAt: at(asked), DueAt: at(asked)}
}

func underWay(m Mail) Mail { m.UnderWay = true; return m }

func (m Mail) with(reports ...Report) Mail { m.Reports = reports; return m }

func bounce(when float64, c Class, hard bool) Report {
	return Report{At: at(when), Kind: "bounce", Class: c, Hard: hard, Reply: "550 5.1.1 no"}
}

// person opens a link as people do; scanner as filters do.
func person(link string, when float64) Open {
	return Open{Link: link, At: at(when), Method: "GET", Agent: browser, Network: "192.0.2.0/24", Language: true, Known: true, StyledAt: at(when)}
}

func scanner(link string, when float64) Open {
	return Open{Link: link, At: at(when), Method: "GET", Agent: "Go-http-client/1.1", Network: "203.0.113.0/24"}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		story Story
		now   float64
		class Class
		since float64
		says  string
	}{
		"nothing":                      {Story{}, 5, "", 0, ""},
		"just asked":                   {Story{Mails: []Mail{queued("1", 0)}}, 0.1, Queued, 0, "The mail is about to be sent."},
		"nobody takes it":              {Story{Mails: []Mail{queued("1", 0)}}, 1, Stuck, 0, "The mail is still waiting in our own server since 10:00."},
		"not yet stuck":                {Story{Mails: []Mail{queued("1", 0)}}, 0.9, Queued, 0, ""},
		"a slow server has it":         {Story{Mails: []Mail{underWay(queued("1", 0))}}, 4, Queued, 0, "The mail was due at 10:00 and is being handed to a mail server, which takes its time."},
		"it has it again":              {Story{Mails: []Mail{underWay(deferred("1", 0, Greylisted, 5))}}, 6, Queued, 5, ""},
		"it just got it":               {Story{Mails: []Mail{underWay(queued("1", 0))}}, 0.05, Queued, 0, "The mail is about to be sent."},
		"due again and not taken":      {Story{Mails: []Mail{deferred("1", 0, Greylisted, 5)}}, 6.1, Stuck, 0, ""},
		"no server":                    {Story{Mails: []Mail{queued("1", 0)}, NoServer: true}, 0, NoMailServer, 0, "No mail server is set up, so no mail can be sent."},
		"no server here, one answered": {Story{Mails: []Mail{deferred("1", 0, Greylisted, 5)}, NoServer: true}, 1, Greylisted, 0, ""},
		"no server, but it was sent":   {Story{Mails: []Mail{taken("1", 0, 0)}, NoServer: true}, 2, Accepted, 0, ""},
		"all down":                     {Story{Mails: []Mail{queued("1", 1)}, AllDownSince: at(-3)}, 1, AllServersDown, -3, "No mail of ours has left since 09:57; the operator has been told."},
		"all down, too soon to say":    {Story{Mails: []Mail{queued("1", 0)}, AllDownSince: at(-1)}, 0.5, Queued, 0, ""},
		"greylisted": {
			Story{Mails: []Mail{deferred("1", 0, Greylisted, 5)}},
			1, Greylisted, 0,
			"corp.test asked us to come back at 10:05; we will. This is usual for a first mail.",
		},
		"our own relay is gone": {
			Story{Mails: []Mail{func() Mail { m := deferred("1", 0, Unreachable, 5); m.Ours = true; return m }()}},
			1, Deferred, 0,
			"Our own mail server does not take mail at the moment; we try again at 10:05.",
		},
		"our own login fails": {
			Story{Mails: []Mail{func() Mail { m := deferred("1", 0, OwnSetup, 5); m.Ours = true; return m }()}},
			1, OwnSetup, 0,
			"Our mail service is not set up correctly; the operator has been told.",
		},
		"broken off after the data": {
			Story{Mails: []Mail{func() Mail { m := deferred("1", 0, Unreachable, 12); m.UnknownOutcome = true; return m }()}},
			1, Unreachable, 0,
			"The connection broke at 10:00, just when the mail was handed over; it may have arrived: let Kim Doe look first.",
		},
		"no such mailbox":     {Story{Mails: []Mail{refused("1", 0, NoSuchMailbox, true)}, Guess: "kim@corp.example"}, 1, NoSuchMailbox, 0, "corp.test says there is no mailbox kim@corp.test. Did you mean kim@corp.example?"},
		"an answer not known": {Story{Mails: []Mail{refused("1", 0, Unknown, false)}}, 1, Unknown, 0, "The mail server of corp.test answered: “550 no”. We do not know this answer."},
		"given up": {
			Story{Mails: []Mail{func() Mail {
				m := deferred("1", 0, Greylisted, 5)
				m.State = StateGivenUp
				return m
			}()}}, 600, GaveUp, 0, "corp.test could not be reached since 10:00. The last answer: “450 later”.",
		},
		"given up on a full box": {
			Story{Mails: []Mail{func() Mail {
				m := deferred("1", 0, MailboxFull, 5)
				m.State = StateGivenUp
				return m
			}()}}, 600, MailboxFull, 0, "Kim Doe’s mailbox has been full since 10:00. It must be cleared before mail can arrive.",
		},
		"taken, first minute":       {Story{Mails: []Mail{taken("1", 0, 0.1)}}, 0.5, Accepted, 0.1, "The server of corp.test took the mail at 10:00."},
		"taken, nine minutes":       {Story{Mails: []Mail{taken("1", 0, 0)}}, 9, Accepted, 0, ""},
		"taken, ten minutes":        {Story{Mails: []Mail{taken("1", 0, 0)}}, 10, NotOpened, 0, "Their server took it at 10:00; nobody has opened the link. It may be in spam or quarantine."},
		"a mail not needed":         {Story{Mails: []Mail{{State: StateNotNeeded, QueuedAt: at(1)}, taken("1", 0, 0)}}, 10, NotOpened, 0, ""},
		"reported delivered":        {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(1), Kind: "delivered"})}}, 2, Delivered, 1, "The server of corp.test reports delivery at 10:01. It may still be in spam."},
		"delayed on the way":        {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(60), Kind: "delay", Class: Unreachable, Reply: "451 timed out"})}}, 61, Delayed, 60, "The next mail server still tries since 11:00. It said: “451 timed out”."},
		"out of office":             {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(2), Kind: "auto-reply", Reply: "I am away"})}}, 30, AutoReply, 2, "Kim Doe’s mailbox answered by itself at 10:02: the mail arrived."},
		"a challenge":               {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(2), Kind: "auto-reply", Reply: "Please confirm that you are a person"})}}, 30, AutoReply, 2, "Kim Doe’s mailbox answered by itself at 10:02: the mail arrived, and is held until somebody confirms."},
		"held by a filter":          {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(2), Kind: "auto-reply", Reply: "It has been placed on hold and will be looked at"})}}, 30, AutoReply, 2, "Kim Doe’s mailbox answered by itself at 10:02: the mail arrived, and is held until somebody confirms."},
		"taken, then came back":     {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(3, NoSuchMailbox, true))}}, 4, NoSuchMailbox, 3, ""},
		"came back soft":            {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(3, MailboxFull, false))}}, 4, MailboxFull, 3, ""},
		"the hard one of two":       {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(3, NoSuchMailbox, true), bounce(5, MailboxFull, false))}}, 6, NoSuchMailbox, 3, ""},
		"soft, then delivered":      {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(3, ReceiverTrouble, false), Report{At: at(5), Kind: "delivered"})}}, 6, Delivered, 5, ""},
		"reported as spam":          {Story{Mails: []Mail{taken("1", 0, 0).with(Report{At: at(3), Kind: "complaint", Class: Complaint})}}, 4, Complaint, 3, "Our mail to Kim Doe was reported as spam at 10:03; we send no more until you allow it."},
		"only a filter":             {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{scanner("l1", 0.1)}}, 11, ScannerOnly, 0.1, "A security filter of corp.test seems to have opened the link at 10:00; Kim Doe has not. The link still works."},
		"a filter, too soon to say": {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{scanner("l1", 0.1)}}, 9, Accepted, 0, ""},
		"a filter just now":         {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{scanner("l1", 29)}}, 30, Accepted, 0, ""},
		"a person, just now":        {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 11)}}, 12, Accepted, 0, ""},
		"a person":                  {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}}, 8, Opened, 3, "Kim Doe opened the link at 10:03 but has not set a password."},
		"a filter and then a person": {
			Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{scanner("l1", 0), person("l1", 3)}},
			8, Opened, 3,
			"A security filter and then Kim Doe opened the link, last at 10:03; no password has been set.",
		},
		"came back after a person":   {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(5, NoSuchMailbox, true))}, Opens: []Open{person("l1", 3)}}, 9, Opened, 3, ""},
		"and before it was old":      {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(5, NoSuchMailbox, true))}, Opens: []Open{person("l1", 3)}}, 6, Accepted, 0, ""},
		"came back after a filter":   {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(5, NoSuchMailbox, true))}, Opens: []Open{scanner("l1", 0)}}, 9, NoSuchMailbox, 5, ""},
		"refused once, just now":     {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}, Refusals: []Refusal{{at(4), "too short"}}}, 6, Accepted, 0, ""},
		"refused once":               {Story{Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}, Refusals: []Refusal{{at(4), "too short."}}}, 7, FormRefused, 4, "Kim Doe was refused once: too short. Nothing is broken."},
		"refused twice":              {Story{Mails: []Mail{taken("1", 0, 0)}, Refusals: []Refusal{{at(5), "leaked"}, {at(4), "too short"}}}, 5, FormRefused, 5, "Kim Doe was refused twice, the last time: leaked. Nothing is broken."},
		"refused alike":              {Story{Mails: []Mail{taken("1", 0, 0)}, Refusals: []Refusal{{at(5), "It is a name of yours. Please choose another one."}, {at(4), "It is a name of yours. Please choose another one."}}}, 5, FormRefused, 5, "Kim Doe was refused twice: It is a name of theirs. Nothing is broken."},
		"used":                       {Story{Mails: []Mail{taken("1", 0, 0).with(bounce(2, NoSuchMailbox, true))}, Refusals: []Refusal{{at(4), "short"}, {at(5), "short"}}, UsedAt: at(6)}, 7, Used, 6, "Kim Doe set a new password at 10:06."},
		"used and in":                {Story{UsedAt: at(6), SignedInAt: at(6)}, 7, Used, 6, "Kim Doe set a new password at 10:06 and has signed in."},
		"used, and asked again":      {Story{UsedAt: at(6), Mails: []Mail{refused("2", 20, MailboxFull, false)}}, 21, MailboxFull, 20, ""},
		"suppressed":                 {Story{Suppressed: &Suppression{Class: NoSuchMailbox, Since: at(-60)}}, 1, NoSuchMailbox, -60, ""},
		"suppressed there":           {Story{Suppressed: &Suppression{Class: Suppressed, Since: at(-60)}}, 1, Suppressed, -60, "Our mail provider no longer writes to kim@corp.test, because an earlier mail came back."},
		"suppressed, then opened":    {Story{Suppressed: &Suppression{Class: Complaint, Since: at(-60)}, Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}}, 9, Opened, 3, ""},
		"opened, then suppressed":    {Story{Suppressed: &Suppression{Class: Complaint, Since: at(5)}, Mails: []Mail{taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}}, 9, Complaint, 5, ""},
		"asked elsewhere":            {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{taken("1", 0, 0)}}, 31, AskedElsewhere, 30, "Somebody asked for kim@old.test at 10:30. Kim Doe’s address here is kim@corp.test."},
		"elsewhere, after a refusal": {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{refused("1", 0, RefusedContent, false)}}, 31, RefusedContent, 0, ""},
		"elsewhere, while it waits":  {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{deferred("1", 0, MailboxFull, 60)}}, 31, MailboxFull, 0, ""},
		"elsewhere, after a bounce":  {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{taken("1", 0, 0).with(bounce(1, NoSuchMailbox, true))}}, 31, NoSuchMailbox, 1, ""},
		"asked rightly since":        {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(-5)}, Mails: []Mail{taken("1", 0, 0)}}, 11, NotOpened, 0, ""},
		"asked too often":            {Story{UnmailedAt: at(30), Mails: []Mail{taken("1", 0, 0)}}, 31, AskedTooOften, 30, "Kim Doe asked again at 10:30. Five mails within an hour are the most, cancelled ones included, so no further one was sent."},
		"too often, no mail since":   {Story{UnmailedAt: at(30)}, 31, AskedTooOften, 30, ""},
		"too often, after a refusal": {Story{UnmailedAt: at(30), Mails: []Mail{refused("1", 0, RefusedContent, false)}}, 31, RefusedContent, 0, ""},
		"too often, mailed since":    {Story{UnmailedAt: at(-5), Mails: []Mail{taken("1", 0, 0)}}, 11, NotOpened, 0, ""},
		"too often, then elsewhere":  {Story{UnmailedAt: at(20), AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{taken("1", 0, 0)}}, 31, AskedElsewhere, 30, ""},
		"elsewhere, then too often":  {Story{UnmailedAt: at(40), AskedElsewhere: &Elsewhere{"kim@old.test", at(30)}, Mails: []Mail{taken("1", 0, 0)}}, 41, AskedTooOften, 40, ""},
		"in since":                   {Story{AskedElsewhere: &Elsewhere{"kim@old.test", at(-5)}, UsedAt: at(5), SignedInAt: at(6)}, 7, Used, 5, ""},

		// Several mails, newest first.
		"the newer waits, the older came back": {Story{Mails: []Mail{queued("2", 20), refused("1", 0, NoSuchMailbox, true)}}, 20.5, NoSuchMailbox, 0, ""},
		"the newer is put off, the older dead": {Story{Mails: []Mail{deferred("2", 20, Greylisted, 25), refused("1", 0, NoSuchMailbox, true)}}, 21, NoSuchMailbox, 0, ""},
		"the newer soft, the older hard":       {Story{Mails: []Mail{refused("2", 20, RefusedReputation, false), refused("1", 0, NoSuchMailbox, true)}}, 21, NoSuchMailbox, 0, ""},
		"the newer waits, the older soft":      {Story{Mails: []Mail{queued("2", 20), refused("1", 0, RefusedPolicy, false)}}, 20.5, Queued, 20, ""},
		"the newer was taken":                  {Story{Mails: []Mail{taken("2", 20, 20), refused("1", 0, NoSuchMailbox, true)}}, 31, NotOpened, 20, ""},
		"the newer was taken a moment ago":     {Story{Mails: []Mail{taken("2", 20, 20), refused("1", 0, NoSuchMailbox, true)}}, 20.5, NoSuchMailbox, 0, ""},
		"full since the first":                 {Story{Mails: []Mail{refused("2", 20, MailboxFull, false), refused("1", 0, MailboxFull, false)}}, 21, MailboxFull, 0, "Kim Doe’s mailbox has been full since 10:00. It must be cleared before mail can arrive."},
		"opened the first, the second bounced": {Story{Mails: []Mail{refused("2", 20, MailboxFull, false), taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}}, 21, MailboxFull, 20, ""},
		"opened the first, the second taken":   {Story{Mails: []Mail{taken("2", 20, 20), taken("1", 0, 0)}, Opens: []Open{person("l1", 3)}}, 31, Opened, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.story.Name, c.story.Address = "Kim Doe", "kim@corp.test"
			c.story.Write = func(t time.Time) string { return t.Format("15:04") }
			d := Judge(c.story, at(c.now))
			require.Equal(t, c.class, d.Class, d.Sentence)
			if c.class == "" {
				require.Zero(t, d)
				return
			}
			require.Equal(t, at(c.since), d.Since)
			require.Equal(t, c.class.Family(), d.Family)
			wellWritten(t, d.Sentence)
			if c.says != "" {
				require.Equal(t, c.says, d.Sentence)
			}
		})
	}
}

// TestJudgeIsPure: the same story, the same words, and nothing of it is changed.
func TestJudgeIsPure(t *testing.T) {
	s := Story{
		Name: "Kim", Address: "kim@corp.test", Mails: []Mail{taken("2", 20, 20).with(bounce(22, MailboxFull, false)), refused("1", 0, NoSuchMailbox, true)},
		Opens: []Open{scanner("l2", 20), person("l1", 3)},
	}
	first := Judge(s, at(40))
	require.Equal(t, first, Judge(s, at(40)))
	require.Equal(t, "l2", s.Mails[0].Link)
	require.Len(t, s.Opens, 2)
}

func TestLook(t *testing.T) {
	accepted := at(0)
	for name, c := range map[string]struct {
		open   Open
		others []Open
		form   float64
		by     By
		sure   bool
		vendor string
	}{
		"before the server took it":     {open: person("l", -0.01), by: ByScanner, sure: true},
		"long before: of another copy":  {open: person("l", -11), by: ByPerson, sure: true},
		"HEAD":                          {open: Open{At: at(20), Method: "HEAD", Agent: browser, Language: true}, by: ByScanner, sure: true},
		"a library":                     {open: Open{At: at(20), Method: "GET", Agent: "python-requests/2.32", Language: true}, by: ByScanner, sure: true},
		"no name":                       {open: Open{At: at(20), Method: "GET", Language: true}, by: ByScanner, sure: true},
		"a vendor by name":              {open: Open{At: at(20), Method: "GET", Agent: "Mozilla/5.0 (compatible; BarracudaLinkProtect)", Language: true}, by: ByScanner, sure: true, vendor: "Barracuda"},
		"at once":                       {open: Open{At: at(0.05), Method: "GET", Agent: browser, Language: true, StyledAt: at(0.06)}, by: ByScanner, sure: true},
		"at once, by a known browser":   {open: person("l", 0.05), by: ByPerson, sure: true},
		"from two networks in a minute": {open: Open{At: at(20), Method: "GET", Agent: browser, Network: "a", Language: true}, others: []Open{{At: at(20.5), Method: "GET", Agent: browser, Network: "b", Language: true}}, by: ByScanner, sure: true},
		"shown, later":                  {open: Open{At: at(20), Method: "GET", Agent: browser, Language: true, StyledAt: at(20.01)}, by: ByPerson},
		"never shown":                   {open: Open{At: at(20), Method: "GET", Agent: browser, Language: true}, by: ByScanner},
		"names no language":             {open: Open{At: at(29.9), Method: "GET", Agent: browser}, by: ByScanner},
		"back later":                    {open: Open{At: at(28), Method: "GET", Agent: browser, Network: "a", Language: true}, others: []Open{{At: at(20), Method: "GET", Agent: browser, Network: "a", Language: true}}, by: ByPerson},
		"no sign yet":                   {open: Open{At: at(29.9), Method: "GET", Agent: browser, Language: true}, by: ByNobodyKnows},
		"a mail program by name":        {open: Open{At: at(20), Method: "GET", Agent: browser + " OneOutlook/1.0", Language: true, StyledAt: at(20.1)}, by: ByPerson},
		"sent the form":                 {open: Open{At: at(20), Method: "GET", Agent: "curl/8", Network: "a"}, form: 21, by: ByPerson, sure: true},
		"not the last before the form":  {open: Open{At: at(20), Method: "GET", Agent: "curl/8", Network: "a"}, others: []Open{{At: at(20.9), Network: "a", Agent: "curl/8"}}, form: 21, by: ByScanner, sure: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := Around{AcceptedAt: accepted, Opens: append(c.others, c.open), Now: at(30)}
			if c.form != 0 {
				a.FormAt = at(c.form)
			}
			g := Look(c.open, a)
			require.Equal(t, c.by, g.By, g.Sign)
			require.Equal(t, c.vendor, g.Vendor)
			if c.by == ByNobodyKnows {
				require.Zero(t, g.Confidence)
				return
			}
			require.NotEmpty(t, g.Sign)
			require.Equal(t, !c.sure, g.Perhaps(), g.Sign)
			require.LessOrEqual(t, g.Confidence, 1.0)
		})
	}
	require.Equal(t, ByPerson, Look(person("l", 1), Around{Now: at(2)}).By, "of a link that was not mailed")
}
