package secret

import (
	"crypto/rand"
	"strings"
)

// CaseLength is the number of characters of a case number.
const CaseLength = 6

// NewCaseNumber makes a random case number, with at least one digit so that it
// is no word. It says which request is meant, not who is calling, and grants nothing.
func NewCaseNumber() string {
	for {
		var raw [CaseLength]byte
		_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
		for i, b := range raw {
			raw[i] = alphabet[b%32]
		}
		if number := string(raw[:]); strings.ContainsAny(number, "0123456789") {
			return number
		}
	}
}

// ReadCaseNumber reads a case number as somebody says or types it: any case,
// with o for 0 and i or l for 1, spaces and hyphens between. "" if it is none.
func ReadCaseNumber(typed string) string {
	text := strings.ToUpper(typed)
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "CASE"))
	text = strings.NewReplacer(" ", "", "-", "", "#", "", "O", "0", "I", "1", "L", "1").Replace(text)
	if len(text) != CaseLength || !strings.ContainsAny(text, "0123456789") || strings.Trim(text, alphabet) != "" {
		return ""
	}
	return text
}
