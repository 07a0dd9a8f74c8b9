// Package house guards the layout: who may import whom, how long a function may
// be, and where the clock is read. It has tests only. The table here is the
// decision; when a test fails, either the code or, with a reason, the table changes.
package house

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sparekey/sparekey"

// The levels, bottom first. A package imports packages of lower levels only; at
// the bottom they may import each other.
const (
	pure     = iota // rules and formats, SMTP at the edge; no database
	store           // View and Update
	records         // steps: they take a transaction
	composed        // steps made of records: the user, and the mail that follows from an event
	verbs           // they check the permission and open the transaction
	doors           // decode, call one verb, render
	wiring          // knows all parts
	command         // one file per subcommand
	helper          // for tests: may import anything, imported by tests only
)

// levels is the whole house. A part (a package in a folder below one of these)
// is at the level of its owner and private to it.
var levels = map[string]int{
	"internal/access":      pure,
	"internal/address":     pure,
	"internal/agent":       pure,
	"internal/config":      pure,
	"internal/diagnosis":   pure,
	"internal/dkim":        pure,
	"internal/dsn":         pure,
	"internal/fault":       pure,
	"internal/folding":     pure,
	"internal/id":          pure,
	"internal/inbox":       pure,
	"internal/lazyregexp":  pure,
	"internal/mail":        pure,
	"internal/maildns":     pure,
	"internal/mailevent":   pure,
	"internal/mailserver":  pure,
	"internal/password":    pure,
	"internal/proofofwork": pure,
	"internal/relay":       pure,
	"internal/secret":      pure,
	"internal/spreadsheet": pure,

	"internal/db": store,

	"internal/audit":       records,
	"internal/cases":       records,
	"internal/environment": records,
	"internal/keyring":     records,
	"internal/outbox":      records,
	"internal/session":     records,
	"internal/suppression": records,
	"internal/throttle":    records,
	"internal/token":       records,

	"internal/alarm":    composed,
	"internal/approval": composed,
	"internal/notice":   composed,
	"internal/story":    composed,
	"internal/user":     composed,

	"internal/account":     verbs,
	"internal/canary":      verbs,
	"internal/console":     verbs,
	"internal/delivery":    verbs,
	"internal/doctor":      verbs,
	"internal/help":        verbs,
	"internal/numbers":     verbs,
	"internal/porting":     verbs,
	"internal/recovery":    verbs,
	"internal/settings":    verbs,
	"internal/signin":      verbs,
	"internal/usermanager": verbs,

	"internal/api":     doors,
	"internal/returns": doors,
	"internal/web":     doors,

	"internal/app": wiring,

	"cmd/sparekey": command,

	"internal/testkit": helper,
	"test":             helper,
}

// longest is how many packages a chain of imports may have, command included.
const longest = 8

// refuse says why from may not import to, or "".
func refuse(from, to string) string {
	owner, other := ownerOf(from), ownerOf(to)
	if owner == "" || other == "" {
		return "" // TestEveryPackageHasItsPlace speaks
	}
	mine, its := levels[owner], levels[other]
	switch {
	case mine == helper:
		return ""
	case its == helper:
		return "only tests import test helpers"
	case owner == "internal/web" && from != owner:
		return refusePart(to)
	case owner == other:
		return ""
	case to != other:
		if other == "internal/app" && mine == command {
			return ""
		}
		return "it is a part of " + other + " and private to it"
	case mine == doors && its == store:
		return "doors never import the database: call a verb"
	case mine == doors && its == doors:
		return "doors never import each other"
	case mine == verbs && its == verbs:
		return "verbs never import each other: move what they share down to a record or a rule"
	case its > mine:
		return "it is at a higher level"
	case its == mine && mine != pure:
		return "it is at the same level: what calls both may bring them together"
	}
	return ""
}

// refusePart: templates and static files know nothing of the rules.
func refusePart(to string) string {
	if strings.HasPrefix(to, "internal/web/") {
		return ""
	}
	return "templates and static files import nothing of ours but each other"
}

// ownerOf gives the listed package that p is or is a part of, or "".
func ownerOf(p string) string {
	for ; p != "."; p = parent(p) {
		if _, ok := levels[p]; ok {
			return p
		}
	}
	return ""
}

