// Package browser_test walks through the running product in headless Chromium:
// the ways people go, with script and without, what axe finds on every screen,
// what the first visit weighs, and the screenshots of the documentation.
//
// One Chromium serves the whole package; each Profile is as isolated as a
// browser of its own. With -short everything is left out.
package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait, on a busy machine too.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	os.Exit(code)
}

var (
	clipboard    sync.Mutex
	started      sync.Once
	chromium     context.Context
	notStarted   error
	stopChromium = func() {}
)

// start runs the one Chromium, with an empty profile folder that goes with it.
func start() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		notStarted = errors.New("no Chromium is installed: ./check installs it")
		return
	}
	folder, err := os.MkdirTemp("", "sparekey-chromium-")
	if err != nil {
		notStarted = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(folder), chromedp.NoSandbox, chromedp.DisableGPU)
	for _, name := range []string{"disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(name, true))
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	stopChromium = func() {
		stop()
		stopAllocator() // waits for the process to end
		_ = os.RemoveAll(folder)
	}
	chromium, notStarted = ctx, chromedp.Do(ctx)
}

// Tab is the one tab of a fresh profile: no cookies, no cache, no history.
type Tab struct {
	t      *testing.T
	ctx    context.Context
	base   string // address of the server, without a slash at the end
	leaves int

	mu       sync.Mutex
	said     []string // messages on the console and in the browser's log
	posts    []string // paths that were posted to
	received map[string]float64
	path     map[network.RequestID]string
}

// Profile opens a fresh profile. When the test ends, whatever the pages put on
// the console fails it: errors, warnings and refusals of the content policy.
func Profile(t *testing.T, base string) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium: left out with -short")
	}
	started.Do(start)
	require.NoError(t, notStarted, "start Chromium")
	b := &Tab{t: t, base: base, received: map[string]float64{}, path: map[network.RequestID]string{}}
	ctx, stop := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(stop)
	b.ctx = ctx
	require.NoError(t, chromedp.Do(ctx), "open a tab")
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.Size(1280, 900)
	t.Cleanup(b.silent)
	return b
}

// call sends one command of the protocol to the tab.
func call[P, R any](b *Tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	answer, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b.t, err, command.Method)
	return answer
}

// hear runs for every event of the tab, in order.
func (b *Tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range e.Args {
			words = append(words, string(a.Value))
		}
		b.said = append(b.said, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(words, " ")))
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, "exception: "+e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		if !isAnswer(e.Entry) && !isHint(e.Entry) {
			b.said = append(b.said, fmt.Sprintf("%s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.path[e.RequestID] = strings.TrimPrefix(e.Request.URL, b.base)
		if e.Request.Method == http.MethodPost && e.RedirectResponse == nil {
			b.posts = append(b.posts, b.path[e.RequestID])
		}
	case *network.EventLoadingFinished:
		b.received[b.path[e.RequestID]] += e.EncodedDataLength
	}
}

// refusals are statuses of pages that say something: a used link answers 410, a
// wrong password 422, a paused environment 503.
var refusals = regexp.MustCompile(`status of (403|404|409|410|422|429|503)`)

// isAnswer tells whether the browser only notes that a page was a refusal. A
// missing file is no such thing.
func isAnswer(e *cdplog.Entry) bool {
	return e.Source == cdplog.EntrySourceNetwork && refusals.MatchString(e.Text) &&
		!strings.Contains(e.URL, "/static/") && !strings.Contains(e.URL, "theme.css")
}

// isHint leaves out advice that the console hides unless one asks for it. It
// wants the user's address beside a new password, which the page of a link shows
// only in part: whoever holds the link need not know whose it is.
func isHint(e *cdplog.Entry) bool {
	return e.Level == cdplog.EntryLevelVerbose && strings.Contains(e.URL, "/reset-password/")
}

// silent fails the test with whatever was said on the console.
func (b *Tab) silent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.said {
		b.t.Errorf("the browser says: %s", m)
	}
}

// Posts gives the paths that forms were sent to.
func (b *Tab) Posts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.posts...)
}

// eval runs a JavaScript function in the page. A page that is just being
// replaced has none to run it in: then it waits for the next.
func eval[T any](b *Tab, function string, arguments ...any) T {
	b.t.Helper()
	value, err := tryEval[T](b, function, arguments...)
	require.NoError(b.t, err, function)
	return value
}

