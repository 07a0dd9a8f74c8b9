package diagnosis

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

func known(c Class) bool { return c.Valid() }

// Reply reads one answer: words that name a cause first, then codes, then the step
// it came in. What it does not know it calls Unknown.
func Reply(h Heard) Finding {
	text := clip(h.Text)
	in := heard{stage: h.Stage, code: h.Code, enhanced: h.Enhanced, own: h.OwnRelay, first: h.First}
	if event, ok := readEvent(text); ok {
		text, in.event = event.words, " "+strings.Join(event.facts, " ")+" "
		in.code, in.enhanced = cmp.Or(in.code, event.code), cmp.Or(in.enhanced, event.status)
	}
	if code, enhanced := codesIn(text); in.code == 0 && in.enhanced == "" {
		in.code, in.enhanced = code, enhanced
	} else if in.enhanced == "" && (in.code == code || code == 0) {
		in.enhanced = enhanced
	}
	in.prose = normal(text)
	in.hosts = strings.ToLower("." + h.Server + ". ." + cmp.Or(h.Domain, domainOf(realAddress().FindString(text))) + ".")
	f := Finding{Class: judge(in.asked(text)), Code: in.code, Enhanced: in.enhanced, Reply: showable(h.Text)}
	f.Hard = isHard(f.Class, in)
	switch f.Class {
	case MailboxMoved:
		f.MovedTo = movedTo(text)
	case RefusedReputation:
		f.List = listIn(in.prose)
	}
	f.ComeBack = comeBack(in.words)
	return f
}

// asked gives what a server was told when it asked another about the recipient: that
// is the reason, and what stands before it is only how Postfix words the asking.
func (h heard) asked(text string) heard {
	m := toldAnother().FindStringSubmatch(text)
	if m == nil || m[1] != "" {
		return h
	}
	code, enhanced := codesIn(m[2])
	h.code, h.enhanced, h.prose = cmp.Or(code, h.code), enhanced, normal(m[2])
	return h
}

var toldAnother = lazyregexp.New(`(?is)(sender address rejected: )?(?:undeliverable|unverified) address: *(\S.*)`)

var (
	codeStart  = lazyregexp.New(`(?m)^\s*(?:smtp;\s*)?([2-5]\d\d)(?:[-\s#]|$)`)
	codeInside = lazyregexp.New(`(?:said|reply|response|error|answered|with)[^\n]{0,60}?[:\s]([45]\d\d)[-\s]`)
	// RFC 3463: class, subject, detail.
	enhancedIn = lazyregexp.New(`(?:^|[\s(#<\[:;"-])([245]\.\d{1,3}\.\d{1,3})\.?(?:[\s),;:\]>"-]|$)`)
)

// codesIn finds the reply code and the enhanced status in a text.
func codesIn(text string) (int, string) {
	code, enhanced := 0, ""
	found := codeStart().FindStringSubmatch(text)
	if found == nil {
		found = codeInside().FindStringSubmatch(text)
	}
	if found != nil {
		code, _ = strconv.Atoi(found[1]) // three digits
	}
	if m := enhancedIn().FindStringSubmatch(text); m != nil && !isIP(m[1]) {
		enhanced = m[1]
	}
	return code, enhanced
}

// isHard tells whether writing to the address again can never work: the nature of
// the class, but for an answer that only puts off.
func isHard(c Class, h heard) bool {
	switch c {
	case MailboxMoved, DomainTakesNoMail, Suppressed:
		return h.digit() != '4' || h.event != ""
	case NoSuchDomain:
		// One answer of one resolver may be a slip: the second of our own decides.
		return h.digit() != '4' && !(h.digit() == 0 && h.first)
	case NoSuchMailbox, MailboxDisabled:
		return h.digit() != '4' && !passing.in(h)
	}
	return false
}

// passing words make the refusal of an address a soft one.
var passing = anyOf(phrases("~temporar~ | vorubergehend | voruebergehend | temporaire~ | временно | 暂时 | 暫時 | 一時"))

type anyOf []phrase

func (a anyOf) in(h heard) bool {
	return slices.ContainsFunc(a, func(p phrase) bool { return p.in(h) })
}

