package dsn

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// readPlain reads a mail without any part for machines: a report in plain words,
// or an automatic answer. A report is believed only from a mail system, for a
// person's program may say anything; everything that is a mere answer is one.
func (m letter) readPlain(r *Returned) bool {
	said := fold(r.Text)
	subject := fold(r.Subject)
	switch {
	case m.isReport(r, subject, said):
		r.Kind = Bounce
		action := Failed
		if (delaySubject.in(subject) || delayWords.in(said)) && !finalWords.in(said) {
			r.Kind, action = Delay, Delayed
		}
		r.Recipients = m.spoken(r, action)
		return true
	case m.isAnswer(r, subject, said):
		r.Kind = AutoReply
		who := first(addresses(r.From))
		if systemName(who) { // it answers for somebody
			who = cmp.Or(first(m.named(r)), who)
		}
		r.Recipients = []Recipient{{Address: who, Action: Done, Text: r.Text}}
		return true
	}
	return false
}

// isReport tells a report in plain words.
func (m letter) isReport(r *Returned, subject, said string) bool {
	if m.header.has("X-Failed-Recipients") && m.fromSystem(r) {
		return true
	}
	if reportSubject.in(subject) && oneVoice.in(said) && !m.markedAnswer(r, subject) {
		return true
	}
	if r.ReturnPath != "" && r.ReturnPath != "<>" && !systemName(r.ReturnPath) && !m.isNotice() {
		return false // reports come from nobody (RFC 5321 section 4.5.5)
	}
	if m.markedAnswer(r, subject) {
		return false
	}
	if m.onlyPage() && r.ReturnPath != "<>" {
		return false
	}
	speaks := reportSubject.in(subject) || delaySubject.in(subject)
	if m.fromSystem(r) {
		return speaks || reportWords.in(said) || delayWords.in(said) || smtpRefusal().MatchString(r.Text)
	}
	// An author with another name must show every sign of a report and none of an answer.
	return r.ReturnPath == "<>" && speaks && (reportWords.in(said) || smtpRefusal().MatchString(r.Text)) &&
		!answerWords.in(said) && r.AutoSubmitted == "" && !m.header.has("X-Auto-Response-Suppress") && !m.header.has("Precedence") && !m.header.has("In-Reply-To")
}

// isNotice: a mail system of the old days names its postmaster as the sender of
// the envelope.
func (m letter) isNotice() bool {
	return systemName(first(addresses(m.header.get("Return-Path"))))
}

// smtpRefusal is an answer of a mail server within a text.
var smtpRefusal = lazyregexp.New(`(?m)(?:^|[\s:>("\[])(?:#?[45]\.[0-9]\.[0-9]{1,3}\b|[45][0-57][0-9][ -](?:[45]\.[0-9]\.[0-9]|[^\s\d]))`)

// fromSystem tells whether the author is a mail system by its name.
func (m letter) fromSystem(r *Returned) bool {
	from := strings.TrimSpace(r.From)
	if strings.Trim(from, "<> ") == "" || m.header.has("X-MLServer") || strings.Contains(m.header.get("Message-ID"), ".FML") {
		return true
	}
	name := from
	for _, a := range addresses(m.header.get("From")) {
		if systemName(a) {
			return true
		}
		name = strings.ReplaceAll(name, a, "")
	}
	return systemNames.in(fold(name)) || systemName(from)
}

var systemLocal = lazyregexp.New(`^(?i:mailer[-_. ]?daemon|poo?st[-_.]?master|mail[-_.]?daemon|daemon|mdaemon|mmdf|uucp|bounces?|mail[-_.]?delivery|mail\.delivery\.system|mailerdaemon|mail-?system|delivery[-_.]?(?:failure|status|notification)s?|ndr|listmaster|mailmaster|maildelivery|mailer)(?:[@+].*)?$`)

func systemName(address string) bool {
	return systemLocal().MatchString(strings.Trim(address, "<>\" "))
}

// onlyPage: the mail is a web page and nothing else.
func (m letter) onlyPage() bool {
	page := false
	for _, p := range m.parts {
		if p.role == prose {
			if p.kind.kind != "text/html" {
				return false
			}
			page = true
		}
	}
	return page
}

// markedAnswer: the header says that a program answered for a person. Reports
// carry Auto-Submitted too, so that alone is none of the marks.
func (m letter) markedAnswer(r *Returned, subject string) bool {
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-Mail-Autoreply", "X-Autoreply-From", "X-Vacation", "X-Facebook-Notify", "X-Zendesk-Priority", "X-Jira-Fingerprint", "X-RT-Ticket", "X-OTRS-Loop"} {
		if m.header.has(name) {
			return true
		}
	}
	if strings.Contains(strings.ToLower(m.header.get("Precedence")), "auto") {
		return true
	}
	agent := strings.ToLower(m.header.get("X-Delivery-Agent") + m.header.get("X-Mailer") + m.header.get("User-Agent"))
	return strings.Contains(agent, "tmda") || strings.Contains(agent, "vacation") || strings.Contains(agent, "autorespon") || strings.Contains(agent, "sieve") ||
		answerSubject.in(subject) && !(reportSubject.in(subject) && m.fromSystem(r))
}

