package browser_test

import (
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// numbers looks at the numbers of an environment that nobody has asked in, of
// one with the past of the stage, and of a busy one.
func (s *Stage) numbers(see look) {
	b := s.profile(firefoxOnWindows, 1)
	b.SignIn("admin@acme.example", testkit.Passphrase)
	b.Open("/acme/numbers")
	see("numbers", b)
	s.busyMonth()
	b.Open("/acme/numbers")
	see("numbers-busy", b)
	b.Open("/acme/numbers?days=90")
	see("numbers-90", b)
	require.NoError(s.t, s.App.DB.Update(s.Ctx(), func(tx *db.Tx) error {
		for _, table := range []string{"recovery_days", "tokens", "requests"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE environment_id = $1", s.Acme.ID); err != nil {
				return err
			}
		}
		return nil
	}))
	s.Clock.Advance(2 * time.Minute)
	b.Open("/acme/numbers?days=7")
	see("numbers-nobody", b)
}

// busyMonth writes counted days as a month of a company of thousands has them.
func (s *Stage) busyMonth() {
	luck := rand.New(rand.NewPCG(3, 4))
	today := int(s.Clock.Now().Unix() / 86400)
	require.NoError(s.t, s.App.DB.Update(s.Ctx(), func(tx *db.Tx) error {
		for day := today - 45; day < today-1; day++ {
			asked := 30 + luck.IntN(40)
			if day%7 < 2 {
				asked /= 6
			}
			used := asked * 85 / 100
			alone := used * 92 / 100
			counts := map[string]int{
				"asked": asked, "reached": asked * 97 / 100, "opened": asked * 90 / 100, "sent": asked * 88 / 100, "used": used, "signed in": used * 98 / 100,
				"alone": alone, "helped": used - alone, "nobody": asked / 12,
				"why:not-opened": (asked - used) / 2, "why:mailbox-full": (asked - used) / 4, "why:opened": (asked - used) / 5, "why:no-such-mailbox": (asked - used) / 8,
				"time:10": used / 5, "time:13": used / 4, "time:15": used / 6, "time:19": used / 8, "time:25": used / 10, "time:35": used / 12, "time:44": used / 30,
			}
			for measure, n := range counts {
				if _, err := tx.Exec("INSERT INTO recovery_days (environment_id, day, measure, n) VALUES ($1, $2, $3, $4) ON CONFLICT (environment_id, day, measure) DO UPDATE SET n = excluded.n", s.Acme.ID, day, measure, n); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}
