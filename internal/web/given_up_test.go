package web_test

import (
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// TestGivingUpIsToldAsItWas: three days are named only where it were three.
func TestGivingUpIsToldAsItWas(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		refuse(w, janeEmail, 450, smtp.EnhancedCode{4, 7, 1}, "the recipient's blocked senders list holds you")
		askAndResolve(w, janeEmail)
		settled(w)
		ada := w.Browser()
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		jane := "/acme/users/" + string(w.Jane.ID)
		require.Contains(t, ada.Get(jane).Text(), "Given up after one try")
		require.NotContains(t, ada.Get(jane).Text(), "three days")
		require.NotContains(t, ada.Get("/acme/users").Text(), "three days")

		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			_, err := tx.Exec("UPDATE messages SET made_at = $1", tx.Now().Add(-73*time.Hour))
			return err
		}))
		require.Contains(t, ada.Get(jane).Text(), "Given up after three days")
	})
}