// isAnswer tells an automatic answer, marked or not. A person who answers shows
// neither mark nor word of a program, and no report is made of it.
func (m letter) isAnswer(r *Returned, subject, said string) bool {
	if m.markedAnswer(r, subject) {
		return true
	}
	if m.fromSystem(r) && !answerWords.in(said) {
		return false // a system we do not understand
	}
	if r.AutoSubmitted != "" && r.AutoSubmitted != "no" || m.header.has("X-Auto-Response-Suppress") {
		return true
	}
	answers := replySubject().MatchString(subject)
	switch firstWord(m.header.get("Precedence")) {
	case "bulk", "junk", "list":
		if r.ReturnPath == "<>" || m.header.has("In-Reply-To") || answers {
			return true
		}
	}
	return r.ReturnPath == "<>" || answerWords.in(said) || m.header.has("In-Reply-To") && !answers
}

var replySubject = lazyregexp.New(`^(?:re|aw|sv|vs|antw|odp|rv|ref|rif|r|回复|答复|返信)\s*[:：]`)

// spoken gives the recipients that a report in plain words speaks of.
func (m letter) spoken(r *Returned, action string) []Recipient {
	named := m.named(r)
	if len(named) == 0 {
		named = []string{""} // only the return path can tell
	}
	if len(named) > maxRecipients {
		named, r.MoreRecipients = named[:maxRecipients], true
	}
	for _, a := range named {
		r.Recipients = append(r.Recipients, Recipient{Address: a, Action: action})
	}
	m.share(r)
	return r.Recipients
}

var (
	// introduced is a line that begins with an address, as lists of failed
	// recipients do: "<a@b>:", "  a@b", "* a@b: reason", "a@b on Mon, 4 May".
	introduced = lazyregexp.New(`^(?:[45][0-9]{2} (?:[45]\.[0-9.]+ )?)?[\s*•·–-]*(?:-- )?["'(\[]?<?(?:mailto:)?([^\s<>"'(),;:\[\]{}|]{1,100}@[\pL\pN](?:[\pL\pN.-]{0,250}[\pL\pN])?)>?["')\]]?(?:\.\.\.|[:,;.]?)(?:\s|$|<)`)
	// replyGoesOn is a line of an answer, which names whom it likes: "550-a@b is not local".
	replyGoesOn = lazyregexp.New(`^\s*[45][0-9]{2}-`)
	// announced is a line that speaks of one: "Recipient: a@b", "Your message to a@b".
	announced = lazyregexp.New(`(?i)(?:recipients?|rcpt to|address|destinat\w+|empfänger|user|mailbox|account|an|to|for|à|para|per|attempts?|адрес\w*)[:\s"'<(\[]{1,4}(?:mailto:)?([^\s<>"'(),;:\[\]{}|]{1,100}@[\pL\pN](?:[\pL\pN.-]{0,250}[\pL\pN])?)`)
	// notThese are lines whose address is somebody else's.
	notThese = lazyregexp.New(`(?i)^\W*(?:from|sender|mail from|message-id|references|contact|please|for (?:help|assistance|further)|reply-to|cc|envelope-from|by|von|de|x-)\b|mail from:|postmaster|message-id`)
)

// named finds the addresses a report in plain words is about.
func (m letter) named(r *Returned) []string {
	mine := func(a string) bool {
		return slices.ContainsFunc(r.To, func(t string) bool { return strings.EqualFold(t, a) }) || strings.EqualFold(a, r.Original.ReturnPath)
	}
	lists := [3]addressList{} // the surer ones first
	for line := range strings.Lines(r.Text) {
		if len(lists[0].all) > maxRecipients {
			break
		}
		line = line[:min(len(line), 1000)]
		if !strings.Contains(line, "@") || replyGoesOn().MatchString(line) {
			continue
		}
		if found := introduced().FindStringSubmatch(line); found != nil && !mine(found[1]) {
			lists[0].add(found[1])
			continue
		}
		if notThese().MatchString(line) {
			continue
		}
		for _, found := range announced().FindAllStringSubmatch(line, 5) {
			if !mine(found[1]) {
				lists[1].add(found[1])
			}
		}
		for _, a := range mailboxes(line) {
			if !mine(a) && !systemName(a) {
				lists[2].add(a)
			}
		}
	}
	failed := addresses(m.header.get("X-Failed-Recipients"))
	switch {
	case len(lists[0].all) > 0:
		return lists[0].all
	case len(failed) > 0:
		return failed
	case len(lists[1].all) > 0:
		return lists[1].all[:1]
	case len(r.Original.To) > 0:
		return r.Original.To[:1]
	case len(lists[2].all) > 0:
		return lists[2].all[:1]
	}
	return nil
}

// addressList keeps each address once, in the order they came.
type addressList struct {
	all  []string
	seen map[string]bool
}

func (l *addressList) add(a string) {
	a = strings.TrimRight(a, ".")
	key := strings.ToLower(a)
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	if !l.seen[key] {
		l.seen[key] = true
		l.all = append(l.all, a)
	}
}
