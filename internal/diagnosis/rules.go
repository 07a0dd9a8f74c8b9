package diagnosis

import (
	_ "embed" // the rules
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed rules.tsv
var rulesText string

// rules are tried in their order; the first that fits gives the class.
var rules = mustRules(rulesText)

// A rule is one line of rules.tsv.
type rule struct {
	class  Class
	where  []condition
	words  []phrase
	unless []phrase
	line   int
}

// heard is an answer made ready for the rules.
type heard struct {
	prose
	stage    string
	code     int
	enhanced string
	own      bool
	first    bool
	event    string // the facts of a provider's event, "" for plain text
}

func (r rule) fits(h heard) bool {
	for _, c := range r.where {
		if !c(h) {
			return false
		}
	}
	if len(r.words) > 0 && !slices.ContainsFunc(r.words, func(p phrase) bool { return p.in(h) }) {
		return false
	}
	return !slices.ContainsFunc(r.unless, func(p phrase) bool { return p.in(h) })
}

// judge gives the first rule's class.
func judge(h heard) Class {
	for _, r := range rules {
		if r.fits(h) {
			return r.class
		}
	}
	return Unknown
}

type condition func(heard) bool

// mustRules reads the table; it is part of the binary, so a mistake in it is found by
// the first test.
func mustRules(text string) []rule {
	var all []rule
	for n, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) < 3 || len(cells) > 4 {
			panic(fmt.Sprintf("rules.tsv:%d: three or four columns, not %d", n+1, len(cells)))
		}
		r := rule{class: Class(cells[0]), words: phrases(cells[2]), line: n + 1}
		for _, word := range strings.Fields(cells[1]) {
			if word != "-" {
				r.where = append(r.where, where(word, n+1))
			}
		}
		if len(cells) == 4 {
			r.unless = phrases(cells[3])
		}
		if !known(r.class) || len(r.where)+len(r.words) == 0 {
			panic(fmt.Sprintf("rules.tsv:%d: no such class, or no condition", n+1))
		}
		all = append(all, r)
	}
	return all
}

// where reads one condition: 4xx, 5xx, own, first, event, bare, at=…, code=…, enh=….
// Alternatives stand between slashes, "*" ends a beginning.
func where(word string, line int) condition {
	name, list, _ := strings.Cut(word, "=")
	values := strings.Split(list, "/")
	switch name {
	case "2xx", "4xx", "5xx":
		digit := name[0]
		return func(h heard) bool { return h.digit() == digit }
	case "own":
		return func(h heard) bool { return h.own }
	case "notown":
		return func(h heard) bool { return !h.own }
	case "first":
		return func(h heard) bool { return h.first }
	case "event":
		return func(h heard) bool { return h.event != "" }
	case "bare": // neither a code nor an event: an error of a connection
		return func(h heard) bool { return h.event == "" && h.digit() == 0 }
	case "at":
		return func(h heard) bool { return slices.Contains(values, h.stage) }
	case "code":
		return func(h heard) bool { return oneOf(fmt.Sprint(h.code), values) }
	case "enh":
		return func(h heard) bool { return oneOf(h.enhanced, values) }
	}
	panic(fmt.Sprintf("rules.tsv:%d: no such condition %q", line, word))
}

func oneOf(s string, values []string) bool {
	return s != "" && slices.ContainsFunc(values, func(v string) bool {
		if beginning, ok := strings.CutSuffix(v, "*"); ok {
			return strings.HasPrefix(s, beginning)
		}
		return s == v
	})
}

// digit is the first digit of the answer, 0 if it has none.
func (h heard) digit() byte {
	if h.code >= 200 && h.code < 700 {
		return byte('0' + h.code/100)
	}
	if h.enhanced != "" {
		return h.enhanced[0]
	}
	return 0
}

// A phrase is words that must all stand in the text, each of them a row of pieces in
// order with a gap between.
type phrase []wording

type wording struct {
	pieces              []string
	openStart, openEnd  bool // may begin or end within a word
	inLinks, ofTheEvent bool
}

// maxGap is how far the pieces of a wording may be apart, in bytes.
const maxGap = 90

// phrases reads alternatives: "a | b", words in any order "a + b", a gap "a .. b",
// one of some words "{a,b} c", part of a word "~a", "a~", in a web address
// "link:a", a fact of an event "event:a".
func phrases(cell string) []phrase {
	var all []phrase
	for alternative := range strings.SplitSeq(cell, " | ") {
		alternative = strings.TrimSpace(alternative)
		if alternative == "" || alternative == "-" {
			continue
		}
		for _, expanded := range braces(alternative) {
			var p phrase
			for part := range strings.SplitSeq(expanded, " + ") {
				p = append(p, newWording(strings.TrimSpace(part)))
			}
			all = append(all, p)
		}
	}
	return all
}

// braces expands {a,b}; an empty choice leaves the word out.
func braces(s string) []string {
	before, rest, found := strings.Cut(s, "{")
	if !found {
		return []string{strings.TrimSpace(spaces.ReplaceAllString(s, " "))}
	}
	choices, after, _ := strings.Cut(rest, "}")
	var all []string
	for choice := range strings.SplitSeq(choices, ",") {
		all = append(all, braces(before+choice+after)...)
	}
	return all
}

func newWording(s string) wording {
	var w wording
	s, w.inLinks = strings.CutPrefix(s, "link:")
	s, w.ofTheEvent = strings.CutPrefix(s, "event:")
	s, w.openStart = strings.CutPrefix(s, "~")
	s, w.openEnd = strings.CutSuffix(s, "~")
	for piece := range strings.SplitSeq(s, " .. ") {
		w.pieces = append(w.pieces, fold(piece))
	}
	return w
}

func (p phrase) in(h heard) bool {
	for _, w := range p {
		switch {
		case w.inLinks:
			if !strings.Contains(h.links, w.pieces[0]) {
				return false
			}
		case w.ofTheEvent:
			if !strings.Contains(h.event, " "+w.pieces[0]+" ") {
				return false
			}
		case !w.in(h.words):
			return false
		}
	}
	return true
}

func (w wording) in(text string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], w.pieces[0])
		if at < 0 {
			return false
		}
		start := from + at
		if (w.openStart || edge(text, start)) && w.rest(text, start+len(w.pieces[0]), w.pieces[1:]) {
			return true
		}
		from = start + 1
	}
}

// rest tells whether the other pieces follow.
func (w wording) rest(text string, end int, pieces []string) bool {
	if len(pieces) == 0 {
		return w.openEnd || edge(text, end)
	}
	if !edge(text, end) {
		return false
	}
	window := text[end:min(len(text), end+maxGap+len(pieces[0]))]
	for from := 0; ; {
		at := strings.Index(window[from:], pieces[0])
		if at < 0 {
			return false
		}
		start := end + from + at
		if edge(text, start) && w.rest(text, start+len(pieces[0]), pieces[1:]) {
			return true
		}
		from += at + 1
	}
}

// edge tells whether no word goes on over this place of the text.
func edge(text string, at int) bool {
	if at == 0 || at == len(text) {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return !inWord(before) || !inWord(after)
}

// inWord: scripts that put no spaces between words have no edges to keep.
func inWord(r rune) bool {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) || r == 'ー' {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
}
