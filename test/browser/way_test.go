package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

const newPassphrase = "three unrelated words fit"

// world is the running product on SQLite.
func world(t *testing.T) *testkit.World {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium: left out with -short")
	}
	return testkit.New(t, testkit.Database(t, "sqlite"))
}

// ask types an address into "I forgot my password".
func ask(b *Tab, email string) {
	b.t.Helper()
	b.Open("/acme/login")
	b.Press("I forgot my password")
	b.Fill("Email", email)
	b.Press("Send password reset link")
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs Chromium: left out with -short")
	}
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		jane := Profile(t, w.URL)
		jane.Open("/acme/login")
		jane.Fill("Email", "jane@acme.example")
		jane.Press("I forgot my password")
		require.Equal(t, "jane@acme.example", jane.Value("Email"), "what was typed comes along")
		require.Equal(t, "/acme/forgot-password", jane.URL(), "but not in the address bar")
		jane.Press("Send password reset link")
		require.Equal(t, "Check your e-mail", jane.Heading())
		require.Contains(t, jane.Text(), "jane@acme.example")

		jane.Open(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
		require.Equal(t, "Set a new password", jane.Heading())
		jane.Fill("New password", newPassphrase)
		jane.Press("Set new password")
		require.Equal(t, "/acme/login", jane.URL())
		require.Contains(t, jane.Text(), "Your password is set.")
		require.Equal(t, "jane@acme.example", jane.Value("Email"))
		require.Equal(t, "password", jane.Focused().ID, "only the password is missing")
		jane.Type(newPassphrase)
		jane.Press("Log in")
		require.Equal(t, "/acme/account", jane.URL())
	})
}

func TestTheCodeOnTheWaitingPage(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	ask(jane, "jane＠acme．example") // as an East Asian keyboard may write it
	code := w.Mail("jane@acme.example", "Reset your password").Code()
	wrong := strings.Map(func(c rune) rune { return '0' + (c-'0'+1)%10 }, code)
	jane.Fill("Code", wrong)
	jane.Press("Continue")
	require.Contains(t, jane.Text(), "This code does not fit")
	jane.Fill("Code", code[:4]+" "+code[4:])
	jane.Press("Continue")
	require.Equal(t, "Set a new password", jane.Heading())
	jane.Fill("New password", newPassphrase)
	jane.Press("Set new password")
	require.Contains(t, jane.Text(), "Your password is set.")
}

func TestSendItAgainWaitsAndSaysSo(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	ask(jane, "jane@acme.example")
	require.Regexp(t, `Send it again \(\d+ s\)`, jane.Text())
	jane.WithoutScript()
	ask(jane, "jane@acme.example")
	jane.Press("Send it again")
	require.Contains(t, jane.Text(), "another mail is on its way")
}

