package diagnosis

import (
	"cmp"
	_ "embed" // the rules
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

//go:embed rules.tsv
var rulesText string

// rules are tried in their order; the first that fits gives the class. They are
// read when the first answer is judged.
var rules = sync.OnceValue(func() []rule { return mustRules(rulesText) })

// A rule is one line of rules.tsv.
type rule struct {
	class  Class
	where  []condition
	words  anyOf
	unless anyOf
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
	hosts    string // the server that spoke and the domain it spoke of, each with a dot on both sides
	event    string // the facts of a provider's event, "" for plain text
}

func (r rule) fits(h heard) bool {
	for _, c := range r.where {
		if !c(h) {
			return false
		}
	}
	return (len(r.words) == 0 || r.words.in(h)) && !r.unless.in(h)
}

// judge gives the first rule's class.
func judge(h heard) Class {
	for _, r := range rules() {
		if r.fits(h) {
			return h.soFar(r.class)
		}
	}
	return Unknown
}

// soFar: who speaks of our sender's mailbox says nothing about the recipient's, and
// nobody can have read what was not sent yet. Who speaks of spam before the
// mail was sent means whoever sends it, and who does not know a name before the
// recipient was named means one of ours.
func (h heard) soFar(c Class) Class {
	step := slices.Index([]string{"connect", "hello", "tls", "auth", "mail", "rcpt"}, h.stage)
	switch c {
	case RefusedContent:
		if step >= 0 {
			return RefusedReputation
		}
	case NoSuchMailbox, MailboxDisabled, MailboxMoved, MailboxFull, NoSuchDomain, DomainTakesNoMail:
		switch {
		case h.digit() == 0: // no server said it
		case aboutSender(h):
			return SenderRefused
		case c == MailboxFull || c == DomainTakesNoMail:
		case h.stage == "mail":
			return SenderRefused
		case step >= 0 && h.stage != "rcpt":
			return RefusedAuthentication
		}
	}
	return c
}

// aboutSender tells whether an answer judges the sender's address; one that only asks
// to tell the sender, or where the sender may read more, does not.
func aboutSender(h heard) bool {
	h.words = senderMayRead().ReplaceAllString(h.words, " ")
	return senderWords.in(h) && !recipientWords.in(h)
}

var senderMayRead = lazyregexp.New(`\b(?:sender's|sender|sending|originating|originator) (?:address|mailbox|account|domain) ?[:,;-]? ?(?:please |kindly )?(?:see|read|visit|consult|refer to|go to)\b`)

var (
	senderWords = anyOf(phrases("{invalid,bad,illegal,malformed,forged,unknown,nonexistent,non-existent,unverified,unroutable,unrouteable,undeliverable} {envelope ,mail ,}{sender,return path,return-path,return address,reverse path,reverse-path,from address} | " +
		"{sender,sender address,sender @,sender <@>,envelope from,from address,from: address,mail from address,mail from @,mail from:<@>,mail from: <@>,return path,return-path,return address,return address @,reverse path,reverse-path,originator}{ ,: }" +
		"{is ,was ,has ,does ,a ,an ,}{unknown,user,not known,not found,not exist,not valid,no such,no mailbox,invalid,nonexistent,non-existent,undeliverable,unverified,disabled,mailbox,account} | " +
		"{sender's,sender,sending,originating,originator} {address,mailbox,account,domain} | " +
		"{sender,return path,return-path,reverse path} {verif~,callout,callback,could not be,cannot be,can't be} | " +
		"{verify,verifying,verification of,validate,mailbox of,account of,address of} {the ,your ,}{sender,return path,return-path,from address} | " +
		"your {sender,return path,return-path,return address,envelope} .. {unknown,not,invalid,no such} | " +
		"absenderadresse | absender {unbekannt,ungultig,existiert} | {unbekannter,ungultiger} absender | {expediteur,emetteur} {est ,}{inconnu,invalide,inexistant,n'existe} | remitente {desconocido,invalido,inexistente,no existe} | mittente {sconosciuto,inesistente,non valido,non esiste} | onbekende afzender"))
	recipientWords = anyOf(phrases("verify failed recipient unknown | sender {address ,account ,domain ,}{is ,}{ok,okay,fine,valid,accepted}"))
)

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

// where reads one condition: 4xx, 5xx, own, first, event, bare, at=…, who=…, code=…,
// enh=…. Alternatives stand between slashes, "*" ends a beginning, at=- is a step that
// nobody tells.
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
		return func(h heard) bool { return slices.Contains(values, cmp.Or(h.stage, "-")) }
	case "who": // a part of the name of the server or of the recipient's domain
		return func(h heard) bool {
			return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(h.hosts, "."+v+".") })
		}
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

