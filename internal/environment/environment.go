// Package environment holds one client's world: its name, its policy and
// whether it is suspended. Nothing crosses from one environment to another.
package environment

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Environment is one client's world.
type Environment struct {
	ID          id.Environment
	Slug        string
	Name        string
	Policy      Policy
	MadeAt      time.Time
	SuspendedAt time.Time
}

// Suspended tells whether it is paused. Sessions and links stay as they
// are and work again after Resume.
func (e Environment) Suspended() bool { return !e.SuspendedAt.IsZero() }

var slugForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// reserved are the first path segments that are addresses of our own.
var reserved = []string{"operator", "api", "livez", "readyz", "metrics", "static", "mail-events", "debug"}

// OperatorSlug is where the people who run the server log in: the reserved
// environment. It is in no list of environments.
const OperatorSlug = "operator"

// IsOperators tells whether this is the reserved environment.
func (e Environment) IsOperators() bool { return e.ID == id.OperatorEnvironment }

// MakeOperators makes the reserved environment where it is not yet.
func MakeOperators(tx *db.Tx) error {
	_, err := tx.Exec(`INSERT INTO environments (id, slug, name, policy, made_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO NOTHING`, id.OperatorEnvironment, OperatorSlug, "Operators", Standard().text(), tx.Now())
	return err
}

// HasPages tells whether there may be pages below a path segment: a client's
// environment, or the operators'.
func HasPages(slug string) bool { return slug == OperatorSlug || ValidSlug(slug) }

// ValidSlug tells whether a path segment can be a client's environment.
func ValidSlug(slug string) bool {
	return slugForm.MatchString(slug) && !slices.Contains(reserved, slug)
}

type row struct {
	ID          id.Environment `db:"id"`
	Slug        string         `db:"slug"`
	Name        string         `db:"name"`
	Policy      string         `db:"policy"`
	MadeAt      time.Time      `db:"made_at"`
	SuspendedAt time.Time      `db:"suspended_at"`
}

const columns = "id, slug, name, policy, made_at, suspended_at"

func (r row) environment() (Environment, error) {
	p, err := readPolicy(r.Policy)
	if err != nil {
		return Environment{}, fmt.Errorf("environment %s: %w", r.ID, err)
	}
	return Environment{ID: r.ID, Slug: r.Slug, Name: r.Name, Policy: p, MadeAt: r.MadeAt, SuspendedAt: r.SuspendedAt}, nil
}

// Create adds an environment with the standard policy.
func Create(tx *db.Tx, slug, name string) (Environment, error) {
	name = strings.TrimSpace(name)
	if !ValidSlug(slug) {
		return Environment{}, fault.InvalidField("slug", "The short name of an environment has small letters, digits and hyphens, begins with a letter or digit, has at most 63 characters and is not a reserved word.")
	}
	if err := checkName(name); err != nil {
		return Environment{}, err
	}
	e := Environment{ID: id.New[id.Environment](), Slug: slug, Name: name, Policy: Standard(), MadeAt: tx.Now()}
	n, err := tx.Exec(`INSERT INTO environments (id, slug, name, policy, made_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (slug) DO NOTHING`, e.ID, slug, name, e.Policy.text(), e.MadeAt)
	if err != nil {
		return Environment{}, err
	}
	if n == 0 {
		return Environment{}, fault.New(fault.Conflict, "There is already an environment %q.", slug)
	}
	return e, nil
}

func checkName(name string) error {
	if name == "" || text(name, 100) != nil {
		return fault.InvalidField("name", "The name of an environment has 1 to 100 characters and no line breaks.")
	}
	return nil
}

// ErrPaused is the cause of what Paused says.
var ErrPaused = errors.New("environment is suspended")

// Paused says that nothing goes on in a suspended environment; nil in others.
func (e Environment) Paused() error {
	if !e.Suspended() {
		return nil
	}
	return fault.Wrap(fault.Unavailable, ErrPaused, e.Name+" is paused. Nobody can sign in for now. Nothing is lost: accounts, passwords and links are kept. Try again later, or ask whoever runs it for you.")
}

// Open finds an environment in which something is to go on; see Paused.
func Open(tx *db.Tx, env id.Environment) (Environment, error) {
	e, err := ByID(tx, env)
	if err != nil {
		return e, err
	}
	return e, e.Paused()
}

// BySlug finds an environment by its place in addresses; NotFound if there is none.
func BySlug(tx *db.Tx, slug string) (Environment, error) {
	return find(tx, "SELECT "+columns+" FROM environments WHERE slug = $1", slug)
}

// ByID finds an environment.
func ByID(tx *db.Tx, env id.Environment) (Environment, error) {
	return find(tx, "SELECT "+columns+" FROM environments WHERE id = $1", env)
}

// Lock finds an environment and locks its row until the transaction ends: before
// a change that depends on what is there.
func Lock(tx *db.Tx, env id.Environment) (Environment, error) {
	return find(tx, "SELECT "+columns+" FROM environments WHERE id = $1"+tx.Dialect().ForUpdate, env)
}

func find(tx *db.Tx, query string, arg any) (Environment, error) {
	r, err := db.One[row](tx, query, arg)
	if errors.Is(err, db.ErrNone) {
		return Environment{}, fault.New(fault.NotFound, "There is no such environment.")
	}
	if err != nil {
		return Environment{}, err
	}
	return r.environment()
}

// List gives all environments by slug, the reserved one included.
func List(tx *db.Tx) ([]Environment, error) {
	rows, err := db.All[row](tx, "SELECT "+columns+" FROM environments")
	if err != nil {
		return nil, err
	}
	var all []Environment
	for _, r := range rows {
		e, err := r.environment()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Environment) int { return strings.Compare(a.Slug, b.Slug) })
	return all, nil
}

// SetPolicy stores a checked policy.
func SetPolicy(tx *db.Tx, env id.Environment, p Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE environments SET policy = $1 WHERE id = $2", p.text(), env)
	return err
}

// SetSuspended closes or reopens an environment: one row, read with every
// session and link.
func SetSuspended(tx *db.Tx, env id.Environment, suspended bool) error {
	var at time.Time
	if suspended {
		at = tx.Now()
	}
	_, err := tx.Exec("UPDATE environments SET suspended_at = $1 WHERE id = $2", at, env)
	return err
}

// Delete removes an environment and everything in it.
func Delete(tx *db.Tx, env id.Environment) error {
	for _, table := range []string{"attempts", "messages", "jobs", "links", "tokens", "sessions", "requests", "unmatched", "throttle", "suppressions", "alarms", "alarm_signs", "unknown_replies", "used_once", "events", "users"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE environment_id = $1", env); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM environments WHERE id = $1", env)
	return err
}
