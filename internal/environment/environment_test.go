package environment_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit/database"
)

func eachEngine(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	database.Each(t, func(t *testing.T, engine string) { test(t, database.Open(t, engine, time.Now)) })
}

// in runs steps in a transaction.
func in(t *testing.T, d *db.DB, fn func(tx *db.Tx) error) {
	t.Helper()
	require.NoError(t, d.Update(t.Context(), fn))
}

func TestShortNames(t *testing.T) {
	t.Parallel()
	for slug, valid := range map[string]bool{
		"acme": true, "a": true, "0": true, "acme-2": true, strings.Repeat("x", 63): true, "well-known": true,
		"": false, "-acme": false, "Acme": false, "ac_me": false, "ac me": false, "ac/me": false, "acmé": false, "acme\n": false,
		strings.Repeat("x", 64): false, ".well-known": false, "..": false,
		"operator": false, "api": false, "livez": false, "readyz": false, "metrics": false, "static": false, "mail-events": false, "debug": false,
	} {
		require.Equal(t, valid, environment.ValidSlug(slug), "%q", slug)
	}
}

func TestCreateFindAndList(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		var acme environment.Environment
		in(t, d, func(tx *db.Tx) (err error) {
			if _, err = environment.Create(tx, "zeta", "Zeta"); err != nil {
				return err
			}
			acme, err = environment.Create(tx, "acme", "  Acme “Ümläut” Ltd ")
			return err
		})
		require.Equal(t, "Acme “Ümläut” Ltd", acme.Name)
		in(t, d, func(tx *db.Tx) error {
			for _, refused := range []struct {
				slug, name, field string
				kind              fault.Kind
			}{
				{"acme", "Again", "", fault.Conflict},
				{"Acme", "X", "slug", fault.Invalid},
				{"x", " ", "name", fault.Invalid},
				{"x", strings.Repeat("ü", 101), "name", fault.Invalid},
				{"x", "a\nb", "name", fault.Invalid},
				{"x", "a\xff", "name", fault.Invalid},
			} {
				_, err := environment.Create(tx, refused.slug, refused.name)
				require.True(t, fault.Is(err, refused.kind), "%+v: %v", refused, err)
				if refused.field != "" {
					require.Equal(t, refused.field, fault.As(err).Fields[0].Name)
				}
			}
			_, err := environment.Create(tx, "long", strings.Repeat("ü", 100))
			require.NoError(t, err, "characters, not octets")
			return nil
		})
		in(t, d, func(tx *db.Tx) error {
			bySlug, err := environment.BySlug(tx, "acme")
			require.NoError(t, err)
			require.Equal(t, acme, bySlug)
			byID, err := environment.ByID(tx, acme.ID)
			require.NoError(t, err)
			require.Equal(t, acme, byID)
			_, err = environment.BySlug(tx, "nobody")
			require.True(t, fault.Is(err, fault.NotFound))
			all, err := environment.List(tx)
			require.NoError(t, err)
			require.Len(t, all, 3)
			require.Equal(t, "acme", all[0].Slug)
			return nil
		})
	})
}

func TestSuspendingIsOneRow(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		in(t, d, func(tx *db.Tx) error {
			acme, err := environment.Create(tx, "acme", "Acme")
			require.NoError(t, err)
			require.False(t, acme.Suspended())
			require.NoError(t, environment.SetSuspended(tx, acme.ID, true))
			now, err := environment.Lock(tx, acme.ID)
			require.NoError(t, err)
			require.True(t, now.Suspended())
			require.NoError(t, environment.SetSuspended(tx, acme.ID, false))
			now, err = environment.ByID(tx, acme.ID)
			require.NoError(t, err)
			require.Equal(t, acme, now)
			return nil
		})
	})
}

// TestDeleteLeavesNothing looks into every table that names an environment.
func TestDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		var acme, zeta environment.Environment
		tables := tablesOfEnvironments(t, d)
		require.Contains(t, tables, "users")
		require.Contains(t, tables, "events")
		in(t, d, func(tx *db.Tx) (err error) {
			if acme, err = environment.Create(tx, "acme", "Acme"); err != nil {
				return err
			}
			if zeta, err = environment.Create(tx, "zeta", "Zeta"); err != nil {
				return err
			}
			for _, env := range []environment.Environment{acme, zeta} {
				if err := fill(tx, env.ID, tables); err != nil {
					return err
				}
			}
			return nil
		})
		in(t, d, func(tx *db.Tx) error { return environment.Delete(tx, acme.ID) })
		in(t, d, func(tx *db.Tx) error {
			for _, table := range tables {
				left, err := db.All[string](tx, "SELECT environment_id FROM "+table)
				require.NoError(t, err)
				require.Equal(t, []string{string(zeta.ID)}, left, table)
			}
			_, err := environment.BySlug(tx, "acme")
			require.True(t, fault.Is(err, fault.NotFound))
			return nil
		})
	})
}

// What each engine tells about its own tables: those of environments, and the
// columns of one that must be given a value.
const (
	sqliteTables   = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'environment_id' AND m.name NOT LIKE 'users_search%' ORDER BY m.name"
	postgresTables = "SELECT table_name::text FROM information_schema.columns WHERE column_name = 'environment_id' AND table_schema = 'public' ORDER BY table_name"
	sqliteColumns  = "SELECT name FROM pragma_table_info($1) WHERE \"notnull\" = 1 AND dflt_value IS NULL"
	postgresColumn = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL"
)

func isPostgres(tx *db.Tx) bool { return tx.Dialect().ForUpdate != "" }

func tablesOfEnvironments(t *testing.T, d *db.DB) []string {
	t.Helper()
	var tables []string
	require.NoError(t, d.View(t.Context(), func(tx *db.Tx) (err error) {
		query := sqliteTables
		if isPostgres(tx) {
			query = postgresTables
		}
		tables, err = db.All[string](tx, query)
		return err
	}))
	return tables
}

// fill puts one row into each table: users first, then messages, for the rest
// refers to them.
func fill(tx *db.Tx, env id.Environment, tables []string) error {
	ordered := append([]string{"users", "messages"}, tables...)
	done := map[string]bool{}
	for _, table := range ordered {
		if done[table] {
			continue
		}
		done[table] = true
		query := sqliteColumns
		if isPostgres(tx) {
			query = postgresColumn
		}
		columns, err := db.All[string](tx, query, table)
		if err != nil {
			return err
		}
		values := make([]string, len(columns))
		for i, c := range columns {
			values[i] = "'1'" // text, and a number where one is wanted
			if c == "environment_id" {
				values[i] = "'" + string(env) + "'"
			}
		}
		if _, err := tx.Exec("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"); err != nil {
			return err
		}
	}
	return nil
}
