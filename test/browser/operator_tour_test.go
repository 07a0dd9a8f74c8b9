package browser_test

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/testkit"
)

// operator walks over the console.
func (s *Stage) operator(see look) {
	s.App.Doctor.Limit = 200 * time.Millisecond
	env, err := s.App.Settings.BySlug(s.Ctx(), environment.OperatorSlug)
	require.NoError(s.t, err)
	s.AddUser(env, "operator@sparekey.example", "Olivia Operator", access.ServerOperator)
	b := s.profile(firefoxOnWindows, 80)
	b.Open("/operator")
	b.Fill("Email", "operator@sparekey.example")
	b.Fill("Password", testkit.Passphrase)
	b.Press("Log in")
	see("console", b)
	require.NoError(s.t, s.App.DB.Update(s.Ctx(), func(tx *db.Tx) error {
		for _, a := range []alarm.Answer{
			{Finding: diagnosis.Finding{Class: diagnosis.OwnSetup, Reply: "535 5.7.8 Authentication failed"}, Server: "smtp.server.example:587"},
			{Finding: diagnosis.Finding{Class: diagnosis.Unknown, Reply: "550 5.9.9 The stars do not favour this"}, Domain: "globex.example", Stage: "rcpt"},
		} {
			if err := alarm.Notice(tx, a); err != nil {
				return err
			}
		}
		return nil
	}))
	b.Open("/operator")
	see("console-alarms", b)
	b.Open("/operator/unknown-replies")
	see("unknown-replies", b)
	b.Open("/operator/numbers")
	see("operator-numbers", b)
	b.Open("/operator/environments")
	b.Press("Suspend Acme")
	see("operator-environments", b)
	b.Open("/operator/mail-setup")
	b.Press("Check now")
	see("mail-setup", b)
}
