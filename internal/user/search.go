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
	SortKey string
	User    id.User
}

// Place gives the position of a user in the order of names.
func (u User) Place() Place { return Place{SortKey: u.SortKey, User: u.ID} }

// List gives users in the order of their names.
//
// A rare word is found through the trigram index and its few rows are sorted.
// For a common one it is usually quicker to walk the names in order until a page
// is full; if the first names do not fill it, the index is used after all. The
// index of SQLite is that of all environments together, so a small environment
// is always walked: it does not pay for its large neighbours.
func List(tx *db.Tx, env id.Environment, f Filter) ([]User, error) {
	words := strings.Fields(folding.Fold(f.Words))
	word := longest(words)
	if utf8.RuneCountInString(word) < 3 {
		return f.walk(tx, env, words, everybody)
	}
	arg := tx.Dialect().SearchArg(word)
	if tx.Dialect().CountMatches == "" { // this engine plans by its own statistics
		return f.lookUp(tx, env, words, arg)
	}
	small, err := isSmall(tx, env)
	if err != nil {
		return nil, err
	}
	if small {
		return f.walk(tx, env, words, everybody)
	}
	rare, err := isRare(tx, arg)
	if err != nil {
		return nil, err
	}
	if !rare {
		users, err := f.walk(tx, env, words, walkAtMost)
		if err != nil || len(users) == f.Limit {
			return users, err
		}
	}
	return f.lookUp(tx, env, words, arg)
}

// How many names a walk goes through: all, or as many as are read in the time
// that looking up a thousand takes.
const (
	everybody  = 0
	walkAtMost = 3000
)

// walk goes through the names in order.
func (f Filter) walk(tx *db.Tx, env id.Environment, words []string, atMost int) ([]User, error) {
	q := query{args: []any{env}}
	start, where := "u.environment_id = $1", ""
	if f.After != (Place{}) {
		start += " AND (u.sort_key, u.id) > (" + q.bind(f.After.SortKey) + ", " + q.bind(f.After.User) + ")"
	}
	from := "users u"
	if atMost == everybody {
		where = start + f.conditions(&q, words)
	} else {
		from = "(SELECT * FROM users u WHERE " + start + " ORDER BY u.sort_key, u.id LIMIT " + q.bind(atMost) + ") u"
		where = "TRUE" + f.conditions(&q, words)
	}
	return f.run(tx, from, where, &q)
}

// lookUp finds the rows through the trigram index.
func (f Filter) lookUp(tx *db.Tx, env id.Environment, words []string, arg string) ([]User, error) {
	q := query{args: []any{env, arg}}
	where := tx.Dialect().MatchWhere + f.conditions(&q, words)
	if f.After != (Place{}) {
		where += " AND (u.sort_key, u.id) > (" + q.bind(f.After.SortKey) + ", " + q.bind(f.After.User) + ")"
	}
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
	return db.All[User](tx, "SELECT "+columns+" FROM "+from+" WHERE "+where+
		" ORDER BY u.sort_key, u.id LIMIT "+q.bind(f.Limit), q.args...)
}

// isSmall tells whether a walk would see all names of an environment.
func isSmall(tx *db.Tx, env id.Environment) (bool, error) {
	_, err := db.One[int](tx, "SELECT 1 FROM users u WHERE u.environment_id = $1 LIMIT 1 OFFSET $2", env, walkAtMost)
	if errors.Is(err, db.ErrNone) {
		return true, nil
	}
	return false, err
}

func isRare(tx *db.Tx, arg string) (bool, error) {
	n, err := db.One[int](tx, tx.Dialect().CountMatches, arg)
	return n <= 1000, err
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
