package password

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxContext      = 32  // entries; the rest is not looked at
	maxContextEntry = 320 // bytes, the longest e-mail address
	minTerm         = 3   // code points; shorter parts of names are in many words
	maxAffix        = 10  // digits and marks around a name that count as decoration: a date
)

// contextWords are names and addresses in the form in which they are compared.
type contextWords struct{ terms []string }

func newContext(entries []string) contextWords {
	var words contextWords
	for _, part := range contextParts(entries) {
		term := bare(part, false)
		if utf8.RuneCountInString(term) >= minTerm && !slices.Contains(words.terms, term) {
			words.terms = append(words.terms, term)
		}
	}
	return words
}

// contextParts gives each entry in its parts, the words of a name or the labels of
// an address, and as a whole without separators, in lower case.
func contextParts(entries []string) []string {
	var all []string
	for _, entry := range entries[:min(len(entries), maxContext)] {
		if len(entry) > maxContextEntry {
			continue
		}
		parts := strings.FieldsFunc(strings.ToLower(entry), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
		})
		all = append(append(all, parts...), strings.Join(parts, ""))
	}
	return all
}

// matches tells whether the text is made of the terms and nothing else, one or
// several, in any case and order, also backwards, with separators or without,
// with digits for letters ("j4ne"), accents left out, or up to maxAffix digits
// and marks around it ("Jane Doe 1985").
func (w contextWords) matches(text string) bool {
	for _, form := range []string{text, undecorated(text)} {
		for _, marks := range []bool{false, true} {
			candidate := bare(form, marks)
			back := []rune(candidate)
			slices.Reverse(back)
			if w.compose(candidate) || w.compose(string(back)) {
				return true
			}
		}
	}
	return false
}

// compose tells whether the text can be cut into terms.
func (w contextWords) compose(text string) bool {
	reached := make([]bool, len(text)+1)
	reached[0] = true
	for at := range text {
		if !reached[at] {
			continue
		}
		for _, term := range w.terms {
			if strings.HasPrefix(text[at:], term) {
				reached[at+len(term)] = true
			}
		}
	}
	return text != "" && reached[len(text)]
}

// undecorated takes the digits and marks off both ends, unless they are many.
func undecorated(text string) string {
	core := strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
	if utf8.RuneCountInString(text)-utf8.RuneCountInString(core) > maxAffix {
		return text
	}
	return core
}

// bare gives letters alone: lower case, accents and separators left out, digits as
// the letters that they stand for, and if marks is set, marks, too.
func bare(text string, marks bool) string {
	return strings.Map(func(r rune) rune {
		if letter, found := lookAlike[r]; found && (marks || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return letter
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(text)))
}

// lookAlike maps both sides of a comparison, so that l, i and 1 are one.
var lookAlike = map[rune]rune{
	'0': 'o', '1': 'i', 'l': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '8': 'b', '9': 'g',
	'!': 'i', '|': 'i', '@': 'a', '$': 's', '€': 'e', '+': 't',
}
