package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/alarm"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/web"
)

const operatorMail = "olga@server.example"

// operators gives the reserved environment with one operator in it.
func operators(w *testkit.World) environment.Environment {
	w.T.Helper()
	env, err := w.App.Settings.BySlug(w.Ctx(), environment.OperatorSlug)
	require.NoError(w.T, err)
	w.AddUser(env, operatorMail, "Olga Operator", access.ServerOperator)
	return env
}

func signInAt(b *testkit.Browser, slug, email string) *testkit.Page {
	return b.Get("/"+slug+"/login").Fill("Email", email).Fill("Password", testkit.Passphrase).Press("Log in")
}

// renamed gives cookies of one environment as if they were another's.
func renamed(cookies []*http.Cookie, from, to string) []*http.Cookie {
	for _, c := range cookies {
		c.Name = strings.ReplaceAll(c.Name, from, to)
	}
	return cookies
}

// consoleWalk has an entry for every route of the console.
var consoleWalk = map[string]struct {
	form url.Values
	want int // for an operator
}{
	"GET /operator":                      {nil, 200},
	"GET /operator/{$}":                  {nil, 200},
	"POST /operator/alarms":              {fields("name", "stuck", "about", "", "environment", ""), 303},
	"GET /operator/environments":         {nil, 200},
	"POST /operator/environments":        {fields("do", "suspend", "slug", "acme", "confirm", "yes"), 303},
	"GET /operator/numbers":              {nil, 200},
	"GET /operator/numbers/{slug}":       {nil, 200},
	"GET /operator/feedback/{slug}":      {nil, 200},
	"GET /operator/feedback/{slug}/csv":  {nil, 200},
	"GET /operator/feedback/{slug}/json": {nil, 200},
	"GET /operator/unknown-replies":      {nil, 200},
	"POST /operator/unknown-replies":     {fields("reply", "none"), 303},
	"GET /operator/mail-setup":           {nil, 200},
	"POST /operator/mail-setup":          {fields(), 200},
}

func TestTheConsoleIsForOperators(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.App.Doctor.Limit = 100 * time.Millisecond
		env := operators(w)
		a, err := address.Parse("canary@server.example")
		require.NoError(t, err)
		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			olga, err := user.FindByEmail(tx, env.ID, operatorMail)
			require.NoError(t, err)
			_, err = user.Create(tx, env.ID, user.New{
				Email: a, Name: "Canary", Role: access.Member, State: user.Active, PasswordHash: olga.PasswordHash, PasswordShape: olga.PasswordShape,
			})
			return err
		}))
		cookies := map[string][]*http.Cookie{"nobody": nil}
		for who, mail := range map[string]string{"member": w.Jane.Email, "helpdesk": w.Help.Email, "admin": w.Admin.Email} {
			b := w.Browser()
			signInAt(b, "acme", mail)
			cookies[who] = b.Cookies()
			cookies[who+" with the cookie renamed"] = renamed(b.Cookies(), "acme", "operator")
		}
		canary, olga := w.Browser(), w.Browser()
		require.Equal(t, "/operator/account", signInAt(canary, "operator", "canary@server.example").URL.Path)
		require.Equal(t, "/operator", signInAt(olga, "operator", operatorMail).URL.Path)

		walked := 0
		for _, route := range web.Routes() {
			if route.Guard != web.Operators {
				continue
			}
			walked++
			step, ok := consoleWalk[route.Method+" "+route.Pattern]
			require.True(t, ok, "%s %s is in no table: say in consoleWalk what an operator gets", route.Method, route.Pattern)
			path := strings.NewReplacer("{$}", "", "{slug}", "acme").Replace(route.Pattern)
			idle(w)
			before := everyRow(w)
			for who, c := range cookies {
				res := sendRaw(w, route.Method, path, step.form, c)
				require.Equal(t, http.StatusSeeOther, res.StatusCode, "%s %s as %s", route.Method, path, who)
				require.True(t, strings.HasPrefix(res.Header.Get("Location"), "/operator/login"), "%s as %s", path, who)
			}
			require.Equal(t, http.StatusForbidden, sendRaw(w, route.Method, path, step.form, canary.Cookies()).StatusCode, "%s %s as a member", route.Method, path)
			require.Empty(t, differences(before, everyRow(w)), "%s %s was refused and changed rows", route.Method, path)
			require.Equal(t, step.want, sendRaw(w, route.Method, path, step.form, olga.Cookies()).StatusCode, "%s %s", route.Method, path)
		}
		require.Len(t, consoleWalk, walked)
	})
}

