package notice_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/notice"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/suppression"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// world is environment acme with Jane, Ivan who is invited, and senders that show each
// letter and wait to be told to go on.
type world struct {
	t          *testing.T
	d          *db.DB
	env        environment.Environment
	jane, ivan user.User
	admin      access.Actor
	given      chan notice.Letter
	goOn       chan struct{}
}

func newWorld(t *testing.T, engine string) *world {
	t.Helper()
	w := &world{t: t, d: database.Open(t, engine, time.Now), given: make(chan notice.Letter), goOn: make(chan struct{})}
	_, err := keyring.Open(t.Context(), w.d, filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	require.NoError(t, w.d.Update(t.Context(), func(tx *db.Tx) (err error) {
		if w.env, err = environment.Create(tx, "acme", "Acme"); err != nil {
			return err
		}
		jane := user.New{Email: parsed(t, "jane@acme.example"), Name: "Jane Doe", Role: access.Member, State: user.Active, PasswordHash: "stored"}
		if w.jane, err = user.Create(tx, w.env.ID, jane); err != nil {
			return err
		}
		w.ivan, err = user.Create(tx, w.env.ID, user.New{Email: parsed(t, "ivan@acme.example"), Name: "Ivan", Role: access.Member, State: user.Invited})
		return err
	}))
	w.admin = access.Actor{Environment: w.env.ID, User: id.New[id.User](), Name: "Ada", Role: access.ClientAdmin, From: access.From{Network: "192.0.2.7", Agent: "Firefox"}}
	pool := &outbox.Pool{
		DB: w.d, Kind: outbox.Send, Size: 4, Log: slog.New(slog.DiscardHandler),
		Load: func(tx *db.Tx, j outbox.Job) (any, error) {
			return notice.Find(tx, j.Environment, id.Message(j.Subject))
		},
		Handle: func(ctx context.Context, j outbox.Job) error {
			w.given <- j.Loaded.(notice.Letter)
			<-w.goOn
			j.Committed()
			return w.d.Update(ctx, func(tx *db.Tx) error { _, err := outbox.Done(tx, j); return err })
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { pool.Run(ctx, context.Background()); close(stopped) }()
	t.Cleanup(func() { stop(); <-stopped })
	return w
}

func (w *world) open(tx *db.Tx, of user.User, purpose secret.Purpose) token.Token {
	t, err := token.Open(tx, w.env.ID, of.ID, purpose)
	require.NoError(w.t, err)
	return t
}

// queue lets mails of these kinds be queued, and compares each letter with the one in
// the database.
func (w *world) queue(kinds []mail.Kind, fn func(tx *db.Tx) error) {
	w.t.Helper()
	committed := make(chan error, 1)
	go func() { committed <- w.d.Update(w.t.Context(), fn) }()
	letters := map[mail.Kind]notice.Letter{}
	for range kinds {
		l := <-w.given
		letters[mail.Kind(l.Message.Kind)] = l
	}
	require.NoError(w.t, <-committed)
	for _, kind := range kinds {
		l, ok := letters[kind]
		require.True(w.t, ok, "%s: %v", kind, letters)
		require.NoError(w.t, w.d.View(w.t.Context(), func(tx *db.Tx) error {
			read, err := notice.Find(tx, w.env.ID, l.Message.ID)
			l.Token.Fresh = false // is not stored
			require.Equal(w.t, read, l, kind)
			return err
		}))
	}
	for range kinds {
		w.goOn <- struct{}{}
	}
}

// TestALetterGivenAlongIsTheOneThatWouldBeRead: a mail that is sent at once says what
// it would say if it were sent later.
func TestALetterGivenAlongIsTheOneThatWouldBeRead(t *testing.T) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		w := newWorld(t, engine)
		to := notice.To{User: w.jane.ID, Name: w.jane.Name, Email: w.jane.Email}
		// The first is given along if the pool has begun, and claimed else.
		w.queue([]mail.Kind{mail.Reset}, func(tx *db.Tx) error {
			whom := to
			whom.Names = notice.Names{Message: id.New[id.Message](), Link: secret.NewLinkID().String(), NotMe: secret.NewLinkID().String()}
			return notice.ResetLink(tx, w.env, whom, w.open(tx, w.jane, secret.Reset), time.Hour, access.Actor{})
		})
		w.queue([]mail.Kind{mail.ResetByAdmin}, func(tx *db.Tx) error {
			return notice.ResetLink(tx, w.env, to, w.open(tx, w.jane, secret.Reset), time.Hour, w.admin)
		})
		w.queue([]mail.Kind{mail.Reset}, func(tx *db.Tx) error {
			return notice.ResetCode(tx, w.env, to, w.open(tx, w.jane, secret.Reset), time.Hour, access.Actor{})
		})
		w.queue([]mail.Kind{mail.ResetAfterNotMe}, func(tx *db.Tx) error {
			return notice.AfterNotMe(tx, w.env, to, w.open(tx, w.jane, secret.Reset), time.Hour)
		})
		w.queue([]mail.Kind{mail.AdminLink}, func(tx *db.Tx) error {
			return notice.AdminLink(tx, w.env, to, w.open(tx, w.jane, secret.Reset), w.admin)
		})
		w.queue([]mail.Kind{mail.PasswordChanged}, func(tx *db.Tx) error {
			return notice.PasswordChanged(tx, w.env, to, w.open(tx, w.jane, secret.Reset).ID, w.admin, 3)
		})
		w.queue([]mail.Kind{mail.AddressConfirm, mail.AddressChanged}, func(tx *db.Tx) error {
			return notice.AddressChange(tx, w.env, to, "jane.doe@acme.example", false, w.admin)
		})
		w.queue([]mail.Kind{mail.AddressConfirm, mail.AddressChanged}, func(tx *db.Tx) error {
			return notice.AddressChange(tx, w.env, to, "ivan@acme.example", true, w.admin)
		})
		w.queue([]mail.Kind{mail.Digest}, func(tx *db.Tx) error {
			return notice.Digest(tx, w.env, to, []notice.Stuck{{Name: "Jo", Why: "asked often"}}, 2)
		})
		w.queue([]mail.Kind{mail.Invitation}, func(tx *db.Tx) error {
			ivan := notice.To{User: w.ivan.ID, Name: w.ivan.Name, Email: w.ivan.Email}
			return notice.ResetLink(tx, w.env, ivan, w.open(tx, w.ivan, secret.Invite), time.Hour, w.admin)
		})
		require.NoError(t, w.d.Update(t.Context(), func(tx *db.Tx) error {
			return suppression.Add(tx, w.env.ID, suppression.Entry{AddressKey: w.jane.EmailKey, Class: "no-such-mailbox", Since: tx.Now()})
		}))
		w.queue([]mail.Kind{mail.NewSignIn}, func(tx *db.Tx) error { return notice.NewSignIn(tx, w.env, to, w.admin) })
	})
}

func parsed(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	require.NoError(t, err)
	return a
}
