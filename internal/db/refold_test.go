package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
)

// TestRowsOfBeforeAreFoundAsNewOnesAre: what an older program stored is found
// without its accents, too, and stands in the right place.
func TestRowsOfBeforeAreFoundAsNewOnesAre(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			for _, statement := range []string{
				"INSERT INTO environments (id, slug, name, policy, made_at) VALUES ('e', 'acme', 'Acme', '{}', 1)",
				`INSERT INTO help_articles (environment_id, name, title, text, search_text, audience, made_at, changed_at, changed_by)
					VALUES ('e', 'a', 'Größe', 'O’Brien “Þór”', 'größe o’brien “þór”', 'everyone', 1, 1, '')`,
				"DELETE FROM goose_db_version WHERE version_id >= 11",
				"ALTER TABLE requests DROP COLUMN link_id", "ALTER TABLE requests DROP COLUMN not_me_id", // of 12
			} {
				if _, err := tx.Exec(statement); err != nil {
					return err
				}
			}
			for i := range 1100 { // more than are read at a time
				_, err := tx.Exec(`INSERT INTO users (environment_id, id, email, email_key, name, search_text, sort_key, role, state, made_at)
					VALUES ('e', $1, $2, $2, $3, $4, $5, 'member', 'active', 1)`,
					fmt.Sprintf("u%04d", i), fmt.Sprintf("u%d@acme.example", i), "Øystein O’Connor", "øystein o’connor "+fmt.Sprintf("u%d@acme.example", i), "c3b8")
				if err != nil {
					return err
				}
			}
			return nil
		}))
		steps, err := d.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, steps)
		require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
			for query, want := range map[string]int{
				"SELECT count(*) FROM users WHERE search_text LIKE '%øystein o''connor%' AND search_text LIKE '%oystein%' AND search_text LIKE '%oeystein%'": 1100,
				"SELECT count(*) FROM users WHERE sort_key LIKE '6f79%'":                                                       1100, // "oy"
				"SELECT count(*) FROM help_articles WHERE search_text LIKE '%grosse%' AND search_text LIKE '%größe o''brien%'": 1,
				`SELECT count(*) FROM help_articles WHERE search_text LIKE '%"þór"%' AND search_text LIKE '%"thor"%'`:          1,
			} {
				n, err := db.One[int](tx, query)
				require.NoError(t, err)
				require.Equal(t, want, n, query)
			}
			arg := tx.Dialect().SearchArg("oystein")
			n, err := db.One[int](tx, "SELECT count(*) FROM "+tx.Dialect().MatchFrom+" WHERE "+tx.Dialect().MatchWhere, "e", arg)
			require.Equal(t, 1100, n, "the index, too")
			return err
		}))
	})
}
