package usermanager

import (
	"strings"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
)

// Guess is the user whom somebody probably meant who typed an address nobody has.
type Guess struct {
	User  id.User
	Name  string
	Email string
	Why   string // "same name, .con instead of .com"
}

// withoutTag leaves out what follows a plus: jane+news is jane.
func withoutTag(local string) string {
	if plain, _, tagged := strings.Cut(local, "+"); tagged && plain != "" {
		return plain
	}
	return local
}

// candidatesOf bounds how many users one piece of an address may bring.
const candidatesOf = 100

// guess finds the user who was probably meant. The actor is nobody's guess: one
// sends no link to oneself.
func guess(tx *db.Tx, actor access.Actor, env id.Environment, key string) (*Guess, error) {
	g, err := nearest(tx, env, key)
	if g != nil && g.User == actor.User {
		return nil, err
	}
	return g, err
}

// nearest finds the user whose address comes nearest to a typed one: reads the
// same, differs in at most two letters, accents apart, has the same name at
// another domain, or was the typed one before.
func nearest(tx *db.Tx, env id.Environment, key string) (*Guess, error) {
	former, err := user.ByFormerAddress(tx, env, key)
	if err == nil && former.State != user.Deactivated {
		return &Guess{User: former.ID, Name: former.Name, Email: former.Email, Why: "their address before it changed"}, nil
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	local, domain, _ := strings.Cut(folding.Plain(key), "@")
	local = withoutTag(local)
	best, bestCost := (*Guess)(nil), tooFar
	seen := map[id.User]bool{}
	for _, words := range searches(local, domain) {
		if bestCost < twoLetters {
			break // nothing that is found later comes much nearer
		}
		users, err := user.List(tx, env, user.Filter{Words: words, Limit: candidatesOf})
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			if seen[u.ID] || u.State == user.Deactivated {
				continue
			}
			seen[u.ID] = true
			if cost, why := compare(key, u.EmailKey); cost < bestCost {
				best, bestCost = &Guess{User: u.ID, Name: u.Name, Email: u.Email, Why: why}, cost
			}
		}
	}
	return best, nil
}

// searches gives what to look for, the likeliest first: the name at any domain,
// its half, third or last letter before the @ and, since two mistakes leave one
// of three pieces whole, its beginnings and each third that is long enough. All
// are short texts without a space, so that the trigram index serves them or, for
// a common one, the walk ends soon; the domain would cost time and tell little in
// a company.
func searches(local, domain string) []string {
	letters := []rune(local)
	n := len(letters)
	start := "@"
	for _, first := range domain {
		start += string(first)
		break
	}
	all := []string{local + "@", string(letters[n/2:]) + start, string(letters[n*2/3:]) + start}
	if n < 6 {
		all = append(all, string(letters[max(n-1, 0):])+start)
	}
	for _, piece := range [][]rune{letters, letters[:(n+1)/2], letters[:(n*2+1)/3]} { // a slip near the end
		if len(piece) >= 3 {
			all = append(all, string(piece))
		}
	}
	for i := range 3 {
		if piece := letters[n*i/3 : n*(i+1)/3]; len(piece) >= 3 {
			all = append(all, string(piece))
		}
	}
	return all
}

// The cost of two wrong letters, and of an address that is no guess.
const (
	twoLetters = 3
	tooFar     = 100
)

// compare tells how far a typed address is from a real one, and why it may be meant.
func compare(typed, real string) (int, string) {
	typed, real = folding.Plain(typed), folding.Plain(real)
	if typed == real { // the keys are not
		return 0, "the same in plain letters"
	}
	typedLocal, typedDomain, _ := strings.Cut(typed, "@")
	realLocal, realDomain, _ := strings.Cut(real, "@")
	if readsTheSame(typed) == readsTheSame(real) {
		return 0, "reads the same"
	}
	if withoutTag(typedLocal) == withoutTag(realLocal) && typedDomain == realDomain {
		return 1, "the same but for what follows the plus"
	}
	far := distance(typed, real)
	switch {
	case typedLocal == realLocal && differentEnd(typedDomain, realDomain):
		return 1, "same name, " + end(typedDomain) + " instead of " + end(realDomain)
	case typedLocal == realLocal && far <= 2:
		return far, "same name, " + typedDomain + " instead of " + realDomain
	case typedDomain == realDomain && far == 1:
		return 2, "one letter differs"
	case typedDomain == realDomain && far == 2 && len([]rune(realLocal)) > 4:
		return twoLetters, "two letters differ"
	case typedLocal == realLocal:
		return 4, "same name at " + realDomain
	default:
		return tooFar, ""
	}
}

// differentEnd tells whether two domains differ in their last label alone.
func differentEnd(a, b string) bool {
	return a != b && strings.TrimSuffix(a, end(a)) == strings.TrimSuffix(b, end(b)) && end(a) != a && end(b) != b
}

func end(domain string) string {
	if dot := strings.LastIndexByte(domain, '.'); dot >= 0 {
		return domain[dot:]
	}
	return domain
}

// readsTheSame folds what eyes mix up.
var readsTheSame = strings.NewReplacer("rn", "m", "vv", "w", "0", "o", "1", "l", "i", "l", "-", "", "_", "", ".", "").Replace

// distance is how many letters must be added, left out, changed or swapped with
// their neighbour to get from one text to the other (Damerau; no letter twice).
// Texts whose lengths differ by more than two are not measured.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > 2 || len(y)-len(x) > 2 {
		return tooFar
	}
	before, last, now := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
}
