package db

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrationFiles holds the shared texts; a file below sqlite/ or postgres/
// is the part of a version that only one engine has.
//
//go:embed migrations
var migrationFiles embed.FS

type migrationDialect struct {
	name    goose.Dialect
	folder  string
	options func() ([]goose.ProviderOption, error)
}

var (
	sqliteMigrations = migrationDialect{
		name: goose.DialectSQLite3, folder: "sqlite",
		options: func() ([]goose.ProviderOption, error) { return nil, nil },
	}
	postgresMigrations = migrationDialect{
		name: goose.DialectPostgres, folder: "postgres",
		options: func() ([]goose.ProviderOption, error) {
			l, err := lock.NewPostgresSessionLocker()
			return []goose.ProviderOption{goose.WithSessionLocker(l)}, err
		},
	}
)

// Migrate brings the schema up to date and gives the number of steps taken.
// Migrations only go forward and run under a lock.
func (d *DB) Migrate(ctx context.Context) (int, error) {
	p, err := d.provider()
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	// Two processes may open a new SQLite file at once; the one that loses the
	// race for a step finds it done when it looks again.
	for try := 1; ; try++ {
		done, err := p.Up(ctx)
		if err == nil {
			return len(done), nil
		}
		if try == 5 || ctx.Err() != nil {
			return 0, fmt.Errorf("migrate: %w", err)
		}
	}
}

// Pending tells whether the schema is older than this program.
func (d *DB) Pending(ctx context.Context) (bool, error) {
	p, err := d.provider()
	if err != nil {
		return false, fmt.Errorf("look for pending migrations: %w", err)
	}
	return p.HasPending(ctx)
}

func (d *DB) provider() (*goose.Provider, error) {
	conn, dialect := d.engine.migrations()
	shared, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	options, err := dialect.options()
	if err != nil {
		return nil, err
	}
	search, err := migrationFiles.ReadFile("migrations/" + dialect.folder + "/0002_user_search.sql")
	if err != nil {
		return nil, err
	}
	options = append(options, goose.WithGoMigrations(only(2, string(search)), refolds(10), refolds(11), refolds(13)), goose.WithDisableGlobalRegistry(true))
	return goose.NewProvider(dialect.name, conn, shared, options...)
}

// only makes a migration of a text that one engine alone understands.
func only(version int64, text string) *goose.Migration {
	up := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, text)
		return err
	}}
	return goose.NewGoMigration(version, up, nil)
}

// IsUnique tells whether a statement failed because such a row is already there.
func IsUnique(err error) bool { return sqliteUnique(err) || sqlState(err) == "23505" }
