// Package app puts the parts together: the only place that knows them all.
//
// core.go: database, keys and verbs, which commands use too. serve.go: the
// running server. mail.go and returned.go: mail out and news of it back.
// watch.go, look_back.go, canary.go and tidy.go: what runs beside the pages.
// metrics.go: what is counted; recovery_metrics.go, mail_health.go and outlook.go
// count one thing each. demo.go: the whole product with something in it.
package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sparekey/sparekey/internal/account"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/doctor"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/numbers"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/porting"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/settings"
	"github.com/sparekey/sparekey/internal/signin"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// Options are what a program decides and a configuration does not.
type Options struct {
	Clock        func() time.Time
	Log          *slog.Logger
	Hash         password.Options // zero: the real cost; tests use less
	NoMigrate    bool             // refuse an old schema instead of migrating it
	MeasureEvery time.Duration    // how often clocks are compared; zero: as usual
}

// Core is an open database with its keys and the verbs on it.
type Core struct {
	Config config.Config
	Log    *slog.Logger
	Clock  func() time.Time

	DB          *db.DB
	Ring        *keyring.Ring
	Hasher      *password.Hasher
	SignIn      *signin.SignIn
	Recovery    *recovery.Recovery
	Account     *account.Account
	UserManager *usermanager.UserManager
	Settings    *settings.Settings
	Porting     *porting.Porting
	Help        *help.Help
	Numbers     *numbers.Numbers
	Doctor      *doctor.Doctor
}

// OpenDatabase opens the database and brings it up to date.
func OpenDatabase(ctx context.Context, c config.Config, o Options) (*db.DB, error) {
	d, err := db.Open(ctx, db.Config{Engine: c.Database.Engine, DSN: c.Database.DSN, Clock: o.Clock, MeasureEvery: o.MeasureEvery})
	if err != nil {
		return nil, err
	}
	if err := upToDate(ctx, d, o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func upToDate(ctx context.Context, d *db.DB, o Options) error {
	if !o.NoMigrate {
		_, err := d.Migrate(ctx)
		return err
	}
	pending, err := d.Pending(ctx)
	if err == nil && pending {
		err = fault.New(fault.Conflict, "The database is older than this program. Run: sparekey migrate")
	}
	return err
}

// Open opens everything a command needs.
func Open(ctx context.Context, c config.Config, o Options) (*Core, error) {
	d, err := OpenDatabase(ctx, c, o)
	if err != nil {
		return nil, err
	}
	if err := d.Update(ctx, environment.MakeOperators); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	ring, err := keyring.Open(ctx, d, c.KeyFile)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	h := password.NewHasher(o.Hash)
	core := &Core{
		Config: c, Log: o.Log, Clock: o.Clock, DB: d, Ring: ring, Hasher: h,
		SignIn:      &signin.SignIn{DB: d, Ring: ring, Hasher: h, NoLimits: c.LimitsOff},
		Recovery:    &recovery.Recovery{DB: d, Ring: ring, Hasher: h, NoLimits: c.LimitsOff},
		Account:     &account.Account{DB: d, Ring: ring, Hasher: h},
		UserManager: &usermanager.UserManager{DB: d, Hasher: h},
		Settings:    &settings.Settings{DB: d},
		Porting:     &porting.Porting{DB: d},
		Help:        &help.Help{DB: d, Ring: ring, NoLimits: c.LimitsOff},
		Numbers:     &numbers.Numbers{DB: d},
		Doctor:      &doctor.Doctor{Config: c, DB: d, Ring: ring, Clock: o.Clock},
	}
	core.UserManager.Servers = core.serversAsTold
	return core, nil
}

// Close closes the database.
func (c *Core) Close() error { return c.DB.Close() }
