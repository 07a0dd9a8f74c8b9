package diagnosis

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// awayUntil reads from an automatic answer of this time until which day its writer
// is away; zero if that is not plain. A wrong day is worse than none: two that
// differ, one of which nobody knows whether day or month comes first, one that
// falls on another day of the week than it says, one that is over or more than a
// year ahead, one of a colleague, and the end of a time that has not begun are all
// left out.
func awayUntil(answer string, at time.Time) time.Time {
	paragraphs := blankLine().ReplaceAllString(unquoted(clip(answer)), " | ") // each ends a sentence
	text := folding.Plain(paragraphs)
	day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	var found time.Time
	for _, m := range untilDate().FindAllStringSubmatchIndex(text, -1) {
		if !saysAway(text, m[0], m[1]) {
			continue
		}
		part := submatches(untilDate(), text, m)
		until, ok := dated(part, day)
		before := text[max(0, m[0]-40):m[0]] + part["word"]
		if !ok || toCome(before, until, day) || !found.IsZero() && !until.Equal(found) {
			return time.Time{}
		}
		found = until
	}
	return found
}

// unquoted leaves out what an answer repeats of the mail it answers, which names
// days of its own.
func unquoted(answer string) string {
	var b strings.Builder
	for line := range strings.Lines(answer) {
		if quoteBegins().MatchString(line) {
			break
		}
		if !strings.HasPrefix(strings.TrimSpace(line), ">") {
			b.WriteString(line)
		}
	}
	return b.String()
}

var blankLine = lazyregexp.New(`\n\s*\n`)

var quoteBegins = lazyregexp.New(`(?i)^\s*(?:-{3,}|_{5,}|(?:from|von|de|da|van|subject|betreff|objet|asunto|oggetto|onderwerp)\s?:)`)

// saysAway tells whether the sentence around a day speaks of its writer being away,
// or the words before the day of the way back.
func saysAway(text string, from, to int) bool {
	before, after := sentenceAround(text, from, to)
	if otherThing().MatchString(before) || another().MatchString(before) || another().MatchString(after) {
		return false
	}
	return back().MatchString(text[from:to]) || awayWords().MatchString(before) || awayWords().MatchString(after)
}

// sentenceAround gives what stands before and after a day in its sentence, as far as
// it is near.
func sentenceAround(text string, from, to int) (before, after string) {
	const near = 120
	before, after = text[max(0, from-near):from], text[to:min(len(text), to+near)]
	if ends := sentenceEnd().FindAllStringIndex(before, -1); len(ends) > 0 {
		before = before[ends[len(ends)-1][1]:]
	}
	if day := strings.TrimRight(text[from:to], " "); strings.ContainsAny(day[len(day)-1:], ".!?;|") && !numbersOnly().MatchString(day) {
		return before, ""
	}
	if end := sentenceEnd().FindStringIndex(after); end != nil {
		after = after[:end[1]]
	}
	return before, after
}

// toCome tells whether what ends on a day begins after another: before are the
// words up to the first.
func toCome(before string, until, answered time.Time) bool {
	if m := sameMonth().FindStringSubmatch(before); m != nil {
		return until.AddDate(0, 0, numeral(m[1])-until.Day()).After(answered)
	}
	for _, m := range anyDate().FindAllStringSubmatchIndex(before+" ", -1) {
		if begin, ok := dated(submatches(anyDate(), before+" ", m), answered); ok && begin.After(answered) && begin.Before(until) {
			return true
		}
	}
	return false
}

// dated makes a day of what was matched; false if it is none to rely on.
func dated(part map[string]string, answered time.Time) (time.Time, bool) {
	year, month, date := numeral(part["y"]), time.Month(numeral(part["m"])), numeral(part["d"])
	switch {
	case part["name"] != "" || part["first"] != "":
		month, date = months[part["name"]+part["first"]], numeral(part["day"]+part["second"])
		year = numeral(part["year"] + part["year2"])
	case part["a"] != "":
		a, b := numeral(part["a"]), numeral(part["b"])
		dotted := part["dot"] == "." && part["dot2"] == "." && !english().MatchString(part["word"])
		switch {
		case part["dot"] != part["dot2"], a <= 12 && b <= 12 && a != b && !dotted:
			return time.Time{}, false
		case b > 12:
			a, b = b, a
		}
		date, month, year = a, time.Month(b), numeral(part["full"])
		if year > 0 && year < 100 {
			year += 2000
		}
	}
	last := answered.AddDate(1, 0, 0)
	if year == 0 { // the next such day; if that is far, the answer is an old one
		last = answered.AddDate(0, 6, 0)
		if year = answered.Year(); time.Date(year, month, date, 0, 0, 0, 0, time.UTC).Before(answered) {
			year++
		}
	}
	t := time.Date(year, month, date, 0, 0, 0, 0, time.UTC)
	weekday, named := weekdays[part["weekday"]]
	return t, t.Month() == month && t.Day() == date && !t.Before(answered) && !t.After(last) && (!named || t.Weekday() == weekday)
}

