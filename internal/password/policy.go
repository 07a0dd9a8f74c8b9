package password

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/password/leaked"
)

// The lengths that a policy may ask for, in code points
// (NIST SP 800-63B-4 section 3.1.1.2: 15 for a password alone, 8 beside a second factor).
const (
	MinLengthAlone  = 15
	MinLengthSecond = 8
)

// Policy is what an environment and a user ask of a new password.
type Policy struct {
	MinLength int      // 8 to 15; zero stands for 15, other values for the nearest
	Context   []string // names and addresses of the user, names of environment and product
}

// Check gives nil for a password that may be set, else a fault of the field
// "password" with the one reason: it cannot be used at all (see Normalise), is too
// short or too long, is in the list of leaked passwords, repeats something short or
// listed, is made only of neighbouring keys, letters or numbers, or is a name or
// address of theirs. There are no rules of composition, and the whole password is
// judged, never a part of it.
func Check(plain string, p Policy) error {
	normal, err := Normalise(plain)
	if err != nil {
		return err
	}
	least := p.minLength()
	if utf8.RuneCountInString(normal) < least {
		return refuse("This password is too short: use at least %d characters. Three unrelated words are long enough.", least)
	}
	if leaked.Contains(normal) {
		return refuse("This password is in the list of leaked passwords, which are tried first. Please choose another one.")
	}
	words := newContext(p.Context)
	folded := strings.ToLower(normal)
	known := func(unit string) bool { return leaked.Contains(unit) || words.matches(unit) }
	if repeats([]rune(folded), known) {
		return refuse("This password repeats the same few characters, which is tried early. Please choose another one.")
	}
	if onlyRuns(folded) {
		return refuse("This password is a row of neighbouring keys, letters or numbers, which is tried early. Please choose another one.")
	}
	if words.matches(normal) {
		return refuse("This password is, or nearly is, a name or address of yours or of this place. Please choose something unrelated.")
	}
	return nil
}

func (p Policy) minLength() int {
	if p.MinLength == 0 {
		return MinLengthAlone
	}
	return min(max(p.MinLength, MinLengthSecond), MinLengthAlone)
}

func refuse(format string, args ...any) error {
	return fault.InvalidField("password", fmt.Sprintf(format, args...))
}