func tryEval[T any](b *Tab, function string, arguments ...any) (value T, err error) {
	texts := make([]string, len(arguments))
	for i, a := range arguments {
		text, err := json.Marshal(a)
		if err != nil {
			return value, err
		}
		texts[i] = string(text)
	}
	expression := fmt.Sprintf("(%s)(%s)", function, strings.Join(texts, ","))
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	for {
		value, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		var thrown *chromedp.ExceptionError
		if err == nil || errors.As(err, &thrown) || ctx.Err() != nil {
			return value, err
		}
		if text := err.Error(); !strings.Contains(text, "context") && !strings.Contains(text, "navigated") && !strings.Contains(text, "Inspected target") {
			return value, err
		}
	}
}

// Until waits for a JavaScript function to give true.
func (b *Tab) Until(what, function string, arguments ...any) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !eval[bool](b, function, arguments...) {
		if time.Now().After(deadline) {
			require.Fail(b.t, "waited in vain for "+what, "at %s:\n%s", b.URL(), b.Text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Open goes to an address: a path of the server, or a whole one.
func (b *Tab) Open(address string) {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.base + address
	}
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.Navigate(address)), address)
}

// Leave does something that leads to another page, and waits until that is whole.
func (b *Tab) Leave(do func()) {
	b.t.Helper()
	b.leaves++ // a page that was kept and comes back has the number of an earlier leave
	eval[any](b, `n => { window.left = n; return null }`, b.leaves)
	do()
	b.Until("the next page", `n => window.left !== n && document.readyState === "complete"`, b.leaves)
}

// Back presses the back button.
func (b *Tab) Back() {
	b.t.Helper()
	b.Leave(func() {
		history := call(b, page.GetNavigationHistory, cdp.Empty{})
		call(b, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	})
}

// Reload presses the reload button; a browser that would ask whether to send a form
// again shows no next page.
func (b *Tab) Reload() {
	b.t.Helper()
	b.Leave(func() { call(b, page.Reload, page.ReloadParams{}) })
}

// URL is what stands in the address bar, without the server.
func (b *Tab) URL() string {
	return strings.TrimPrefix(eval[string](b, `() => location.href`), b.base)
}

// Text is what can be read on the page, on one line.
func (b *Tab) Text() string {
	return strings.Join(strings.Fields(eval[string](b, `() => document.body.innerText`)), " ")
}

// Heading is the text of the h1.
func (b *Tab) Heading() string {
	return eval[string](b, `() => document.querySelector("h1")?.textContent.trim() ?? ""`)
}

// Size sets the size of the window, in CSS pixels.
func (b *Tab) Size(width, height int64) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)))
}

