package diagnosis

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// Diagnosed is what a returned mail means for one of its recipients.
type Diagnosed struct {
	// Address is as the report names it, which a forward may have changed; "" if it
	// names none. Whose mail it is, the return path says.
	Address string
	Kind    dsn.Kind  // for this recipient
	Server  string    // who refused, or who reports, as a name; "" if nobody says
	At      time.Time // when the mail says that it was written; zero if it does not
	Finding
	// Reason is the class of the last answer behind Delayed and GaveUp, else "".
	Reason Class
}

// Returned says what a returned mail means, for each recipient by itself: nothing
// that is said of one decides for another. It gives none for a mail that says
// nothing about a delivery. It believes the mail; whether to, the caller knows.
func Returned(r dsn.Returned) []Diagnosed {
	var all []Diagnosed
	for _, rc := range r.Recipients {
		d := Diagnosed{Address: rc.Address, Kind: r.Kind, Server: rc.RemoteMTA, At: r.Date}
		if d.Server == "" {
			d.Server = r.Reporter
		}
		d.judge(r, rc)
		all = append(all, d)
	}
	return all
}

// judge gives the class: by what the mail is, by what was done, and only then by
// what was said.
func (d *Diagnosed) judge(r dsn.Returned, rc dsn.Recipient) {
	switch r.Kind {
	case dsn.None:
		d.Finding = Finding{Class: Unknown}
		return
	case dsn.AutoReply:
		d.Finding = Finding{Class: AutoReply, Reply: showable(r.Text)}
		return
	case dsn.Complaint:
		d.Finding = Finding{Class: Complaint, Reply: showable(r.Text)}
		return
	}
	if r.FeedbackType != "" { // about a check that failed, not by a person
		d.Finding = Finding{Class: RefusedAuthentication, Reply: showable(rc.Diagnostic)}
		return
	}
	switch rc.Action {
	case dsn.Done, dsn.Relayed, dsn.Expanded:
		d.Kind = dsn.Delivered
		d.Finding = Finding{Class: Delivered, Enhanced: rc.Status, Reply: showable(rc.Diagnostic)}
	case dsn.Delayed:
		d.Kind = dsn.Delay
		d.Finding = cause(rc)
		d.Reason, d.Class, d.Hard = d.Class, Delayed, false
	default:
		d.Kind = dsn.Bounce
		d.Finding = cause(rc)
		d.Hard = d.Hard && (d.Code/100 == 5 || !strings.HasPrefix(rc.Status, "4"))
		d.giveUp(rc)
	}
	if d.Reason == Unknown || d.Reason == d.Class {
		d.Reason = ""
	}
}

// giveUp: "failed" after nothing but temporary trouble means that the next server
// stopped trying (RFC 3464 section 2.3.3). What was refused for a reason was
// refused, whatever the number says.
func (d *Diagnosed) giveUp(rc dsn.Recipient) {
	if d.Class == GaveUp {
		d.lookInside(rc)
		return
	}
	temporary := strings.HasPrefix(rc.Status, "4") || d.Code/100 == 4 || strings.HasPrefix(d.Enhanced, "4") ||
		rc.Status == "" && d.Code == 0 && d.Class == Unreachable
	switch d.Class {
	case Unreachable, ReceiverTrouble, Delayed:
	case Unknown:
		if !strings.HasPrefix(rc.Status, "4.4") {
			return
		}
	default:
		return
	}
	if temporary {
		d.Reason, d.Class, d.Hard = d.Class, GaveUp, false
	}
}

// lookInside finds why it was tried until the end: "mailbox is full: retry timeout
// exceeded" says more than that it ended. A reason that would not pass by itself
// is the class; one that might have is kept beside it.
func (d *Diagnosed) lookInside(rc dsn.Recipient) {
	inner := inWords(endOfTime().ReplaceAllString(d.Reply, " "), Heard{Server: rc.RemoteMTA, Domain: domainOf(rc.Address)})
	switch inner.Class.Family() {
	case FamilyAddress, FamilyMailbox, FamilySender, FamilyContent, FamilyOurs:
		d.Class, d.Hard = inner.Class, false
	case FamilyTemporary:
		d.Reason = inner.Class
	}
}

// endOfTime is how mail systems say that they stopped trying.
var endOfTime = lazyregexp.New(`(?i)(?:retry time(?:out)? (?:exceeded|not reached for any host[^\n]*)|(?:message|envelope|delivery time) expired[^<\n]*|[^\n<]*in (?:the )?queue too long|could not be delivered for[^\n]*)`)