// TestOperatorsSeeTheNumbersOfAll, and what readers of the help say; of people they
// see nothing.
func TestOperatorsSeeTheNumbersOfAll(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		operators(w)
		_, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
		require.NoError(t, err)
		for _, email := range []string{janeEmail, "admin@acme.example"} {
			askAndResolve(w, email)
		}
		w.Browser().Get("/acme/help/no-mail").Press("Yes")
		b := w.Browser()
		all := signInAt(b, "operator", operatorMail).Follow("Numbers")
		require.Contains(t, all.Text(), "Over all environments: 0 of 2 tries led back in without an administrator.")
		require.Contains(t, all.Text(), "Globex Nobody has asked in 30 days.")
		require.Contains(t, all.Follow("7 days").Text(), "Nobody has asked in 7 days.")
		acme := all.Follow("Numbers of Acme")
		require.Equal(t, "/operator/numbers/acme", acme.URL.Path)
		require.Contains(t, acme.Text(), "How people at Acme get back in.")
		require.Contains(t, acme.Follow("90 days").Text(), "tries led back in without an administrator 0 of 2")
		said := acme.Follow("Numbers of all environments").Follow("What readers say at Acme")
		require.Contains(t, said.Text(), "1 of 1 found it helpful.")
		require.True(t, strings.HasPrefix(b.Get("/operator/feedback/acme/csv").Body, "environment,article,at"))
		require.Contains(t, b.Get("/operator/feedback/acme/json").Body, `"environment":"acme"`)
		for _, page := range []*testkit.Page{all, acme, said} {
			require.NotContains(t, page.Body, "Jane")
			require.NotContains(t, page.Body, "/acme/users")
			require.NotContains(t, page.Text(), "User Manager")
		}
		for _, path := range []string{"/operator/numbers/operator", "/operator/feedback/operator", "/operator/feedback/operator/csv"} {
			own := b.Get(path)
			require.Equal(t, http.StatusNotFound, own.Status, path)
			require.Contains(t, own.Text(), "The operators’ own environment has no numbers and no feedback.", path)
		}
		require.Contains(t, b.Get("/operator/numbers?days=8").Text(), "Nobody has asked in 30 days.")
		for _, path := range []string{"/operator/numbers/nowhere", "/operator/feedback/nowhere/csv"} {
			require.Equal(t, http.StatusNotFound, b.Get(path).Status, path)
		}
	})
}

// TestOperatorsEnterNoEnvironment, nor do they manage each other in the browser.
func TestOperatorsEnterNoEnvironment(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		operators(w)
		b := w.Browser()
		signInAt(b, "operator", operatorMail)
		for _, path := range []string{"/operator/users", "/operator/users/new", "/operator/settings"} {
			require.Equal(t, http.StatusForbidden, b.Get(path).Status, path)
		}
		smuggled := renamed(b.Cookies(), "operator", "acme")
		for _, path := range []string{"/acme/users", "/acme/settings", "/acme/account", "/acme/users/" + string(w.Jane.ID)} {
			for _, c := range [][]*http.Cookie{b.Cookies(), smuggled} {
				res := sendRaw(w, http.MethodGet, path, nil, c)
				require.Equal(t, http.StatusSeeOther, res.StatusCode, path)
				require.True(t, strings.HasPrefix(res.Header.Get("Location"), "/acme/login"), path)
			}
		}
	})
}

func TestOperatorsRecoverAsEverybodyDoes(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		operators(w)
		b := w.Browser()
		b.Get("/operator/forgot-password").Fill("Email", operatorMail).Press("Send password reset link")
		link := w.Mail(operatorMail, "Reset your password").LinkTo("/operator/reset-password/")
		require.NotEmpty(t, link)
		b.Get(link).Fill("New password", newPassphrase).Press("Set new password")
		page := b.Get("/operator/login").Fill("Email", operatorMail).Fill("Password", newPassphrase).Press("Log in")
		require.Equal(t, "Console", page.Heading())
	})
}

func TestTheConsoleTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		operators(w)
		b := w.Browser()
		page := signInAt(b, "operator", operatorMail)
		require.Contains(t, page.Text(), "All is well: no alarm.")
		require.Contains(t, page.Text(), "Acme /acme 3 users")
		require.NotContains(t, page.Text(), w.Jane.Email, "operators see no people")

		require.NoError(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			for _, a := range []alarm.Answer{
				{Finding: diagnosis.Finding{Class: diagnosis.OwnSetup, Reply: "535 5.7.8 <script>alert(1)</script>"}, Server: "smtp.server.example:587", Domain: "acme.example"},
				{Finding: diagnosis.Finding{Class: diagnosis.Unknown, Reply: "550 the moon, " + w.Jane.Email}, Domain: "acme.example", Stage: "rcpt"},
			} {
				if err := alarm.Notice(tx, a); err != nil {
					return err
				}
			}
			return nil
		}))
		page = b.Get("/operator")
		require.Contains(t, page.Text(), "Our mail server refuses us · smtp.server.example:587")
		require.Contains(t, page.Text(), "Check its address, user and password in SPAREKEY_SMTP")
		require.NotContains(t, page.Body, "<script>alert")
		unknown := page.Follow("Unknown replies")
		require.Equal(t, "550 the moon, …@acme.example", unknown.Value("Reply"))
		require.Contains(t, unknown.Press("Forget reply 1").Text(), "Every answer so far was understood.")
		page = b.Get("/operator").Press("Seen to: Our mail server refuses us")
		require.Contains(t, page.Text(), "All is well: no alarm.")
	})
}

func TestAnOperatorSuspendsAndResumes(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		operators(w)
		b := w.Browser()
		list := signInAt(b, "operator", operatorMail).Follow("Suspend or resume")
		asked := list.Press("Suspend Acme")
		require.Contains(t, asked.Text(), "Nobody of Acme can log in or set a password until you resume it: 3 users.")
		require.NotContains(t, w.Browser().Get("/acme/login").Text(), "closed", "asking changes nothing")
		done := asked.Press("Suspend Acme")
		require.Contains(t, done.Text(), "Acme is suspended.")
		require.Equal(t, http.StatusServiceUnavailable, w.Browser().Get("/acme/forgot-password").Status)
		require.Contains(t, done.Press("Resume Acme").Text(), "Acme is open again.")
		require.Equal(t, http.StatusOK, w.Browser().Get("/acme/forgot-password").Status)
		require.Equal(t, http.StatusForbidden, b.Post("/operator/environments", fields("do", "suspend", "slug", "operator", "confirm", "yes")).Status)
		require.NotContains(t, b.Get("/operator/environments").Text(), "is suspended", "what was refused was not done")
		require.Equal(t, http.StatusNotFound, b.Post("/operator/environments", fields("do", "suspend", "slug", "nowhere", "confirm", "yes")).Status)
		w.View(func(tx *db.Tx) error {
			who, err := db.One[string](tx, "SELECT actor_name FROM events WHERE environment_id = $1 AND kind = 'environment suspended'", w.Acme.ID)
			require.Equal(t, "Olga Operator", who, "the environment's log says who it was")
			return err
		})
		require.NotEqual(t, id.OperatorEnvironment, w.Acme.ID)
	})
}

func TestTheMailSetupPageSaysWhatToPublish(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.App.Doctor.Limit = 100 * time.Millisecond
		operators(w)
		b := w.Browser()
		page := signInAt(b, "operator", operatorMail).Follow("DNS and mail setup")
		require.Contains(t, page.Text(), "No mail is sent.")
		require.NotContains(t, page.Text(), "Checked")
		before := len(w.Inbox.Mails())
		page = page.Press("Check now")
		require.Contains(t, page.Text(), "Mail server smtp://"+w.Inbox.Addr())
		require.Contains(t, page.Text(), "takes mail from no-reply@sparekey.example")
		require.Len(t, w.Inbox.Mails(), before, "a check sends no mail")
	})
}
