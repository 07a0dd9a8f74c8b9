package diagnosis

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func known(c Class) bool { return c.Valid() }

// Reply reads one answer: words that name a cause first, then codes, then the step
// it came in. What it does not know it calls Unknown.
func Reply(h Heard) Finding {
	text := clip(h.Text)
	in := heard{stage: h.Stage, code: h.Code, enhanced: h.Enhanced, own: h.OwnRelay, first: h.First}
	if event, ok := readEvent(text); ok {
		text, in.event = event.words, " "+strings.Join(event.facts, " ")+" "
		in.code, in.enhanced = firstOf(in.code, event.code), firstOf(in.enhanced, event.status)
	}
	if code, enhanced := codesIn(text); in.code == 0 && in.enhanced == "" {
		in.code, in.enhanced = code, enhanced
	} else if in.enhanced == "" && (in.code == code || code == 0) {
		in.enhanced = enhanced
	}
	in.prose = normal(text)
	f := Finding{Class: judge(in), Code: in.code, Enhanced: in.enhanced, Reply: showable(h.Text)}
	f.Hard = isHard(f.Class, in, h.Final)
	switch f.Class {
	case MailboxMoved:
		f.MovedTo = movedTo(text)
	case RefusedReputation:
		f.List = listIn(in.prose)
	}
	f.ComeBack = comeBack(in.words)
	return f
}

func firstOf[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

var (
	codeStart  = regexp.MustCompile(`(?m)^\s*(?:smtp;\s*)?([2-5]\d\d)(?:[-\s#]|$)`)
	codeInside = regexp.MustCompile(`(?:said|reply|response|error|answered|with)[^\n]{0,60}?[:\s]([45]\d\d)[-\s]`)
	// RFC 3463: class, subject, detail.
	enhancedIn = regexp.MustCompile(`(?:^|[\s(#<\[:;"-])([245]\.\d{1,3}\.\d{1,3})(?:[\s).,;:\]>"-]|$)`)
)

// codesIn finds the reply code and the enhanced status in a text.
func codesIn(text string) (int, string) {
	code, enhanced := 0, ""
	found := codeStart.FindStringSubmatch(text)
	if found == nil {
		found = codeInside.FindStringSubmatch(text)
	}
	if found != nil {
		code, _ = strconv.Atoi(found[1]) // three digits
	}
	if m := enhancedIn.FindStringSubmatch(text); m != nil && !isIP(m[1]) {
		enhanced = m[1]
	}
	return code, enhanced
}

// isHard tells whether writing to the address again can never work. A status
// that puts off is soft, unless the sender stopped trying for another reason.
func isHard(c Class, h heard, final bool) bool {
	switch c {
	case MailboxMoved, DomainTakesNoMail, Suppressed:
		return h.digit() != '4'
	case NoSuchMailbox, NoSuchDomain:
		return h.digit() == '5' || h.digit() == 0 && (final || h.event != "")
	case MailboxDisabled:
		return h.digit() != '4' && !strings.Contains(h.words, "temporar")
	}
	return false
}

var (
	realAddress = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
	afterMoved  = regexp.MustCompile(`(?i)(?:moved|try|use|changed|new|neue|nueva|nouvelle|nuovo|novo|bitte|verwenden|forward)[^@]*$`)
)

// movedTo gives the last address that stands behind words of moving.
func movedTo(text string) string {
	to := ""
	for _, at := range realAddress.FindAllStringIndex(text, 20) {
		if afterMoved.MatchString(text[:at[0]]) {
			to = strings.TrimRight(text[at[0]:at[1]], ".")
		}
	}
	return to
}

// lists are block lists by a part of how they are named, with their names.
var lists = [][2]string{
	{"spamhaus", "Spamhaus"}, {"spamcop", "SpamCop"}, {"barracuda", "Barracuda"}, {"sorbs", "SORBS"}, {"uceprotect", "UCEPROTECT"},
	{"invaluement", "invaluement"}, {"abuseat", "CBL"}, {"senderscore", "Sender Score"}, {"senderbase", "Cisco Talos"}, {"talos", "Cisco Talos"},
	{"uribl", "URIBL"}, {"surbl", "SURBL"}, {"mailspike", "Mailspike"}, {"psbl", "PSBL"}, {"0spam", "0spam"}, {"manitu", "NiX Spam"},
	{"s3140", "Microsoft"}, {"s3150", "Microsoft"}, {"proofpoint", "Proofpoint"}, {"cloudmark", "Cloudmark"}, {"mimecast", "Mimecast"},
}

var listDomain = regexp.MustCompile(`(?:using|by|at|on|in|from) ([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})`)

func listIn(p prose) string {
	for _, l := range lists {
		if strings.Contains(p.words, l[0]) || strings.Contains(p.links, l[0]) {
			return l[1]
		}
	}
	if m := listDomain.FindStringSubmatch(p.words); m != nil && strings.Contains(p.words, "bl") {
		return m[1]
	}
	return ""
}

var (
	waitSeconds = regexp.MustCompile(`(?:in|for|after|within|wait|dans|retry-after:?) (?:another )?(\d{1,6}) ?(?:s|sec|secs|seconds?|secondes?|sekunden|segundos)\b`)
	waitMinutes = regexp.MustCompile(`(?:in|for|after|within|wait|dans) (?:another )?(\d{1,4}) ?(?:m|min|mins|minutes?|minuten|minutos)\b`)
	waitClock   = regexp.MustCompile(`(?:in|for|after) (\d{1,2}):(\d{2}):(\d{2})`)
)

// comeBack is how long a server asks to wait, 0 if it does not say.
func comeBack(words string) time.Duration {
	if m := waitClock.FindStringSubmatch(words); m != nil {
		return number(m[1])*time.Hour + number(m[2])*time.Minute + number(m[3])*time.Second
	}
	if m := waitSeconds.FindStringSubmatch(words); m != nil {
		return number(m[1]) * time.Second
	}
	if m := waitMinutes.FindStringSubmatch(words); m != nil {
		return number(m[1]) * time.Minute
	}
	return 0
}

func number(digits string) time.Duration {
	n, _ := strconv.Atoi(digits) // a few digits
	return time.Duration(n)
}

// event is a provider's webhook taken apart: single words are facts, sentences
// are words.
type event struct {
	facts  []string
	words  string
	code   int
	status string
}

// readEvent reads the JSON of a provider's event.
func readEvent(text string) (event, bool) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return event{}, false
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return event{}, false
	}
	var e event
	e.walk("", v, 0)
	return e, true
}

// depth bounds how deep an event is read.
const depth = 12

func (e *event) walk(key string, v any, level int) {
	if level > depth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		_, detailed := v["Details"]
		hard := v["Type"] == "HardBounce"
		for _, k := range sortedKeys(v) {
			// Postmark's Description explains the type by examples of causes.
			if k == "Description" && (detailed || !hard) || k == "Name" && v["RecordType"] != nil {
				continue
			}
			e.walk(k, v[k], level+1)
		}
	case []any:
		for _, item := range v {
			e.walk(key, item, level+1)
		}
	case float64:
		if strings.EqualFold(key, "code") && v >= 200 && v < 700 {
			e.code = int(v)
		}
	case string:
		e.text(key, v)
	}
}

func (e *event) text(key, v string) {
	switch {
	case strings.Contains(v, "@") && !strings.Contains(v, " "):
		return // an address is no cause
	case strings.EqualFold(key, "status") && enhancedIn.MatchString(v):
		e.status = v
	case !strings.ContainsAny(v, " ") && len(v) < 40:
		e.facts = append(e.facts, fold(v))
	default:
		e.words += v + "\n"
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