// cause reads the evidence about one recipient, the best first: the words of the
// server that answered, the answer as the text for people quotes it, the codes,
// and at last the text itself. A code that says nothing of its own comes after it.
func cause(rc dsn.Recipient) Finding {
	heard := answers(rc)
	for _, h := range heard {
		if f := Reply(h); f.Class != Unknown && inWords(h.Text, h).Class != Unknown {
			f.Enhanced = cmp.Or(f.Enhanced, rc.Status)
			return f
		}
	}
	said, found := fromText(rc)
	coded := byCode(rc, heard)
	switch {
	case rc.DiagnosticType == "x-sieve": // only the person's own rules write so
		return Finding{Class: RefusedByRecipient, Reply: showable(rc.Diagnostic)}
	case coded.Class == Unknown && !found && rc.DiagnosticType == "x-unix": // their program failed
		coded.Class, coded.Reply = ReceiverTrouble, showable(rc.Text)
		return coded
	case coded.Class != Unknown && (!found || telling(coded.Enhanced)):
		return coded
	case found:
		said.Code, said.Enhanced = coded.Code, coded.Enhanced
		return said
	case coded.Reply == "":
		coded.Reply = showable(rc.Text)
	}
	return coded
}

// answers gives what servers answered, as the report and its text tell.
func answers(rc dsn.Recipient) []Heard {
	var all []Heard
	stage := stageOf(rc.Diagnostic + "\n" + rc.Text)
	quoted := quotedAnswer(rc.Text)
	diagnostic := strings.TrimSpace(saidBy().ReplaceAllString(rc.Diagnostic, ""))
	if rc.DiagnosticType == "x-unix" {
		diagnostic = exitWords(diagnostic)
	}
	// Some reports keep the first line of an answer only; the text has all of it.
	if replyCode().MatchString(diagnostic) && strings.HasPrefix(oneLine(quoted), oneLine(diagnostic)) {
		diagnostic = quoted
	}
	for i, text := range []string{diagnostic, quoted} {
		if text == "" || i == 1 && strings.HasPrefix(diagnostic, text) {
			continue
		}
		h := Heard{Stage: stage, Text: text, Server: rc.RemoteMTA, Domain: domainOf(rc.Address)}
		if code := replyCode().FindStringSubmatch(text); code != nil {
			h.Code, _ = strconv.Atoi(code[1])
		}
		h.Enhanced = dsn.Enhanced(text)
		all = append(all, h)
	}
	return all
}

// inWords reads a text as if it had no codes.
func inWords(text string, h Heard) Finding {
	bare := enhancedInText().ReplaceAllString(replyCode().ReplaceAllString(text, ""), "")
	return Reply(Heard{Text: bare, Stage: h.Stage, Server: h.Server, Domain: h.Domain})
}

// byCode judges by the numbers alone, or shows what was said without them.
func byCode(rc dsn.Recipient, heard []Heard) Finding {
	h := Heard{Enhanced: rc.Status, Server: rc.RemoteMTA, Domain: domainOf(rc.Address)}
	if len(heard) > 0 {
		h = heard[0]
		if rc.Status != "5.0.0" && rc.Status != "4.0.0" {
			h.Enhanced = cmp.Or(h.Enhanced, rc.Status)
		}
	}
	f := Reply(h)
	if f.Class == Unknown && rc.Status != h.Enhanced {
		h.Enhanced = rc.Status
		if other := Reply(h); other.Class != Unknown {
			return other
		}
	}
	return f
}

// fromText reads the words for people, a paragraph at a time, those that name the
// recipient and what stands just before them first: the one that names a cause is
// the reply that is shown.
func fromText(rc dsn.Recipient) (Finding, bool) {
	if strings.Contains(rc.Text, "groups.google.com/") { // in seventy languages
		return Finding{Class: RefusedByRecipient, Reply: showable(rc.Text)}, true
	}
	h := Heard{Server: rc.RemoteMTA, Domain: domainOf(rc.Address)}
	for _, paragraph := range nearest(strings.Split(clip(rc.Text), "\n\n"), rc) {
		if f := inWords(causes(paragraph, rc), h); f.Class != Unknown {
			f.Reply = showable(paragraph)
			return f, true
		}
	}
	return Finding{Class: Unknown}, false
}

// nearest sorts paragraphs by where the recipient is named.
func nearest(all []string, rc dsn.Recipient) []string {
	var names, before, rest []string
	for i, paragraph := range all {
		switch {
		case mentions(paragraph, rc):
			names = append(names, paragraph)
		case i+1 < len(all) && mentions(all[i+1], rc):
			before = append(before, paragraph)
		default:
			rest = append(rest, paragraph)
		}
	}
	return slices.Concat(names, before, rest)
}

func mentions(text string, rc dsn.Recipient) bool {
	return rc.Address != "" && strings.Contains(text, rc.Address) || rc.Original != "" && strings.Contains(text, rc.Original)
}

