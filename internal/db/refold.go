package db

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"

	"github.com/sparekey/sparekey/internal/folding"
)

// refolds makes anew what a search looks through, and the place in a list, of rows
// stored before folding changed; a change of folding.Findable or folding.SortKey needs a
// version of its own.
func refolds(version int64) *goose.Migration {
	up := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if err := refoldUsers(ctx, tx); err != nil {
			return err
		}
		return refoldArticles(ctx, tx)
	}}
	return goose.NewGoMigration(version, up, nil)
}

type findable struct{ env, key, words, more, search, sortKey string }

func refoldUsers(ctx context.Context, tx *sql.Tx) error {
	var last findable
	for {
		page, err := readFindable(ctx, tx, `SELECT environment_id, id, name, email, search_text, sort_key FROM users
			WHERE (environment_id, id) > ($1, $2) ORDER BY environment_id, id LIMIT 1000`, last.env, last.key)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, f := range page {
			search, sortKey := folding.Findable(f.words+" "+f.more), folding.SortKey(f.words)
			if search == f.search && sortKey == f.sortKey {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE users SET search_text = $3, sort_key = $4 WHERE environment_id = $1 AND id = $2",
				f.env, f.key, search, sortKey); err != nil {
				return err
			}
		}
		last = page[len(page)-1]
	}
}

func refoldArticles(ctx context.Context, tx *sql.Tx) error {
	articles, err := readFindable(ctx, tx, "SELECT environment_id, name, title, text, search_text, '' FROM help_articles")
	if err != nil {
		return err
	}
	for _, f := range articles {
		if _, err := tx.ExecContext(ctx, "UPDATE help_articles SET search_text = $3 WHERE environment_id = $1 AND name = $2",
			f.env, f.key, folding.Findable(f.words+" "+f.more)); err != nil {
			return err
		}
	}
	return nil
}

func readFindable(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]findable, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	var all []findable
	for rows.Next() {
		var f findable
		if err := rows.Scan(&f.env, &f.key, &f.words, &f.more, &f.search, &f.sortKey); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, rows.Err()
}