// A phrase is wordings that must all stand in the text, in any order.
type phrase []wording

// A wording is pieces that follow each other with a gap between.
type wording struct {
	pieces []piece
	from   func(heard) string // the text it is looked for in
}

// A piece is places with choices of what stands there.
type piece [][]choice

// A choice begins and ends where a word does, unless it is open there; within a
// piece that is not asked.
type choice struct {
	text               string
	openStart, openEnd bool
}

// maxGap is how far the pieces of a wording may be apart, in bytes.
const maxGap = 60

func theWords(h heard) string { return h.words }
func theLinks(h heard) string { return h.links }
func theEvent(h heard) string { return h.event }

// phrases reads the alternatives of a cell; rules.tsv tells their grammar.
func phrases(cell string) []phrase {
	var all []phrase
	for alternative := range strings.SplitSeq(cell, " | ") {
		if alternative = strings.TrimSpace(alternative); alternative == "" || alternative == "-" {
			continue
		}
		var p phrase
		for part := range strings.SplitSeq(alternative, " + ") {
			p = append(p, newWording(strings.TrimSpace(part)))
		}
		all = append(all, p)
	}
	return all
}

func newWording(s string) wording {
	if rest, ok := strings.CutPrefix(s, "link:"); ok {
		return wording{from: theLinks, pieces: []piece{newPiece("~" + rest + "~")}}
	}
	if rest, ok := strings.CutPrefix(s, "event:"); ok {
		return wording{from: theEvent, pieces: []piece{newPiece(rest)}}
	}
	w := wording{from: theWords}
	for part := range strings.SplitSeq(s, " .. ") {
		w.pieces = append(w.pieces, newPiece(part))
	}
	return w
}

// newPiece reads "a {b,c} d".
func newPiece(s string) piece {
	var p piece
	s, openStart := strings.CutPrefix(s, "~")
	s, openEnd := strings.CutSuffix(s, "~")
	for rest := s; rest != ""; {
		before, braced, found := strings.Cut(rest, "{")
		if before != "" {
			p = append(p, []choice{{text: folding.Letters(before)}})
		}
		if !found {
			break
		}
		list, after, _ := strings.Cut(braced, "}")
		var place []choice
		for one := range strings.SplitSeq(list, ",") {
			var c choice
			one, c.openStart = strings.CutPrefix(one, "~")
			one, c.openEnd = strings.CutSuffix(one, "~")
			c.text = folding.Letters(one)
			place = append(place, c)
		}
		p = append(p, place)
		rest = after
	}
	p.check(s)
	for i := range p[0] {
		p[0][i].openStart = p[0][i].openStart || openStart
	}
	for i := range p[len(p)-1] {
		p[len(p)-1][i].openEnd = p[len(p)-1][i].openEnd || openEnd
	}
	return p
}

// check finds slips of the pen: a piece that could begin anywhere, and open words
// within a piece.
func (p piece) check(s string) {
	for i, place := range p {
		for _, c := range place {
			if c.text == "" && i == 0 || strings.ContainsAny(c.text, "~{}|") || c.openEnd && i < len(p)-1 || c.openStart && i > 0 {
				panic("no piece of a wording: " + s)
			}
		}
	}
	if len(p) == 0 {
		panic("an empty piece")
	}
}

func (p phrase) in(h heard) bool {
	for _, w := range p {
		if !follow(w.pieces, w.from(h), 0, -1) {
			return false
		}
	}
	return true
}

// follow tells whether the pieces stand in the text, the first of them beginning
// in text[from:until]; until -1 is its end.
func follow(pieces []piece, text string, from, until int) bool {
	if len(pieces) == 0 {
		return true
	}
	for _, first := range pieces[0][0] {
		window := text[from:]
		if until >= 0 {
			window = text[from:min(len(text), until+len(first.text))]
		}
		for at := 0; ; at++ {
			next := strings.Index(window[at:], first.text)
			if next < 0 {
				break
			}
			at += next
			start := from + at
			if (first.openStart || edge(text, start)) && rest(pieces[0][1:], pieces[1:], text, start+len(first.text), first.openEnd) {
				return true
			}
		}
	}
	return false
}

// rest matches the further places of a piece, and then the pieces after it.
func rest(places piece, after []piece, text string, end int, open bool) bool {
	if len(places) == 0 {
		return (open || edge(text, end)) && follow(after, text, end, end+maxGap)
	}
	for _, c := range places[0] {
		want := c.text
		if text[end-1] == ' ' { // a choice left out leaves its space
			want = strings.TrimPrefix(want, " ")
		}
		if strings.HasPrefix(text[end:], want) && rest(places[1:], after, text, end+len(want), c.openEnd) {
			return true
		}
	}
	return false
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