// causes leaves out the lines that name no cause: those that only announce a list
// of recipients, and lists of what one might try.
func causes(paragraph string, rc dsn.Recipient) string {
	var b strings.Builder
	for line := range strings.Lines(paragraph) {
		trimmed := strings.TrimSpace(line)
		advice := strings.HasPrefix(trimmed, "* ") && !mentions(trimmed, rc)
		if !advice && !announces().MatchString(trimmed) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// telling: the code names a cause of its own, not only a field of causes.
func telling(enhanced string) bool {
	return enhanced != "" && !strings.HasSuffix(enhanced, ".0") && enhanced[1:] != ".7.1" && enhanced[1:] != ".1.8"
}

var (
	saidBy         = lazyregexp.New(`(?i)^(?:smtp;\s*)?(?:host \S+|\S+ \[[^\]]*\]) (?:said|refused to talk to me): |\(in reply to [^)]{1,40}\)\s*$`)
	replyCode      = lazyregexp.New(`^\W{0,3}([245][0-9]{2})(?:[ -]|$)`)
	enhancedInText = lazyregexp.New(`\b[45]\.[0-9]{1,3}\.[0-9]{1,3}\b`)
	wrapped        = lazyregexp.New(`\n[ \t]+`)
	announces      = lazyregexp.New(`(?i)(?:following|folgende|suivant|siguiente|seguent)[^:]*:$`)
	// labelled is a line that says by itself that it is the reason.
	labelled   = lazyregexp.New(`(?im)^[ \t]*(?:reason|error|diagnostic|response|grund|ursache|raison|motivo|causa|причина)(?: code| text| message)?[ \t]*:[ \t]*(\S[^\n]*)`)
	transcript = lazyregexp.New(`(?m)^[ \t]*<<<[ \t]*(.+)$`)
	// quotedReply is an answer in the middle of a text: after who said it, in
	// brackets, or at the beginning of a line.
	quotedReply = lazyregexp.New(`(?m)(?:^[ \t]*#?|said:\s+|was:\s+|response:\s+|with:\s+|reason:\s+|: ?|; ?|<|\[|>: |\], |>>> )([45][0-57][0-9](?:[ -][^\n]|-[45]\.)[^\n]*)`)
)

// quotedAnswer finds the answer of a server within a text for people, "" if it
// quotes none: the first of a transcript, or from the first code to the end of its
// paragraph.
func quotedAnswer(text string) string {
	text = clip(text)
	if lines := transcript().FindAllStringSubmatch(text, 20); lines != nil {
		answer := lines[0][1]
		for _, line := range lines[1:] {
			if len(line[1]) < 3 || line[1][:3] != answer[:min(3, len(answer))] {
				break
			}
			answer += "\n" + line[1]
		}
		return strings.TrimSpace(answer)
	}
	at := quotedReply().FindStringSubmatchIndex(text)
	if at == nil {
		if reason := labelled().FindStringSubmatch(text); reason != nil {
			return strings.TrimSpace(reason[1])
		}
		return ""
	}
	answer, _, _ := strings.Cut(text[at[2]:], "\n\n")
	answer, _, _ = strings.Cut(answer, "\nGiving up on ")
	answer = strings.TrimSpace(saidBy().ReplaceAllString(wrapped().ReplaceAllString(answer, " "), ""))
	for _, pair := range []string{"()", "[]"} { // the one that was open before the answer
		if strings.HasSuffix(answer, pair[1:]) && strings.Count(answer, pair[:1]) < strings.Count(answer, pair[1:]) {
			answer = answer[:len(answer)-1]
		}
	}
	return answer
}

// exitWords gives what an exit status of a local delivery says (sysexits.h).
func exitWords(status string) string {
	switch strings.TrimSpace(status) {
	case "67":
		return "user unknown"
	case "68":
		return "host unknown"
	}
	return ""
}

// spokeTo is how mail systems name the command that was answered.
const spokeTo = `(?:in reply to|after(?: pipelined)?|like our|>>>|<<<|refused to accept your message) ?\(?(?:sending )?`

var stageWords = []struct {
	words func() *regexp.Regexp
	stage string
}{
	{lazyregexp.New(`(?i)in reply to end of data|after end of data|end of data command|after I sent the message`), "data"},
	{lazyregexp.New(`(?i)` + spokeTo + `rcpt`), "rcpt"},
	{lazyregexp.New(`(?i)` + spokeTo + `mail from`), "mail"},
	{lazyregexp.New(`(?i)` + spokeTo + `data`), "data"},
	{lazyregexp.New(`(?i)(?:in reply to|after|like our|>>>) ?\(?(?:sending )?(?:ehlo|helo)`), "hello"},
	{lazyregexp.New(`(?i)(?:in reply to|after) ?\(?starttls`), "tls"},
	{lazyregexp.New(`(?i)(?:in reply to|after) ?\(?auth`), "auth"},
	{lazyregexp.New(`(?i)refused to talk to me|initial server greeting|after initial connection|while connected`), "connect"},
	{lazyregexp.New(`(?i)does not like recipient`), "rcpt"},
	{lazyregexp.New(`(?i)but sender was rejected`), "mail"},
	{lazyregexp.New(`(?i)but my name was rejected`), "hello"},
	{lazyregexp.New(`(?i)but greeting failed`), "connect"},
}

// stageOf tells the step in which a server answered, as its client words it.
func stageOf(text string) string {
	text = strings.Join(strings.Fields(clip(text)), " ")
	best, stage := len(text)+1, ""
	for _, s := range stageWords {
		if at := s.words().FindStringIndex(text); at != nil && at[0] < best {
			best, stage = at[0], s.stage
		}
	}
	if stage == "data" && strings.Contains(text, "<<< 503") {
		return "" // the commands went out together; what was refused came before
	}
	return stage
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func domainOf(address string) string {
	return address[strings.LastIndexByte(address, '@')+1:]
}
