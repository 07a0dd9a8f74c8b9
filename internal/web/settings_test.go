package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/testkit"
)

func TestSettingsAreSavedAndHold(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.example")
		old := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		ada := signedInAdmin(w)
		form := ada.Get("/acme/users").Follow("Settings")
		require.Equal(t, "24h", form.Value("A reset link works for"))
		require.Contains(t, form.Press("Save settings").Text(), "Nothing was different.")

		saved := ada.Get("/acme/settings").Choose("A reset link works for", "30 minutes").Fill("An invitation works for (days)", "2").
			Fill("Shortest password (characters)", "9").Fill("Help line", "Call Ünï 555").Fill("Help address", "help@acme.example").
			Fill("Accent colour", "#0B6E5A").Press("Save settings")
		require.Contains(t, saved.Text(), "The settings are saved. Links that were made before keep their own end.")
		require.Equal(t, "30m", saved.Value("A reset link works for"))
		require.Equal(t, "2", saved.Value("An invitation works for (days)"))
		require.Equal(t, "#0b6e5a", saved.Value("Accent colour"))
		require.Contains(t, w.Browser().Get("/acme/login").Text(), "Call Ünï 555")
		require.Contains(t, w.Browser().Get("/acme/theme.css").Body, "#0b6e5a")
		require.Positive(t, countOf(w, "SELECT count(*) FROM events WHERE kind = 'policy changed' AND actor_name = 'Ada Admin'"))

		w.Inbox.Clear()
		askAndResolve(w, "jane@acme.example")
		mail := w.Mail("jane@acme.example", "Reset your password")
		require.Contains(t, string(mail.Raw), "Reply-To: <help@acme.example>")
		w.Clock.Advance(31 * time.Minute)
		require.Equal(t, http.StatusGone, w.Browser().Get(mail.LinkTo("/reset-password/")).Status)
		short := w.Browser().Get(old).Fill("New password", "nine char").Press("Set new password")
		require.Equal(t, "/acme/login", short.URL.Path, "the earlier link keeps its end; nine characters are enough")
	})
}

func TestWhatSettingsCannotBe(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		idle(w)
		before := everyRow(w)
		for _, test := range []struct{ field, value, says string }{
			{"link_life", "9m", "10m to 24h"},
			{"link_life", "25h", "10m to 24h"},
			{"link_life", "soon", "10m to 24h"},
			{"invitation_days", "0", "1 to 14 days"},
			{"invitation_days", "15", "1 to 14 days"},
			{"invitation_days", "two", "1 to 14 days"},
			{"invitation_days", "768614336404564651", "1 to 14 days"}, // times 24 is 8 in 64 bits
			{"admin_links", "sometimes", "existing-token, mint or off"},
			{"min_length", "7", "8 to 15"},
			{"min_length", "16", "8 to 15"},
			{"after_reset", "elsewhere", "login or signed-in"},
			{"help_line", strings.Repeat("ü", 201), "up to 200 characters"},
			{"help_line", "two\nlines", "up to 200 characters"},
			{"help_email", "nobody", "an e-mail address, or nothing"},
			{"help_email", "@", "an e-mail address, or nothing"},
			{"help_email", "a@b@c", "an e-mail address, or nothing"},
			{"help_email", "help@acme.example\r\nBcc: x@evil.example", "an e-mail address, or nothing"},
			{"accent", "red", "a colour such as"},
			{"accent", "#ffff00", "white text can be read on"},
		} {
			page := ada.Post("/acme/settings", fields("after_reset", "login", test.field, test.value))
			require.Equal(t, http.StatusUnprocessableEntity, page.Status, "%s=%q", test.field, test.value)
			require.Equal(t, "Settings", page.Heading())
			require.Contains(t, page.Text(), test.says, "%s=%q", test.field, test.value)
			require.NotContains(t, page.Text(), "cannot be", "people do not read the names of settings")
		}
		both := ada.Post("/acme/settings", fields("link_life", "1s", "min_length", "99"))
		require.Contains(t, both.Text(), "10m to 24h")
		require.Contains(t, both.Text(), "8 to 15", "all mistakes at once")
		require.Empty(t, differences(before, everyRow(w)), "all or none")

		longest := ada.Post("/acme/settings", fields("help_line", strings.Repeat("ü", 200)))
		require.Equal(t, http.StatusOK, longest.Status, "characters, not octets")
	})
}

