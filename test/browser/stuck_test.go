package browser_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit"
)

func init() { tours["stuck"] = (*Stage).stuck }

// stuck walks over what an administrator is told when mail fails: refused,
// full, and taken but never opened.
func (s *Stage) stuck(see look) {
	s.Inbox.SetFate(func(_, to string, _ []byte) error {
		switch to {
		case "amara.okafor@acme.example":
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "User unknown in virtual mailbox table"}
		case "leila.haddad@acme.example":
			return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox full"}
		}
		return nil
	})
	for i, email := range []string{"amara.okafor@acme.example", "leila.haddad@acme.example", "jane@acme.example", "jane@acme.example", "jane@acme.example"} {
		s.ask(email, 40+i)
	}
	require.Eventually(s.t, func() bool {
		n := 0
		s.View(func(tx *db.Tx) (err error) {
			in, args := db.Among([]any{s.Acme.ID}, []id.User{s.ids["Amara Okafor"], s.ids["Leila Haddad"], s.ids["Jane Doe"]})
			n, err = db.One[int](tx, "SELECT count(*) FROM cases WHERE environment_id = $1 AND user_id IN ("+in+")", args...)
			return err
		})
		return n == 3
	}, 20*time.Second, 10*time.Millisecond)
	s.Clock.Advance(12 * time.Minute)

	b := s.profile(firefoxOnWindows, 1)
	b.SignIn("admin@acme.example", testkit.Passphrase)
	b.Open("/acme/needs-help")
	see("needs-help", b)
	b.Open(s.user("Amara Okafor"))
	see("user-no-such-mailbox", b)
	b.Open(s.user("Leila Haddad"))
	see("user-mailbox-full", b)
	b.Open("/acme/users?q=" + s.caseOf("leila.haddad@acme.example"))
	see("user-manager-case", b)
	b.Open("/acme/needs-help")
	for b.Shows("Done") {
		b.Press("Done")
	}
	see("needs-help-nobody", b)
}

func (s *Stage) caseOf(email string) string {
	number := ""
	s.View(func(tx *db.Tx) (err error) {
		number, err = db.One[string](tx, "SELECT case_number FROM requests WHERE environment_id = $1 AND address_key = $2 ORDER BY made_at DESC LIMIT 1", s.Acme.ID, email)
		return err
	})
	return number
}

// TestTheTimesOfADiagnosisAreTheReaders: in their own zone, and without a script
// in UTC, which then stands there.
func TestTheTimesOfADiagnosisAreTheReaders(t *testing.T) {
	t.Parallel()
	w := world(t)
	w.Clock.Freeze()
	now := w.Clock.Now().UTC()
	w.Clock.Advance(time.Date(now.Year(), now.Month(), now.Day()+1, 20, 10, 0, 0, time.UTC).Sub(now))
	now = w.Clock.Now().UTC()
	_, err := w.App.Recovery.Ask(w.Ctx(), w.Acme, "jane@acme.example", access.From{Network: "192.0.2.7", Agent: testkit.Firefox})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n := 0
		w.View(func(tx *db.Tx) (err error) {
			n, err = db.One[int](tx, "SELECT count(*) FROM messages WHERE state = 'sent'")
			return err
		})
		return n == 1
	}, 20*time.Second, 10*time.Millisecond)
	w.Clock.Advance(12 * time.Minute)
	for zone, words := range map[string]string{
		"UTC": "20:10; nobody", "Asia/Kolkata": "01:40; nobody", "America/New_York": "1[56]:10; nobody", "": "20:10 UTC; nobody",
	} {
		ada := Profile(t, w.URL)
		if zone == "" {
			ada.WithoutScript()
		} else {
			call(ada, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		}
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		ada.Open("/acme/users/" + string(w.Jane.ID))
		require.Regexp(t, "Their server took it at "+words, ada.Text(), zone)
	}
	w.Clock.Advance(8 * time.Hour)
	ada := Profile(t, w.URL)
	call(ada, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	ada.SignIn("admin@acme.example", testkit.Passphrase)
	ada.Open("/acme/users/" + string(w.Jane.ID))
	require.Contains(t, ada.Text(), "Their server took it at 20:10 on "+now.Format("2 January")+"; nobody")

	_, err = w.App.Recovery.CancelToken(w.Ctx(), access.Operator(), w.Acme, w.Jane.ID)
	require.NoError(t, err)
	call(ada, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"})
	ada.Open("/acme/users/" + string(w.Jane.ID))
	require.Regexp(t, "The last one ended today at 09:52: ", ada.Text(), "04:22 UTC")
}

// TestAUserPageFollowsWhatHappens: somebody looks at a user's page while the
// person asks, opens the link and is back in, and never reloads.
func TestAUserPageFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	w := world(t)
	ada, jane := Profile(t, w.URL), Profile(t, w.URL)
	ada.SignIn("admin@acme.example", testkit.Passphrase)
	ada.Open("/acme/users/" + string(w.Jane.ID))
	require.Contains(t, ada.Text(), "has never asked for one")

	ask(jane, "jane@acme.example")
	ada.Until("the mail shows", "() => document.body.innerText.includes('The server of acme.example took the mail')")
	ada.Until("the token shows", "() => document.body.innerText.includes('Works until')")

	// An open choice is not taken away under the hand.
	ada.Choose("Action for Jane Doe", "Cancel reset token")
	jane.Open(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
	jane.Fill("New password", newPassphrase)
	jane.Press("Set new password")
	ada.Until("the password shows once the choice is left", "() => { document.activeElement.blur(); return document.body.innerText.includes('Jane Doe set a new password') }")
}
