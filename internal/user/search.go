package user

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
)

// Filter says which users to list. Zero fields filter nothing.
type Filter struct {
	Words string // each word must occur in the name or the address
	Role  access.Role
	State State
	After Place // where the page before ended
	Limit int
}

// Place is a position in the order of names.
type Place struct {
	SortKey string  `db:"sort_key"`
	User    id.User `db:"id"`
}

// Place gives the position of a user in the order of names.
func (u User) Place() Place { return Place{SortKey: u.SortKey, User: u.ID} }

// List gives users in the order of their names.
//
// A rare word is found through the trigram index and its few rows are sorted.
// For a common one it is usually quicker to walk the names in order until a page
// is full; if the first names do not fill it, the index is used after all. The
// index of SQLite is that of all environments together, so for a common word a
// small environment is always walked: it does not pay for its large neighbours.
func List(tx *db.Tx, env id.Environment, f Filter) ([]User, error) {
	words := strings.Fields(folding.Fold(f.Words))
	word := longest(words)
	if utf8.RuneCountInString(word) < 3 {
		return f.walk(tx, env, words, Place{})
	}
	arg := tx.Dialect().SearchArg(word)
	if tx.Dialect().CountMatches == "" { // this engine plans by its own statistics
		return f.lookUp(tx, env, words, arg)
	}
	hits, err := db.One[int](tx, tx.Dialect().CountMatches, arg)
	switch {
	case err != nil || hits == 0:
		return nil, err
	case hits <= rareAtMost:
		return f.lookUp(tx, env, words, arg)
	}
	end, err := f.endOfWalk(tx, env)
	if errors.Is(err, db.ErrNone) {
		return f.walk(tx, env, words, Place{})
	}
	if err != nil {
		return nil, err
	}
	users, err := f.walk(tx, env, words, end)
	if err != nil || len(users) == f.Limit {
		return users, err
	}
	return f.lookUp(tx, env, words, arg)
}

// Looking up one name takes as long as going through a dozen. A word that more
// than rareAtMost names hold is therefore looked for in the first walkAtMost, which
// fill a page unless fewer than one name in sixty holds it.
const (
	rareAtMost = 300
	walkAtMost = 3000
)

// endOfWalk gives the place of the last name a walk goes through; db.ErrNone if
// fewer are left.
func (f Filter) endOfWalk(tx *db.Tx, env id.Environment) (Place, error) {
	q := query{args: []any{env}}
	return db.One[Place](tx, "SELECT u.sort_key, u.id FROM users u WHERE u.environment_id = $1"+f.behind(&q)+
		" ORDER BY u.sort_key, u.id LIMIT 1 OFFSET "+q.bind(walkAtMost-1), q.args...)
}

// behind leaves out the names up to the end of the page before.
func (f Filter) behind(q *query) string {
	if f.After == (Place{}) {
		return ""
	}
	return " AND (u.sort_key, u.id) > (" + q.bind(f.After.SortKey) + ", " + q.bind(f.After.User) + ")"
}

// walk goes through the names in order, to an end or, if it is zero, to the last,
// until the page is full.
func (f Filter) walk(tx *db.Tx, env id.Environment, words []string, end Place) ([]User, error) {
	q := query{args: []any{env}}
	where := "u.environment_id = $1" + f.behind(&q)
	if end != (Place{}) {
		where += " AND (u.sort_key, u.id) <= (" + q.bind(end.SortKey) + ", " + q.bind(end.User) + ")"
	}
	return f.run(tx, "users u", where+f.conditions(&q, words), &q)
}

// lookUp finds the rows through the trigram index.
func (f Filter) lookUp(tx *db.Tx, env id.Environment, words []string, arg string) ([]User, error) {
	q := query{args: []any{env, arg}}
	where := tx.Dialect().MatchWhere + f.behind(&q) + f.conditions(&q, words)
	return f.run(tx, tx.Dialect().MatchFrom, where, &q)
}

func (f Filter) conditions(q *query, words []string) string {
	where := ""
	for _, w := range words {
		where += " AND u.search_text LIKE " + q.bind(db.Containing(w)) + ` ESCAPE '\'`
	}
	if f.Role != "" {
		where += " AND u.role = " + q.bind(f.Role)
	}
	if f.State != "" {
		where += " AND u.state = " + q.bind(f.State)
	}
	return where
}

func (f Filter) run(tx *db.Tx, from, where string, q *query) ([]User, error) {
	// Whoever types on wants the answer no more.
	return db.All[User](tx.Stoppable(), "SELECT "+columns+" FROM "+from+" WHERE "+where+
		" ORDER BY u.sort_key, u.id LIMIT "+q.bind(f.Limit), q.args...)
}

func longest(words []string) string {
	var best string
	for _, w := range words {
		if utf8.RuneCountInString(w) > utf8.RuneCountInString(best) {
			best = w
		}
	}
	return best
}

// query collects the arguments of a statement while its text is put together.
type query struct{ args []any }

func (q *query) bind(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

// Every streams all users of an environment, for an export.
func Every(tx *db.Tx, env id.Environment) iter.Seq2[User, error] {
	return db.Each[User](tx, "SELECT "+columns+" FROM users u WHERE u.environment_id = $1 ORDER BY u.sort_key, u.id", env)
}
