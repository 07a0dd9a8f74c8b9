package browser_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

// TestEveryScreen holds each screen of the running product against what all of
// them promise: axe finds nothing in light and dark, on a phone and on a desk;
// nothing sticks out at 320 px; fingers find the buttons; nothing jumps.
func TestEveryScreen(t *testing.T) {
	t.Parallel()
	script := axe(t)
	check := func(name string, b *Tab) {
		t := b.t
		for _, width := range []int64{390, 1280} {
			b.Size(width, 900)
			b.Scheme("light")
			for _, problem := range violations(b, script, "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice") {
				t.Errorf("%s, %d px: %s", name, width, problem)
			}
			b.Scheme("dark") // changes colours, and nothing else
			for _, problem := range violations(b, script, "color-contrast", "link-in-text-block") {
				t.Errorf("%s, %d px, dark: %s", name, width, problem)
			}
			if width == 390 {
				for _, small := range eval[[]string](b, smallTargets) {
					t.Errorf("%s: too small for a finger: %s", name, small)
				}
			}
		}
		b.Size(320, 800)
		for _, wide := range eval[[]string](b, sticksOut) {
			t.Errorf("%s: scrolls sideways at 320 px: %s", name, wide)
		}
		b.Size(1280, 900)
		b.Scheme("light")
	}
	for name, tour := range tours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour(newStage(t), check)
		})
	}
}

// axe gives the source of axe-core, which ./check fetches.
func axe(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SPAREKEY_TEST_AXE")
	if path == "" {
		t.Skip("SPAREKEY_TEST_AXE names no axe.min.js: ./check fetches it")
	}
	script, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(script)
}

// violations runs rules of axe, given by their names or tags, on the page.
func violations(b *Tab, script string, rules ...string) []string {
	b.t.Helper()
	if !eval[bool](b, `() => "axe" in window`) {
		eval[any](b, "() => { "+script+"; return null }")
	}
	return eval[[]string](b, `async (rules) => {
		const found = await axe.run(document, { resultTypes: ["violations"], runOnly: rules });
		if (found.passes.length === 0) return ["axe looked at nothing"];
		return found.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.failureSummary.replace(/\s+/g, " ") + " " + n.html));
	}`, rules)
}

// smallTargets lists controls of less than 44 CSS pixels. Links inside running
// text are no targets of this kind (WCAG 2.2, 2.5.8, inline).
const smallTargets = `() => [...document.querySelectorAll("button, .button, select, nav a, input:not([type=hidden], [type=radio], [type=checkbox]), label:has([type=radio], [type=checkbox])")]
	.filter((e) => e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().height > 1 && e.getBoundingClientRect().height < 43.9)
	.map((e) => e.outerHTML.slice(0, 120) + " " + e.getBoundingClientRect().height)`

// sticksOut lists what is wider than the window; what scrolls in itself may be.
const sticksOut = `() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
	.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
	.map((e) => e.outerHTML.slice(0, 120) + " ends at " + Math.round(e.getBoundingClientRect().right))`

// TestKeyboardAlone goes the admin's way without a mouse: everything can be
// reached, in the order of the page, and one sees where one is.
func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	w := world(t)
	w.Browser().Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link")
	b := Profile(t, w.URL)
	b.Open("/acme/login")
	b.Type("admin@acme.example")
	require.Equal(t, "Password", b.Tab().Words)
	b.Type("not the right one")
	require.Equal(t, "Show", b.Tab().Words)
	require.Equal(t, "Log in", b.Tab().Words)
	b.Leave(func() { b.Type("\r") })

	b.Until("the focus on the summary", `() => document.activeElement.id === "summary"`)
	require.True(t, b.Focused().Seen, "the ring around the summary")
	walk(b, "Email", "Password")
	b.Type("spare key under the mat")
	b.Leave(func() { b.Type("\r") })
	require.Equal(t, "User Manager", b.Heading())

	require.Equal(t, "Search users", b.Focused().Words)
	walk(b, "Role", "State", "Search")
	walk(b, "Ada Admin", "This is you: your account", "Henry Helpdesk", "Action for Henry Helpdesk", "Go", "Jane Doe", "Action for Jane Doe")
	b.Type("Reset")
	walk(b, "Go")
	b.Leave(func() { b.Type("\r") })
	require.Equal(t, "Reset Password Link", b.Heading())

	first := b.Tab()
	require.Equal(t, "Skip to the content", first.Words)
	require.True(t, first.Seen, "the skip link can be seen when it has the focus")
	b.Type("\r")
	b.Until("the content", `() => document.activeElement.id === "main"`)
	walk(b, "Jane Doe", "Reset Password Link", "Copy link")
	clipboard.Lock()
	b.Type("\r")
	b.Until("the word Copied", `() => document.activeElement.textContent === "Copied"`)
	clipboard.Unlock()
}