var (
	realAddress = lazyregexp.New(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
	afterMoved  = lazyregexp.New(`(?i)(?:moved|try|use|changed|new|neue|nueva|nouvelle|nuovo|novo|bitte|verwenden|forward)[^@]*$`)
)

// movedTo gives the last address that stands behind words of moving.
func movedTo(text string) string {
	to := ""
	for _, at := range realAddress().FindAllStringIndex(text, 20) {
		if afterMoved().MatchString(text[:at[0]]) {
			to = strings.TrimRight(text[at[0]:at[1]], ".")
		}
	}
	return to
}

// lists are block lists by a part of how they are named, with their names.
var lists = [][2]string{
	{"spamhaus", "Spamhaus"},
	{"spamcop", "SpamCop"},
	{"barracuda", "Barracuda"},
	{"sorbs", "SORBS"},
	{"uceprotect", "UCEPROTECT"},
	{"invaluement", "invaluement"},
	{"abuseat", "CBL"},
	{"senderscore", "Sender Score"},
	{"senderbase", "Cisco Talos"},
	{"talos", "Cisco Talos"},
	{"uribl", "URIBL"},
	{"surbl", "SURBL"},
	{"mailspike", "Mailspike"},
	{"psbl", "PSBL"},
	{"0spam", "0spam"},
	{"manitu", "NiX Spam"},
	{"s3140", "Microsoft"},
	{"s3150", "Microsoft"},
	{"proofpoint", "Proofpoint"},
	{"cloudmark", "Cloudmark"},
	{"mimecast", "Mimecast"},
}

var listDomain = lazyregexp.New(`(?:using|by|at|on|in|from) ([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})`)

func listIn(p prose) string {
	for _, l := range lists {
		if strings.Contains(p.words, l[0]) || strings.Contains(p.links, l[0]) {
			return l[1]
		}
	}
	if m := listDomain().FindStringSubmatch(p.words); m != nil && strings.Contains(p.words, "bl") {
		return m[1]
	}
	return ""
}

var (
	waitClock = lazyregexp.New(`(?:in|for|after|dans|nach) (\d{1,2}):(\d{2}):(\d{2})`)
	// A number with a unit, after a word that asks to wait, in any of the languages
	// in which servers do; where no spaces part words, the number stands alone.
	waitUnits = lazyregexp.New(`(?:\b(?:in|for|after|within|wait|another|retry-after:?|dans|apres|nach|warten|en|dentro de|despues de|tra|fra|dopo|em|apos|over|na|om|za|po|sonra)|через|后|後|在|过)\s?(\d{1,6}) ?(` +
		`s|secs?|seconds?|secondes?|secondi|segundos?|sekunden?|sekund\w*|seconden|секунд\pL*|秒钟?|` +
		`m|mins?|minutes?|minuten?|minuti|minutos?|minut\w*|minuter|минут\pL*|分钟?|分鐘|` +
		`h|hrs?|hours?|heures?|stunden?|horas?|ore|ora|uur|timer?|час\pL*|小时|小時|時間)(?:[^\pL]|$|[\p{Han}\p{Hiragana}])`)
)

// longestNamed bounds a wait that a server names: a mail that comes later helps
// nobody.
const longestNamed = day

// comeBack is how long a server asks to wait, 0 if it does not say.
func comeBack(words string) time.Duration {
	if m := waitClock().FindStringSubmatch(words); m != nil {
		return min(number(m[1], time.Hour)+number(m[2], time.Minute)+number(m[3], time.Second), longestNamed)
	}
	m := waitUnits().FindStringSubmatch(words)
	if m == nil {
		return 0
	}
	return min(number(m[1], unit(m[2])), longestNamed)
}

// unit tells what a folded word for a span of time stands for.
func unit(word string) time.Duration {
	switch first, _ := utf8.DecodeRuneInString(word); {
	case strings.HasPrefix(word, "st"), first == 'h', first == 'u', first == 'o', strings.HasPrefix(word, "t"), first == 'ч', first == '小', first == '時':
		return time.Hour
	case first == 'm', first == 'м', first == '分':
		return time.Minute
	default:
		return time.Second
	}
}

func number(digits string, of time.Duration) time.Duration {
	n, _ := strconv.Atoi(digits) // a few digits
	return time.Duration(n) * of
}