func TestWhoImportsWhom(t *testing.T) {
	t.Parallel()
	for from, targets := range imports(source(t)) {
		for _, to := range targets {
			if why := refuse(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	t.Parallel()
	for _, p := range packages(source(t)) {
		if ownerOf(p) == "" {
			t.Errorf("%s is not in the table: add it to `levels` in internal/house/house_test.go, at the level where it belongs", p)
		}
	}
}

func TestChainsOfImportsAreShort(t *testing.T) {
	t.Parallel()
	graph := imports(source(t))
	memo := map[string][]string{}
	var chain func(p string) []string
	chain = func(p string) []string {
		if known, ok := memo[p]; ok {
			return known
		}
		var below []string
		for _, to := range graph[p] {
			if c := chain(to); len(c) > len(below) {
				below = c
			}
		}
		memo[p] = append([]string{p}, below...)
		return memo[p]
	}
	for p := range graph {
		if levels[ownerOf(p)] != helper && len(chain(p)) > longest {
			t.Errorf("%d packages in a chain, at most %d: %s", len(chain(p)), longest, strings.Join(chain(p), " -> "))
		}
	}
}

// TestTheTableRefuses keeps the guard itself honest.
func TestTheTableRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to string
		allowed  bool
	}{
		{"internal/web", "internal/db", false},
		{"internal/api", "internal/db", false},
		{"internal/web", "internal/api", false},
		{"internal/recovery", "internal/signin", false},
		{"internal/db", "internal/audit", false},
		{"internal/fault", "internal/db", false},
		{"internal/audit", "internal/outbox", false},
		{"internal/user", "internal/notice", false},
		{"internal/web", "internal/app", false},
		{"internal/web/templates", "internal/fault", false},
		{"internal/recovery", "internal/web/templates", false},
		{"internal/web", "internal/app/metrics", false},
		{"internal/recovery", "internal/testkit/postgres", false},
		{"cmd/sparekey", "internal/testkit", false},
		{"internal/app", "cmd/sparekey", false},
		{"internal/app", "internal/password/leaked", false},

		{"internal/web", "internal/recovery", true},
		{"internal/web", "internal/web/templates", true},
		{"internal/web/templates", "internal/web/static", true},
		{"internal/recovery", "internal/user", true},
		{"internal/user", "internal/audit", true},
		{"internal/audit", "internal/db", true},
		{"internal/access", "internal/id", true},
		{"internal/notice", "internal/token", true},
		{"internal/app", "internal/db", true},
		{"cmd/sparekey", "internal/app/metrics", true},
		{"internal/testkit", "internal/app", true},
		{"internal/password", "internal/password/leaked", true},
	} {
		if why := refuse(test.from, test.to); (why == "") != test.allowed {
			t.Errorf("%s -> %s: %q", test.from, test.to, why)
		}
	}
}

// longFunction is the number of lines past which a function needs a reason.
const longFunction = 80

func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	for _, f := range source(t) {
		if f.generated() || f.test() {
			continue
		}
		for _, d := range f.tree.Decls {
			function, ok := d.(*ast.FuncDecl)
			if !ok || strings.Contains(function.Doc.Text(), "Long because: ") {
				continue
			}
			first, last := f.line(function.Pos()), f.line(function.End())
			if lines := last - first + 1; lines > longFunction {
				t.Errorf("%s:%d: %s has %d lines, at most %d: split it, or end its comment with \"Long because: ...\"",
					f.path, first, function.Name.Name, lines, longFunction)
			}
		}
	}
}

// clocks are the places that may read the time; everybody else is given it.
var clocks = []string{"cmd", "internal/app", "internal/inbox", "internal/testkit", "test"}

func TestTheClockIsPassedIn(t *testing.T) {
	t.Parallel()
	for _, f := range source(t) {
		if f.test() || slices.ContainsFunc(clocks, func(p string) bool { return within(f.pkg, p) }) {
			continue
		}
		for _, at := range f.uses("time", "Now", "Since", "Until") {
			t.Errorf("%s: reads the clock: take `now time.Time` or a clock as an argument, so that tests and the database decide what time it is", at)
		}
	}
}

func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// uses gives the places where one of the names of a standard package is used.
func (f file) uses(path string, names ...string) []string {
	local := ""
	for _, spec := range f.tree.Imports {
		if spec.Path.Value != `"`+path+`"` {
			continue
		}
		local = path
		if spec.Name != nil {
			local = spec.Name.Name
		}
	}
	if local == "" {
		return nil
	}
	var places []string
	ast.Inspect(f.tree, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(names, s.Sel.Name) {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == local {
			places = append(places, fmt.Sprintf("%s:%d: %s.%s", f.path, f.line(s.Pos()), path, s.Sel.Name))
		}
		return true
	})
	return places
}
