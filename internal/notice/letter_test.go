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

// TestALetterGivenAlongIsTheOneThatWouldBeRead: a mail that is sent at once says what
// it would say if it were sent later.
func TestALetterGivenAlongIsTheOneThatWouldBeRead(t *testing.T) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) {
		d := database.Open(t, engine, time.Now)
		_, err := keyring.Open(t.Context(), d, filepath.Join(t.TempDir(), "key"))
		require.NoError(t, err)
		var env environment.Environment
		var jane, ivan user.User
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) (err error) {
			if env, err = environment.Create(tx, "acme", "Acme"); err != nil {
				return err
			}
			if jane, err = user.Create(tx, env.ID, user.New{Email: parsed(t, "jane@acme.example"), Name: "Jane Doe", Role: access.Member, State: user.Active, PasswordHash: "stored"}); err != nil {
				return err
			}
			ivan, err = user.Create(tx, env.ID, user.New{Email: parsed(t, "ivan@acme.example"), Name: "Ivan", Role: access.Member, State: user.Invited})
			return err
		}))
		admin := access.Actor{Environment: env.ID, User: id.New[id.User](), Name: "Ada", Role: access.ClientAdmin, From: access.From{Network: "192.0.2.7", Agent: "Firefox"}}
		to := notice.To{User: jane.ID, Name: jane.Name, Email: jane.Email}
		open := func(tx *db.Tx, of user.User, purpose secret.Purpose) token.Token {
			tok, err := token.Open(tx, env.ID, of.ID, purpose)
			require.NoError(t, err)
			return tok
		}

		given, goOn := make(chan notice.Letter), make(chan struct{})
		pool := &outbox.Pool{
			DB: d, Kind: outbox.Send, Size: 4, Log: slog.New(slog.DiscardHandler),
			Load: func(tx *db.Tx, j outbox.Job) (any, error) {
				return notice.Find(tx, j.Environment, id.Message(j.Subject))
			},
			Handle: func(ctx context.Context, j outbox.Job) error {
				given <- j.Loaded.(notice.Letter)
				<-goOn
				j.Committed()
				return d.Update(ctx, func(tx *db.Tx) error { _, err := outbox.Done(tx, j); return err })
			},
		}
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { pool.Run(ctx, context.Background()); close(stopped) }()

		// queue lets something be queued, and compares each letter with the one in the database.
		queue := func(kinds []mail.Kind, fn func(tx *db.Tx) error) {
			t.Helper()
			committed := make(chan error, 1)
			go func() { committed <- d.Update(t.Context(), fn) }()
			letters := map[mail.Kind]notice.Letter{}
			for range kinds {
				l := <-given
				letters[mail.Kind(l.Message.Kind)] = l
			}
			require.NoError(t, <-committed)
			for _, kind := range kinds {
				l, ok := letters[kind]
				require.True(t, ok, "%s: %v", kind, letters)
				require.NoError(t, d.View(t.Context(), func(tx *db.Tx) error {
					read, err := notice.Find(tx, env.ID, l.Message.ID)
					l.Token.Fresh = false // is not stored
					require.Equal(t, read, l, kind)
					return err
				}))
			}
			for range kinds {
				goOn <- struct{}{}
			}
		}
		// The first is given along if the pool has begun, and claimed else.
		queue([]mail.Kind{mail.Reset}, func(tx *db.Tx) error {
			whom := to
			whom.Names = notice.Names{Message: id.New[id.Message](), Link: secret.NewLinkID().String(), NotMe: secret.NewLinkID().String()}
			return notice.ResetLink(tx, env, whom, open(tx, jane, secret.Reset), time.Hour, access.Actor{})
		})
		queue([]mail.Kind{mail.ResetByAdmin}, func(tx *db.Tx) error {
			return notice.ResetLink(tx, env, to, open(tx, jane, secret.Reset), time.Hour, admin)
		})
		queue([]mail.Kind{mail.Reset}, func(tx *db.Tx) error {
			return notice.ResetCode(tx, env, to, open(tx, jane, secret.Reset), time.Hour, access.Actor{})
		})
		queue([]mail.Kind{mail.ResetAfterNotMe}, func(tx *db.Tx) error {
			return notice.AfterNotMe(tx, env, to, open(tx, jane, secret.Reset), time.Hour)
		})
		queue([]mail.Kind{mail.AdminLink}, func(tx *db.Tx) error {
			return notice.AdminLink(tx, env, to, open(tx, jane, secret.Reset), admin)
		})
		queue([]mail.Kind{mail.PasswordChanged}, func(tx *db.Tx) error {
			return notice.PasswordChanged(tx, env, to, open(tx, jane, secret.Reset).ID, admin, 3)
		})
		queue([]mail.Kind{mail.AddressConfirm, mail.AddressChanged}, func(tx *db.Tx) error {
			return notice.AddressChange(tx, env, to, "jane.doe@acme.example", false, admin)
		})
		queue([]mail.Kind{mail.AddressConfirm, mail.AddressChanged}, func(tx *db.Tx) error {
			return notice.AddressChange(tx, env, to, "ivan@acme.example", true, admin)
		})
		queue([]mail.Kind{mail.Digest}, func(tx *db.Tx) error {
			return notice.Digest(tx, env, to, []notice.Stuck{{Name: "Jo", Why: "asked often"}}, 2)
		})
		queue([]mail.Kind{mail.Invitation}, func(tx *db.Tx) error {
			return notice.ResetLink(tx, env, notice.To{User: ivan.ID, Name: ivan.Name, Email: ivan.Email}, open(tx, ivan, secret.Invite), time.Hour, admin)
		})
		require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) error {
			return suppression.Add(tx, env.ID, suppression.Entry{AddressKey: parsed(t, jane.Email).Key, Class: "no-such-mailbox", Since: tx.Now()})
		}))
		queue([]mail.Kind{mail.NewSignIn}, func(tx *db.Tx) error { return notice.NewSignIn(tx, env, to, admin) })
		stop()
		<-stopped
	})
}

func parsed(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	require.NoError(t, err)
	return a
}
