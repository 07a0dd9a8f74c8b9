package db_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
)

func TestTmp(t *testing.T) {
	d, err := db.Open(context.Background(), db.Config{Engine: "sqlite", DSN: filepath.Join(t.TempDir(), "x.db"), Clock: time.Now})
	require.NoError(t, err)
	n, err := d.Migrate(context.Background())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.NoError(t, d.Update(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec("INSERT INTO environments (id,slug,name,policy,made_at) VALUES ($1,$2,$3,$4,$5)", "e", "acme", "Acme", "{}", tx.Now())
		if err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO users (environment_id,id,email,email_key,name,search_text,sort_key,role,state,made_at) VALUES ('e','u','a@b','a@b','Ann','ann jansen a@b','00','member','active',$1)", tx.Now())
		return err
	}))
	require.NoError(t, d.View(context.Background(), func(tx *db.Tx) error {
		for _, q := range []string{"jans", "ann jan"} {
			ids, err := db.All[string](tx, "SELECT u.id FROM "+tx.Dialect().MatchFrom+" WHERE "+tx.Dialect().MatchWhere, "e", tx.Dialect().SearchArg(q))
			require.NoError(t, err)
			require.Equal(t, []string{"u"}, ids)
		}
		return nil
	}))
	require.NoError(t, d.Close())
}
