// Package settings is about the environments themselves: operators create,
// suspend and delete them, Client Admins decide on their policy.
package settings

import (
	"context"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// Settings holds what its verbs need.
type Settings struct {
	DB *db.DB
}

func operatorOnly(actor access.Actor) error {
	if access.May(actor, id.OperatorEnvironment, access.OpenConsole) {
		return nil
	}
	return fault.New(fault.Denied, "Only an operator does this.")
}

// BySlug finds an environment by its place in addresses; NotFound if there is
// none. It is asked with every request, by anybody, and costs one indexed read.
func (s *Settings) BySlug(ctx context.Context, slug string) (environment.Environment, error) {
	var env environment.Environment
	if !environment.HasPages(slug) {
		return env, fault.New(fault.NotFound, "There is no such environment.")
	}
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		env, err = environment.BySlug(tx, slug)
		return err
	})
	return env, err
}

// List gives the environments of all clients by slug, to an operator.
func (s *Settings) List(ctx context.Context, actor access.Actor) ([]environment.Environment, error) {
	if err := operatorOnly(actor); err != nil {
		return nil, err
	}
	var all []environment.Environment
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		all, err = environment.List(tx)
		return err
	})
	return slices.DeleteFunc(all, environment.Environment.IsOperators), err
}

// Create adds an environment. Faults are about the fields "slug" and "name";
// Conflict if there is one of that slug.
func (s *Settings) Create(ctx context.Context, actor access.Actor, slug, name string) (environment.Environment, error) {
	var env environment.Environment
	if err := operatorOnly(actor); err != nil {
		return env, err
	}
	err := s.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if env, err = environment.Create(tx, slug, name); err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.EnvironmentMade, Actor: actor})
	})
	return env, err
}

// Suspend closes an environment for now: nothing in it is rewritten.
func (s *Settings) Suspend(ctx context.Context, actor access.Actor, env environment.Environment) error {
	return s.setSuspended(ctx, actor, env, true)
}

// Resume opens a suspended environment again; what is still in date works again.
func (s *Settings) Resume(ctx context.Context, actor access.Actor, env environment.Environment) error {
	return s.setSuspended(ctx, actor, env, false)
}

var errReserved = fault.New(fault.Denied, "The environment operator belongs to the server: it can be neither closed nor removed.")

// setSuspended does nothing where nothing changes, so that a script may repeat it.
func (s *Settings) setSuspended(ctx context.Context, actor access.Actor, env environment.Environment, suspended bool) error {
	if err := operatorOnly(actor); err != nil {
		return err
	}
	if env.IsOperators() {
		return errReserved
	}
	kind := audit.Resumed
	if suspended {
		kind = audit.Suspended
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		now, err := environment.Lock(tx, env.ID)
		if err != nil || now.Suspended() == suspended {
			return err
		}
		if err := environment.SetSuspended(tx, env.ID, suspended); err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: kind, Actor: actor})
	})
}

// Delete removes an environment and everything in it, for ever.
func (s *Settings) Delete(ctx context.Context, actor access.Actor, env environment.Environment) error {
	if err := operatorOnly(actor); err != nil {
		return err
	}
	if env.IsOperators() {
		return errReserved
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := environment.Lock(tx, env.ID); err != nil {
			return err
		}
		return environment.Delete(tx, env.ID)
	})
}

// Changed is one setting that got another value.
type Changed struct{ Name, Old, New string }

// ChangePolicy changes the named settings of an environment, all or none, and
// gives those that are different now. The fault names every setting that was
// refused, with what is allowed. Denied for a Client Admin on "second_admin", to
// switch it off, and on what is the operator's own.
func (s *Settings) ChangePolicy(ctx context.Context, actor access.Actor, env environment.Environment, values map[string]string) (environment.Environment, []Changed, error) {
	if !actor.Operator && actor.Environment != env.ID {
		return env, nil, fault.New(fault.NotFound, "There is no such environment.")
	}
	if err := access.Check(actor, env.ID, access.ChangeSettings); err != nil {
		return env, nil, err
	}
	var changed []Changed
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		now, err := environment.Lock(tx, env.ID)
		if err != nil {
			return err
		}
		env = now
		if env.Policy, err = with(now.Policy, values); err != nil {
			return err
		}
		if now.Policy.SecondAdmin && !env.Policy.SecondAdmin && !actor.Operator {
			return keepSecondAdmin()
		}
		if err := operatorsOwn(actor, now.Policy, env.Policy); err != nil {
			return err
		}
		if changed = differences(now.Policy, env.Policy); len(changed) == 0 {
			return nil
		}
		if err := environment.SetPolicy(tx, env.ID, env.Policy); err != nil {
			return err
		}
		detail := audit.Detail{}
		for _, c := range changed {
			detail[c.Name] = c.Old + " -> " + c.New
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.PolicyChanged, Actor: actor, Detail: detail})
	})
	return env, changed, err
}

// operatorsOwn refuses what only an operator may change.
func operatorsOwn(actor access.Actor, before, after environment.Policy) error {
	for _, s := range environment.Settings {
		if s.OperatorOnly() && !actor.Operator && s.Get(before) != s.Get(after) {
			return fault.OfField(fault.Denied, s.Name, "Only an operator changes this: the domain must let our mail servers send in its name.")
		}
	}
	return nil
}

// keepSecondAdmin refuses to switch second_admin off: a rule against one Client
// Admin alone is none if one alone lifts it.
func keepSecondAdmin() error {
	return fault.OfField(fault.Denied, "second_admin", "Only an operator switches this off again: one Client Admin alone could otherwise undo it.")
}

// with collects the faults of all refused settings.
func with(p environment.Policy, values map[string]string) (environment.Policy, error) {
	var fields []fault.Field
	for name, value := range values {
		next, err := p.With(name, value)
		if f := fault.As(err); f != nil {
			fields = append(fields, f.Fields...)
			continue
		}
		if err != nil {
			return p, err
		}
		p = next
	}
	if len(fields) == 0 {
		return p, nil
	}
	slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Name, b.Name) })
	return p, &fault.Error{Kind: fault.Invalid, Sentence: fields[0].Reason, Fields: fields}
}

func differences(before, after environment.Policy) []Changed {
	var all []Changed
	for _, s := range environment.Settings {
		if old, now := s.Get(before), s.Get(after); old != now {
			all = append(all, Changed{Name: s.Name, Old: old, New: now})
		}
	}
	return all
}
