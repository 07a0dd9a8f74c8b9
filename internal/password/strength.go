package password

import (
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
)

// The words for the strength of a password, as they stand on the page.
const (
	TooShort  = "Too short"
	CannotUse = "Cannot be used"
	EasyGuess = "Easy to guess"
	Fair      = "Fair"
	Good      = "Good"
	Strong    = "Strong"
)

// maxEstimate bounds the estimate, whose time grows with the cube of the length.
const maxEstimate = 72 // code points

// Strength describes a password in a few words, for somebody who is choosing one.
// It is advice; Check decides. Context is that of Policy.
func Strength(plain string, context []string) string {
	normal, err := Normalise(plain)
	switch {
	case plain == "":
		return TooShort
	case err != nil:
		return CannotUse
	case utf8.RuneCountInString(normal) < MinLengthSecond:
		return TooShort
	case Check(normal, Policy{MinLength: MinLengthSecond, Context: context}) != nil:
		return EasyGuess
	}
	start := []rune(normal)
	start = start[:min(len(start), maxEstimate)]
	switch zxcvbn.PasswordStrength(string(start), contextParts(context)).Score {
	case 4:
		return Strong
	case 3:
		return Good
	case 2:
		return Fair
	default:
		return EasyGuess
	}
}