// TestNoSettingStopsTheMail: whatever an admin may save, mails still go out.
func TestNoSettingStopsTheMail(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		for _, address := range []string{"help@acme.example", "hélp@acme.example", "help@bücher.example", "a@b", ".x@acme.example", "help@-acme.example", "he|p@acme.example", `"x"@acme.example`, "help@[127.0.0.1]", "help@acme..example"} {
			saved := ada.Post("/acme/settings", url.Values{"help_email": {address}})
			if saved.Status != http.StatusOK {
				require.Equal(t, http.StatusUnprocessableEntity, saved.Status, address)
				continue
			}
			w.Inbox.Clear()
			w.Clock.Advance(2 * time.Hour)
			askAndResolve(w, "jane@acme.example")
			require.Equal(t, []string{"Reset your password"}, mailsTo(w, "jane@acme.example"), address)
			ada = signedInAdmin(w)
		}
	})
}

func TestAFormOpenForLongChangesOnlyWhatThePersonChanged(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"link_life": "90m", "invitation_life": "36h"})
		b := w.Browser()
		b.SignIn("admin@acme.example", testkit.Passphrase)
		open := b.Get("/acme/settings")
		w.SetPolicy(map[string]string{"admin_links": "off"})
		open.Fill("Help line", "Call 555").Press("Save settings")
		env, err := w.App.Settings.BySlug(w.Ctx(), "acme")
		require.NoError(t, err)
		require.Equal(t, "Call 555", env.Policy.HelpLine)
		require.Equal(t, environment.Off, env.Policy.AdminLinks, "what somebody else saved meanwhile stays")
		require.Equal(t, 90*time.Minute, env.Policy.LinkLife, "and what the form cannot show")
		require.Equal(t, 36*time.Hour, env.Policy.InvitationLife)
	})
}

// TestWhatTwoChangeAtOnceIsSaidToTheSecond, who then decides.
func TestWhatTwoChangeAtOnceIsSaidToTheSecond(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		ada := signedInAdmin(w)
		settings, edit := ada.Get("/acme/settings"), ada.Get("/acme/users/"+string(w.Jane.ID)+"/edit")
		ada.Get("/acme/settings").Fill("Help line", "Call 1").Press("Save settings")
		ada.Get("/acme/users/"+string(w.Jane.ID)+"/edit").Fill("Name", "Jane D.").Press("Save")

		second := settings.Fill("Help line", "Call 2").Press("Save settings")
		require.Equal(t, http.StatusConflict, second.Status)
		require.Contains(t, second.Text(), "Somebody changed this to “Call 1” while the form was open.")
		require.Equal(t, "Call 2", second.Value("Help line"), "what was typed stays")
		require.Contains(t, second.Press("Save settings").Text(), "The settings are saved.")

		second = edit.Fill("Name", "Jane Roe").Press("Save")
		require.Equal(t, http.StatusConflict, second.Status)
		require.Contains(t, second.Text(), "Somebody changed this to “Jane D.” while the form was open.")
		require.Equal(t, "Jane Roe", second.Value("Name"))
		require.Contains(t, second.Press("Save").Text(), "The name is saved.")
		require.Equal(t, "Jane Roe", ada.Get("/acme/users/"+string(w.Jane.ID)+"/edit").Value("Name"))

		edit = ada.Get("/acme/users/" + string(w.Jane.ID) + "/edit")
		ada.Get("/acme/users/"+string(w.Jane.ID)+"/edit").Fill("Email", "jd@acme.example").Press("Save")
		confirm := w.Browser().Get(w.Mail("jd@acme.example", "Confirm your new e-mail address").LinkTo("/confirm-address/"))
		require.Equal(t, http.StatusOK, confirm.Press("Use this address").Status)
		second = edit.Fill("Email", "jroe@acme.example").Press("Save")
		require.Equal(t, http.StatusConflict, second.Status)
		require.Contains(t, second.Text(), "Somebody changed this to “jd@acme.example”")
		require.Contains(t, second.Press("Save").Text(), "We sent a link to jroe@acme.example")
	})
}