func TestADoubleClickIsOneRequest(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	jane.Open("/acme/forgot-password")
	jane.Fill("Email", "jane@acme.example")
	at := jane.spot("button", "Send password reset link", "")
	jane.Leave(func() { jane.click(at, 2) })
	jane.Open(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
	jane.Fill("New password", newPassphrase)
	at = jane.spot("button", "Set new password", "")
	jane.Leave(func() { jane.click(at, 2) })
	require.Equal(t, "/acme/login", jane.URL())
	require.Len(t, jane.Posts(), 2, "%v", jane.Posts())
	w.Mail("jane@acme.example", "Your password was changed")
}

// The forms of the User Manager's rows, and of a user's page, are sent once, too: a
// second Activate would say that it does not fit what is there.
func TestADoubleClickOnGoIsOneRequest(t *testing.T) {
	t.Parallel()
	w := world(t)
	admin := Profile(t, w.URL)
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	before := len(admin.Posts())
	for _, at := range []string{"/acme/users?q=jane", "/acme/users/" + string(w.Jane.ID)} {
		admin.Open(at)
		admin.Choose("Action for Jane Doe", "Send password reset link")
		button := admin.spot("button", "Go", "Action for Jane Doe")
		admin.Leave(func() { admin.click(button, 2) })
	}
	require.Len(t, admin.Posts(), before+2, "%v", admin.Posts())
}

func TestTheBackButtonAfterAReset(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	ask(jane, "jane@acme.example")
	jane.Open(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
	jane.Fill("New password", newPassphrase)
	jane.Press("Set new password")
	jane.Back()
	require.Equal(t, "This link was already used", jane.Heading(), "no form that would be refused, and no password in it")
	require.NotContains(t, jane.Text(), "New password")
	jane.Press("Log in")
	require.Equal(t, "Log in", jane.Heading())
}

// TestTheAnswerToAFormIsReloadedAsAPage: nothing is sent a second time, by reloading
// or by coming back.
func TestTheAnswerToAFormIsReloadedAsAPage(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	ask(jane, "jane@acme.example")
	code := w.Mail("jane@acme.example", "Reset your password").Code()
	jane.Reload()
	require.Equal(t, "Enter your code", jane.Heading())
	require.Equal(t, "jane@acme.example", jane.Value("Email"))
	require.Contains(t, jane.Text(), "Still nothing?")
	jane.Press("Help")
	jane.Back()
	require.Equal(t, "Enter your code", jane.Heading())
	jane.Fill("Email", "jane@acme.example")
	jane.Fill("Code", code)
	jane.Press("Continue")
	require.Equal(t, "Set a new password", jane.Heading())
	require.Equal(t, []string{"/acme/forgot-password", "/acme/reset-password"}, jane.Posts())

	ada := Profile(t, w.URL)
	ada.SignIn("admin@acme.example", testkit.Passphrase)
	ada.Open("/acme/users/" + string(w.Jane.ID))
	ada.Choose("Action for Jane Doe", "Reset Password")
	ada.Press("Go")
	require.Equal(t, "Reset Password Link", ada.Heading())
	ada.Reload()
	require.Equal(t, "Jane Doe", ada.Heading())
	ada.Choose("Action for Jane Doe", "Deactivate")
	ada.Press("Go")
	ada.Press("Deactivate Jane Doe")
	ada.Back()
	require.Equal(t, "Deactivate Jane Doe", ada.Heading(), "the question, and no error of the browser's")
}

func TestPasswordsCanBeLookedAt(t *testing.T) {
	t.Parallel()
	w := world(t)
	jane := Profile(t, w.URL)
	jane.Open("/acme/login")
	jane.Fill("Email", "jane@acme.example")
	jane.Fill("Password", "not the right one")
	kind := func() string { return eval[string](jane, `() => document.getElementById("password").type`) }
	require.Equal(t, "password", kind())
	jane.Click("Show")
	require.Equal(t, "text", kind())
	require.Equal(t, "password", jane.Focused().ID, "one can type on")
	jane.Click("Hide")
	require.Equal(t, "password", kind())
	jane.Click("Show")
	jane.Press("Log in")
	require.Equal(t, "password", kind(), "the next page begins with dots")
	require.Empty(t, jane.Value("Password"))
}

func TestTheClientAdminsWay(t *testing.T) {
	t.Parallel()
	w := world(t)
	admin := Profile(t, w.URL)
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	require.Equal(t, "User Manager", admin.Heading())
	require.Equal(t, "q", admin.Focused().ID, "one can search at once")

	// Results change while one types, without a new page.
	eval[any](admin, `() => { window.same = true; return null }`)
	admin.Type("jane")
	admin.Until("one result", `() => document.querySelectorAll("#results form.person").length === 1`)
	admin.Until("the address", `() => location.search === "?q=jane"`)
	require.True(t, eval[bool](admin, `() => window.same === true`), "the page was loaded anew")
	require.Equal(t, "1 user matches “jane”", eval[string](admin, `() => document.getElementById("said").textContent || document.querySelector("[data-tally]").dataset.tally`))
	admin.Press("Jane Doe")
	admin.Back()
	require.Equal(t, "jane", admin.Value("Search users"))
	require.True(t, admin.Shows("Jane Doe"))
	require.False(t, admin.Shows("Henry Helpdesk"))

	// No token: the sentence, and the remedy beside it.
	admin.Choose("Action for Jane Doe", "Reset Password")
	admin.PressBeside("Action for Jane Doe", "Go")
	require.Equal(t, "This user does not have a password reset token.", admin.Heading())
	admin.Press("Send password reset link to Jane Doe now")
	require.Equal(t, "Reset Password Link", admin.Heading())
	link := admin.Value("Reset Password Link")
	require.True(t, strings.HasPrefix(link, w.URL+"/acme/reset-password/"), link)
	w.Mail("jane@acme.example", "Reset your password")

	// With a token: Go leads straight to the same link.
	admin.Open("/acme/users?q=jane")
	admin.Choose("Action for Jane Doe", "Reset Password")
	admin.PressBeside("Action for Jane Doe", "Go")
	require.Equal(t, link, admin.Value("Reset Password Link"))
	require.Equal(t, link, copied(admin, "Copy link"))

	// Somebody else, in another browser, on the phone.
	jane := Profile(t, w.URL)
	jane.Size(390, 844)
	jane.Open(link)
	jane.Fill("New password", newPassphrase)
	jane.Press("Set new password")
	jane.Fill("Password", newPassphrase)
	jane.Press("Log in")
	require.Equal(t, "/acme/account", jane.URL())
}

// copied presses a button that copies, and gives what is in the clipboard then.
// All profiles share one clipboard.
func copied(b *Tab, words string) string {
	b.t.Helper()
	clipboard.Lock()
	defer clipboard.Unlock()
	b.Click(words)
	b.Until("the word Copied on the button", `() => [...document.querySelectorAll("button")].some((e) => e.textContent === "Copied")`)
	b.Until("the word Copied said aloud", `() => document.getElementById("said").textContent === "Copied"`)
	_, err := chromedp.CallBrowser(b.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted, Origin: b.base,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	require.NoError(b.t, err)
	return eval[string](b, `() => navigator.clipboard.readText()`)
}

// TestALineParts: on a phone the buttons of an entry stand below it, near the next.
func TestALineParts(t *testing.T) {
	t.Parallel()
	w := world(t)
	admin := Profile(t, w.URL)
	admin.Size(390, 844)
	ask(admin, "jnae@acme.example")
	ask(admin, "sales@elsewhere.example")
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	for !strings.Contains(admin.Text(), "2 addresses") { // they are looked up by and by
		admin.Open("/acme/users/unmatched")
	}
	require.Equal(t, []string{"0px", "1px"}, eval[[]string](admin, `() => [...document.querySelectorAll(".strays li")].map((e) => getComputedStyle(e).borderTopWidth)`))
}

func TestEndingASession(t *testing.T) {
	t.Parallel()
	w := world(t)
	phone, desk := Profile(t, w.URL), Profile(t, w.URL)
	phone.SignIn("jane@acme.example", testkit.Passphrase)
	desk.SignIn("jane@acme.example", testkit.Passphrase)
	require.Contains(t, desk.Text(), "this one")
	desk.Press(eval[string](desk, `() => [...document.querySelectorAll("button")].find((e) => e.textContent.startsWith("End this")).textContent`))
	require.Contains(t, desk.Text(), "The session is ended.")
	phone.Open("/acme/account")
	require.Equal(t, "Log in", phone.Heading())
	desk.Open("/acme/account")
	require.Equal(t, "Account", desk.Heading())
}

func TestTheWholeWayWithoutScript(t *testing.T) {
	t.Parallel()
	w := world(t)
	admin := Profile(t, w.URL)
	admin.WithoutScript()
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	admin.Fill("Search users", "jane")
	admin.Press("Search")
	require.Equal(t, "/acme/users?q=jane&role=&state=", admin.URL())
	admin.Choose("Action for Jane Doe", "Reset Password")
	admin.PressBeside("Action for Jane Doe", "Go")
	require.Contains(t, admin.Text(), "This user does not have a password reset token.")

	window := Profile(t, w.URL)
	window.WithoutScript()
	ask(window, "jane@acme.example")
	require.False(t, window.Shows("Show"), "a button that needs script")

	admin.Open("/acme/users?q=jane")
	admin.Choose("Action for Jane Doe", "Reset Password")
	admin.PressBeside("Action for Jane Doe", "Go")
	require.Equal(t, "Reset Password Link", admin.Heading())

	jane := Profile(t, w.URL)
	jane.WithoutScript()
	jane.Open(admin.Value("Reset Password Link"))
	require.False(t, jane.Shows("Show"), "a button that needs script")
	jane.Fill("New password", newPassphrase)
	jane.Press("Set new password")
	jane.Fill("Password", newPassphrase)
	jane.Press("Log in")
	require.Equal(t, "/acme/account", jane.URL())
}
