// Package folding makes texts alike that people, or mail systems, write in more than
// one way: names that are searched and sorted, sentences that rules look for words in.
// It has nothing to do with whose an address is: see address.
package folding

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold is how names and addresses are compared in a search: compatibility
// forms, case, the shape of apostrophes, quotation marks and hyphens, what is
// invisible, and runs of white space make no difference.
func Fold(text string) string { return oneSpace(small(text)) }

func small(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r): // invisible
			return -1
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToLower(norm.NFKC.String(shapes.Replace(strings.ToValidUTF8(text, " ")))))
}

func oneSpace(text string) string { return strings.Join(strings.Fields(text), " ") }

// shapes are replaced first: the compatibility form of an acute accent is a space
// and a mark.
var shapes = strings.NewReplacer("’", "'", "‘", "'", "ʼ", "'", "´", "'", "`", "'", "′", "'",
	"“", `"`, "”", `"`, "„", `"`, "‐", "-", "‑", "-", "–", "-", "—", "-")

// Findable is what a search looks through for a text: the text folded and, where
// that differs, once more in each way people type it who do not have its letters:
// "müller" is "muller" to some and "mueller" to others.
func Findable(text string) string {
	folded := Fold(text)
	ways := []string{folded, Plain(folded), Plain(twoLetters.Replace(folded))}
	return strings.Join(slices.Compact(ways), " ")
}

// twoLetters are how German and the Nordic languages write these without the letter.
var twoLetters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ø", "oe", "å", "aa")

// Plain is Fold with the plain letters in place of those with marks.
func Plain(text string) string { return oneSpace(Letters(text)) }

// Letters is Plain with every white space left as one space where it stands: what is
// looked for within sentences may begin or end with it.
func Letters(text string) string {
	return noMark.Replace(norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(small(text)))))
}

// SortKey makes one order of names on every engine: collations differ about
// letters, but not about hexadecimal digits.
func SortKey(name string) string {
	plain := Plain(name)
	return hex.EncodeToString([]byte(plain[:min(len(plain), 24)]))
}

// noMark are letters that are no plain letter with a mark.
var noMark = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "æ", "ae", "œ", "oe", "ı", "i")