// walk presses Tab once for each of these stops.
func walk(b *Tab, stops ...string) {
	b.t.Helper()
	for _, words := range stops {
		at := b.Tab()
		require.Equal(b.t, words, at.Words, "on %s", b.URL())
		require.True(b.t, at.Seen, "one does not see that the focus is on %q", words)
	}
}

// TestTheFirstVisit is light, and nothing on the page moves while it loads.
func TestTheFirstVisit(t *testing.T) {
	t.Parallel()
	w := world(t)
	b := Profile(t, w.URL)
	watchShifts(b)
	b.Open("/acme/login")
	b.Until("the style sheet, the script and the icon", `() => performance.getEntriesByType("resource").length >= 2`)
	require.Empty(t, shifts(b, 0))
	total, all := 0.0, []string{}
	b.mu.Lock()
	for path, n := range b.received {
		total += n
		all = append(all, fmt.Sprintf("%s %.0f", path, n))
	}
	b.mu.Unlock()
	t.Logf("%.0f bytes: %s", total, strings.Join(all, ", "))
	require.Contains(t, strings.Join(all, " "), "sparekey.js")
	require.Less(t, total, 40_000.0)
}

// TestNothingJumps: no page moves under the finger of somebody who begins to
// use it, on a phone or at a desk.
func TestNothingJumps(t *testing.T) {
	t.Parallel()
	w := world(t)
	b := Profile(t, w.URL)
	watchShifts(b)
	ask(b, "jane@acme.example")
	require.Empty(t, shifts(b, hair), "the waiting page")
	for _, width := range []int64{390, 1280} {
		b.Size(width, 900)
		b.Open(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))
		require.Empty(t, shifts(b, hair), "the page of a link")
		b.SignIn("admin@acme.example", testkit.Passphrase)
		require.Empty(t, shifts(b, hair), "User Manager")
		for _, path := range []string{"/acme/account", "/acme/settings", "/acme/users/new", "/acme/users/" + string(w.Jane.ID)} {
			b.Open(path)
			require.Empty(t, shifts(b, hair), path)
		}
		b.Press("Log out")
	}
}

// watchShifts notes what moves by itself on each page to come.
func watchShifts(b *Tab) {
	b.t.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.shifted = [];
		window.note = (list) => list.forEach((e) => {
			shifted.push({ value: e.value, what: e.sources.map((s) => (s.node?.outerHTML ?? s.node?.textContent ?? "").slice(0, 90)).join(" | ") });
		});
		window.watching = new PerformanceObserver((l) => note(l.getEntries()));
		watching.observe({ type: "layout-shift", buffered: true });`})
}

// hair is a movement that nobody sees: a time is written anew in the reader's
// zone, and the full stop after it moves.
const hair = 0.002

// shifts gives what moved further than that so far, once two frames have been drawn.
func shifts(b *Tab, least float64) []string {
	b.t.Helper()
	return eval[[]string](b, `async (least) => {
		for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
		note(watching.takeRecords());
		return shifted.filter((e) => e.value > least).map((e) => e.value.toFixed(5) + " " + e.what);
	}`, least)
}