// Scheme chooses light or dark. Nothing moves, so that nothing is seen half-way.
func (b *Tab) Scheme(scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// WithoutScript switches JavaScript off for the pages to come.
func (b *Tab) WithoutScript() {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// find is the JavaScript that finds what a person would press or fill, by its
// words; within is the words of a field in the same form, or empty.
const find = `(kind, words, within) => {
	const text = (e) => e.textContent.replace(/\s+/g, " ").trim();
	const field = (label) => {
		const l = [...document.querySelectorAll("label")].find((e) => text(e) === label || text(e.querySelector("strong") ?? e) === label);
		return l ? (l.control ?? document.getElementById(l.htmlFor)) : document.querySelector('[aria-label="' + CSS.escape(label) + '"]');
	};
	const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
	const root = within ? field(within)?.form : document;
	const e = kind === "field" ? field(words) : [...(root?.querySelectorAll("a, button, summary") ?? [])].find((e) => text(e) === words && seen(e));
	if (!e) return null;
	e.scrollIntoView({ block: "center", behavior: "instant" });
	const box = e.getClientRects()[0], x = box.x + box.width / 2, y = box.y + box.height / 2;
	const hit = document.elementFromPoint(x, y);
	return { x, y, free: !!hit && (e.contains(hit) || hit.contains(e) || hit.closest("label")?.control === e) };
}`

type spot struct {
	X, Y float64
	Free bool
}

// spot finds where to click; nothing may lie on top.
func (b *Tab) spot(kind, words, within string) spot {
	b.t.Helper()
	at := eval[*spot](b, find, kind, words, within)
	require.NotNil(b.t, at, "no %s %q at %s:\n%s", kind, words, b.URL(), b.Text())
	require.True(b.t, at.Free, "something covers %s %q at %s", kind, words, b.URL())
	return *at
}

// click clicks with the mouse, as often as asked.
func (b *Tab) click(at spot, times int) {
	b.t.Helper()
	for n := 1; n <= times; n++ {
		require.NoError(b.t, chromedp.Do(b.ctx, chromedp.MouseClickXY(at.X, at.Y, chromedp.ClickCount(n))))
	}
}

// Click clicks a link or button that does its work on this page.
func (b *Tab) Click(words string) {
	b.t.Helper()
	b.click(b.spot("button", words, ""), 1)
}

// Press clicks a link or button that leads to another page.
func (b *Tab) Press(words string) {
	b.t.Helper()
	at := b.spot("button", words, "")
	b.Leave(func() { b.click(at, 1) })
}

// PressBeside presses a button in the form of the field with this label.
func (b *Tab) PressBeside(label, words string) {
	b.t.Helper()
	at := b.spot("button", words, label)
	b.Leave(func() { b.click(at, 1) })
}

// Shows tells whether a link or button with these words can be seen.
func (b *Tab) Shows(words string) bool {
	b.t.Helper()
	return eval[*spot](b, find, "button", words, "") != nil
}

// Fill types into the field with this label, over what stands there.
func (b *Tab) Fill(label, value string) {
	b.t.Helper()
	b.click(b.spot("field", label, ""), 1)
	eval[any](b, `() => { document.activeElement.select?.(); return null }`)
	b.Type(value)
}

// Type presses keys wherever the focus is.
func (b *Tab) Type(keys string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(keys)))
}

// Value gives what stands in the field with this label.
func (b *Tab) Value(label string) string {
	b.t.Helper()
	b.spot("field", label, "")
	return eval[string](b, `(label) => {
		const l = [...document.querySelectorAll("label")].find((e) => e.textContent.trim() === label);
		return l.control.value;
	}`, label)
}

// Choose picks an option of the dropdown with this label.
func (b *Tab) Choose(label, words string) {
	b.t.Helper()
	b.spot("field", label, "")
	require.True(b.t, eval[bool](b, `(label, words) => {
		const s = [...document.querySelectorAll("label")].find((e) => e.textContent.trim() === label).control;
		const o = [...s.options].find((o) => o.text === words);
		if (!o) return false;
		s.value = o.value;
		s.dispatchEvent(new Event("input", { bubbles: true }));
		s.dispatchEvent(new Event("change", { bubbles: true }));
		return true;
	}`, label, words), "no option %q in %q", words, label)
}

// SignIn logs in at acme.
func (b *Tab) SignIn(email, password string) {
	b.t.Helper()
	b.Open("/acme/login")
	b.Fill("Email", email)
	b.Fill("Password", password)
	b.Press("Log in")
}

// Focus says where the focus is and whether a person can see it there.
type Focus struct {
	Tag, ID, Words string
	Seen           bool // in the window, with a ring around it
}

// Focused gives the element that has the focus.
func (b *Tab) Focused() Focus {
	b.t.Helper()
	return eval[Focus](b, `() => {
		const e = document.activeElement, label = e.labels?.[0]?.textContent ?? e.getAttribute("aria-label");
		const ring = getComputedStyle(e.matches("input[type=radio]") ? e.closest("label") : e), box = e.getBoundingClientRect();
		return {
			Tag: e.tagName.toLowerCase(), ID: e.id, Words: (label ?? e.textContent).replace(/\s+/g, " ").trim(),
			Seen: ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 2 && box.bottom > 0 && box.top < innerHeight && box.height > 0,
		};
	}`)
}

// Tab moves the focus on and says where it is then.
func (b *Tab) Tab() Focus {
	b.t.Helper()
	b.key("Tab", 9, 0)
	return b.Focused()
}

// key presses one key that writes nothing.
func (b *Tab) key(name string, code int64, modifiers int64) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: kind, Key: name, Code: name, WindowsVirtualKeyCode: code, NativeVirtualKeyCode: code, Modifiers: modifiers,
		})
	}
}