func numeral(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

func submatches(r *regexp.Regexp, text string, at []int) map[string]string {
	all := map[string]string{}
	for i, name := range r.SubexpNames() {
		if name != "" && at[2*i] >= 0 {
			all[name] = text[at[2*i]:at[2*i+1]]
		}
	}
	return all
}

// Words as fold leaves them: English, German, French, Spanish, Italian, Dutch.
var (
	months = numbered[time.Month](
		1,
		"january/jan february/feb march/mar april/apr may june/jun july/jul august/aug september/sep/sept october/oct november/nov december/dec",
		"januar/janner februar marz/maerz april mai juni juli august september oktober/okt november dezember/dez",
		"janvier/janv fevrier/fevr mars avril/avr mai juin juillet/juil aout septembre octobre novembre decembre", //nolint:misspell // French
		"enero febrero marzo abril mayo junio julio agosto septiembre/setiembre octubre noviembre diciembre",
		"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
		"januari februari maart/mrt april mei juni juli augustus september oktober november december",
	)
	weekdays = numbered[time.Weekday](
		0,
		"sunday/sun monday/mon tuesday/tue wednesday/wed thursday/thu friday/fri saturday/sat",
		"sonntag montag dienstag mittwoch donnerstag freitag samstag/sonnabend",
		"dimanche lundi mardi mercredi jeudi vendredi samedi",
		"domingo lunes martes miercoles jueves viernes sabado",
		"domenica lunedi martedi mercoledi giovedi venerdi sabato",
		"zondag maandag dinsdag woensdag donderdag vrijdag zaterdag",
	)

	someDate = `(?:(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)` +
		`|(?P<day>\d{1,2})(?:st|nd|rd|th|er|o|\.)? ?(?:(?:of|de) )?(?P<name>` + either(months) + `)\b\.?,?(?: (?:del? )?(?P<year>\d{4}))?` +
		`|(?P<first>` + either(months) + `)\.? (?P<second>\d{1,2})(?:st|nd|rd|th)?(?:,? (?P<year2>\d{4}))?` +
		`|(?P<a>\d{1,2})(?P<dot>[./-])(?P<b>\d{1,2})(?P<dot2>[./-])(?P<full>\d{4}|\d\d)?)(?:[^\w/-]|$)`

	awayWords = lazyregexp.New(`\b(?:away|out of (?:the |my )?office|ooo|vacation|holidays?|(?:on|annual|parental|maternity|paternity|sick|of) leave|absen(?:te?|ce)|not in the office|unavailable|travel(?:l?ing)?|` +
		`abwesen(?:d|heit)|nicht (?:im (?:buro|haus|dienst)|erreichbar|anwesend)|urlaub|elternzeit|conges?|en vacances|fuera de(?: la)? oficina|ausente|vacaciones|assente|in ferie|fuori (?:ufficio|sede)|afwezig|niet (?:aanwezig|op kantoor|bereikbaar)|vakantie|verlof)\b`)
	// otherThing stands before days of other things: our own mail's, for one.
	otherThing = lazyregexp.New(`\b(?:works?|holds?|lasts?|gilt|gelten|valid|open|closed|available|reachable|gultig|geoffnet|erreichbar|valable|ouvert|valido|abierto|aperto|geldig) $`)
	// another is somebody else than the writer.
	another = lazyregexp.New(`^(?:he|she|they|er|sie|il|elle|ella|lui|lei|hij|zij)(?:'s)? |\b(?:colleagues?|co-?workers?|deputy|substitute|assistant|kolleg(?:e|en|in|innen)|vertret(?:er|erin|ung)|stellvertret\w*|remplacante?s?|companer[oa]s?|colegas?|sustitut[oa]|suplente|collega|colleg(?:ues?|hi|he)|sostitut[oa]|collega's|vervang(?:er|ster))\b`)
	// sentenceEnd is none behind the number of a day: "13. marz".
	sentenceEnd = lazyregexp.New(`(?:^|[^\d ]|\d{3})\.+ |[!?;|]`)
	numbersOnly = lazyregexp.New(`\d\.\d{1,2}\.$`)
	english     = lazyregexp.New(`^(?:until|till?|through|thru|up to|from|between|back|return)`)
	back        = lazyregexp.New(`^(?:back|return(?:ing)?|de retour|de vuelta|di ritorno|terug)\b`)
	// sameMonth is the first day of a time within a month: "from 1 to".
	sameMonth = lazyregexp.New(`\b(?:from|between|du|del|dal|vom|van) (?:(?:the|le|el|il) )?(\d{1,2})(?:st|nd|rd|th|er|o|\.)? ?(?:to|and|au|al|-|bis|until|till?|through|t/m|tot(?: en met)?)$`)
	untilDate = lazyregexp.New(`\b(?P<word>until|till?|through|thru|up to|(?:from|between|du|del|dal) [\w .,/-]{1,30}? ?(?:\b(?:to|and|au|al)|-)|back(?: (?:in|at) (?:the |my )?(?:office|work|desk))? on|return(?:ing)?(?: to (?:the |my )?(?:office|work))? on|` +
		`bis|(?:wieder|zuruck) (?:ab|am)|jusqu'(?:au|a)|de retour le|hasta|de vuelta el|fino al?|di ritorno il|tot(?: en met)?|t/m|terug op)` +
		` (?:(?:and including|including|einschliesslich|inkl\.?|inklusive|the|zum|den|dem|le|el|dia|il|giorno|op) )*(?:(?P<weekday>` + either(weekdays) + `),? (?:(?:the|den|dem|le|el|il) )?)?` +
		someDate)
	anyDate = lazyregexp.New(`\b` + someDate)
)

// numbered gives the words of each list their place in it, counted from first;
// those with a stroke between them share one.
func numbered[T ~int](first T, lists ...string) map[string]T {
	all := map[string]T{}
	for _, list := range lists {
		for i, same := range strings.Fields(list) {
			for word := range strings.SplitSeq(same, "/") {
				all[word] = first + T(i)
			}
		}
	}
	return all
}

// either matches any of the words, the longest that fits.
func either[T any](words map[string]T) string {
	longest := func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) }
	return strings.Join(slices.SortedFunc(maps.Keys(words), longest), "|")
}
