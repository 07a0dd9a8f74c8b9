package browser_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/testkit"
)

const theArticle = "/acme/help/cannot-reset-password"

func init() {
	tours["help"] = (*Stage).help
	tours["numbers"] = (*Stage).numbers
}

// help walks over help, as somebody who is locked out and as a Client Admin.
func (s *Stage) help(see look) {
	b := s.profile(safariOnIPhone, 73)
	b.Open("/acme/help")
	see("help", b)
	b.Open("/acme/help?q=zebra")
	see("help-nothing", b)
	b.Open(theArticle)
	see("help-article", b)
	b.Press("No")
	b.Until("the widget", widgetReady)
	see("help-reasons", b)
	b.Press("Send feedback")
	b.Until("the widget", widgetReady)
	see("help-reasons-refused", b)
	b.Open("/acme/help/code")
	b.Press("Yes")
	see("help-thanks", b)

	admin := access.Actor{Environment: s.Acme.ID, User: s.World.Admin.ID, Name: s.World.Admin.Name, Role: access.ClientAdmin}
	jane := access.Actor{Environment: s.Acme.ID, User: s.World.Jane.ID}
	_, err := s.App.Help.Say(s.Ctx(), help.Reader{Actor: jane}, s.Acme, "cannot-reset-password", help.Opinion{
		Reasons: []help.Reason{help.StepsFail, help.NotFound}, Remark: "There is no dropdown in my row.",
	})
	require.NoError(s.t, err)
	_, err = s.App.Help.Write(s.Ctx(), admin, s.Acme, "", help.Draft{Title: "How to reach the help desk", Text: "Call **555 0100**, Monday to Friday.\n\n## At night\n\n1. Call the gate.\n2. Say your staff number.", Audience: help.Everyone, Publish: true})
	require.NoError(s.t, err)
	b = s.profile(firefoxOnWindows, 1)
	b.SignIn("admin@acme.example", testkit.Passphrase)
	b.Open("/acme/help")
	see("help-admin", b)
	b.Open("/acme/help/feedback")
	see("help-feedback", b)
	b.Open("/acme/help-articles")
	see("help-articles", b)
	b.Open("/acme/help-articles/how-to-reach-the-help-desk")
	b.Press("Preview")
	see("help-write", b)
	b.Fill("Title", " ")
	eval[any](b, `() => { document.getElementById("title").required = false; return null }`)
	b.Press("Save")
	see("help-write-refused", b)
}

const widgetReady = `() => !!document.querySelector("altcha-widget input[type=checkbox]")`

// TestTheBrowserDoesTheWork: a person ticks one box, the browser computes, and
// the feedback goes through; with nothing to see on the console.
func TestTheBrowserDoesTheWork(t *testing.T) {
	t.Parallel()
	w := world(t)
	b := Profile(t, w.URL)
	b.Open(theArticle)
	b.Press("No")
	require.Contains(t, b.Text(), "Sorry! We couldn't be helpful")
	tick(b, "My case is not in it")
	b.Fill("Anything else? (optional)", "I lost my phone")
	b.Press("Send feedback")
	require.Contains(t, b.Text(), "CAPTCHA verification is required.")
	require.Equal(t, "I lost my phone", b.Value("Anything else? (optional)"))
	b.Until("the widget", widgetReady)
	tick(b, "I am not a robot")
	b.Until("the answer", `() => document.querySelector("input[name=altcha]")?.value.length > 100`)
	b.Press("Send feedback")
	require.Contains(t, b.Text(), "Feedback sent")
	require.Contains(t, b.Text(), "We appreciate your effort and will try to fix the article")
	report, err := w.App.Help.Feedback(w.Ctx(), access.Operator(), w.Acme)
	require.NoError(t, err)
	require.Equal(t, "I lost my phone", report.Newest[0].Remark)
}

func TestFeedbackWithoutScript(t *testing.T) {
	t.Parallel()
	w := world(t)
	b := Profile(t, w.URL)
	b.WithoutScript()
	b.SignIn("jane@acme.example", testkit.Passphrase)
	b.Open(theArticle)
	b.Press("No")
	tick(b, "It is hard to follow")
	b.Press("Send feedback")
	require.Contains(t, b.Text(), "Feedback sent")
}

// tick clicks the box with this label.
func tick(b *Tab, label string) {
	b.t.Helper()
	b.click(b.spot("field", label, ""), 1)
}

// TestHelpPictures makes the pictures in the help articles from the running
// product, into the folder SPAREKEY_HELP_PICTURES. Without that variable it does
// nothing.
func TestHelpPictures(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("SPAREKEY_HELP_PICTURES")
	if folder == "" {
		t.Skip("SPAREKEY_HELP_PICTURES names no folder")
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", folder)
	}
	s := newStage(t)
	b := s.profile(firefoxOnWindows, 1)
	b.Open("/acme/forgot-password")
	snap(b, folder, "forgot-password", "main", 480)
	b.SignIn("admin@acme.example", testkit.Passphrase)
	reset := func() {
		b.Open("/acme/users?q=jane@")
		b.Choose("Action for Jane Doe", "Reset Password")
	}
	reset()
	snap(b, folder, "user-manager", ".results", 760)
	b.PressBeside("Action for Jane Doe", "Go")
	snap(b, folder, "no-token", "main .card", 760)
	s.ask("jane@acme.example", 41)
	s.settled("Jane Doe", 4)
	reset()
	b.PressBeside("Action for Jane Doe", "Go")
	snap(b, folder, "reset-password-link", "main .card", 760)
}

// snap writes a picture of the first 460 pixels of what a selector finds, light
// and dark, two pixels for one and in few colours: the pictures are part of the
// program.
func snap(b *Tab, folder, name, selector string, width int64) {
	b.t.Helper()
	b.Size(width, 900)
	for scheme, suffix := range map[string]string{"light": "", "dark": "-dark"} {
		b.Scheme(scheme)
		eval[any](b, asPublished, b.base)
		box := eval[struct{ X, Y, W, H float64 }](b, `(selector) => {
			document.activeElement?.blur(); scrollTo(0, 0);
			const all = [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
			const x = Math.min(...all.map((r) => r.left)) - 12, y = Math.min(...all.map((r) => r.top)) - 12;
			return { x, y, w: Math.max(...all.map((r) => r.right)) + 12 - x, h: Math.min(460, Math.max(...all.map((r) => r.bottom)) + 12 - y) };
		}`, selector)
		shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
			CaptureBeyondViewport: new(true), Clip: &page.Viewport{X: max(0, box.X), Y: max(0, box.Y), Width: box.W, Height: box.H, Scale: 2},
		})
		full, err := png.Decode(bytes.NewReader(shot.Data))
		require.NoError(b.t, err)
		var small bytes.Buffer
		require.NoError(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(full, 32)))
		require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+suffix+".png"), small.Bytes(), 0o644))
	}
	b.Scheme("light")
	b.Size(1280, 900)
}
