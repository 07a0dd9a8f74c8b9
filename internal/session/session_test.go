package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit/database"
)

// TestThoseOfAUserAreFoundByTheUser: else each password that is set would read all
// live sessions of its environment.
func TestThoseOfAUserAreFoundByTheUser(t *testing.T) {
	t.Parallel()
	d := database.Open(t, "sqlite", time.Now)
	for _, whose := range []string{"user_id = $3", "user_id IN ($3, $4)"} {
		require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
			type step struct {
				ID      int    `db:"id"`
				Parent  int    `db:"parent"`
				Notused int    `db:"notused"`
				Detail  string `db:"detail"`
			}
			plan, err := db.All[step](tx, "EXPLAIN QUERY PLAN SELECT id FROM sessions WHERE environment_id = $1 AND "+whose+living, "e", 1, "u", "v")
			require.NoError(t, err)
			require.Contains(t, plan[0].Detail, "sessions_of_user")
			return nil
		}))
	}
}
