package browser_test

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// mainScreens are the ones the documentation shows.
var mainScreens = []string{"login", "check-your-mail", "reset-password", "user-manager", "no-token", "reset-password-link", "user", "account", "needs-help", "user-no-such-mailbox", "numbers"}

// TestScreenshots writes pictures of every screen of the running product, light
// and dark, 390 and 1280 pixels wide, into the folder all/ of SPAREKEY_SHOTS, and
// those of the documentation into SPAREKEY_SHOTS itself. Without that variable
// it does nothing.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("SPAREKEY_SHOTS")
	if folder == "" {
		t.Skip("SPAREKEY_SHOTS names no folder")
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", folder) // tests run in the folder of their package
	}
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "all"), 0o755))
	for name, tour := range tours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour(newStage(t), func(name string, b *Tab) { shoot(folder, name, b) })
		})
	}
}

func shoot(folder, name string, b *Tab) {
	for _, width := range []int64{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			b.Scheme(scheme)
			file := fmt.Sprintf("%s-%d-%s.png", name, width, scheme)
			write(b, filepath.Join(folder, "all", file), picture(b, width, 6000))
			if scheme == "light" && slices.Contains(mainScreens, name) {
				write(b, filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width)), picture(b, width, most[width]))
			}
		}
	}
	b.Size(1280, 900)
	b.Scheme("light")
}

// most is how much of a long page the documentation shows.
var most = map[int64]int64{390: 844, 1280: 900}

// picture shows the page from the top, down to its end or to so many pixels. A
// phone has two pixels where a desk has one.
func picture(b *Tab, width, height int64) []byte {
	b.t.Helper()
	scale := 1.0
	if width < 600 {
		scale = 2
	}
	call(b, emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true})
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, most[width], chromedp.EmulateScale(scale))))
	eval[any](b, asPublished, b.base)
	whole := eval[int64](b, `() => { scrollTo(0, 0); return Math.ceil(document.documentElement.getBoundingClientRect().height) }`)
	height = min(height, max(whole, most[width]))
	shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: new(true), Clip: &page.Viewport{Width: float64(width), Height: float64(height), Scale: 1},
	})
	return shot.Data
}

// asPublished shows a public address where the test server has its own.
const asPublished = `(base) => {
	const published = (text) => text.replaceAll(base, "https://id.acme.example").replaceAll(base.replace("http://", ""), "id.acme.example").replace(/localhost:\d+/g, "smtp.acme.example");
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walker.nextNode());) if (n.data !== published(n.data)) n.data = published(n.data);
	document.querySelectorAll("input[readonly], textarea").forEach((e) => { if (e.value !== published(e.value)) e.value = published(e.value); });
	return null;
}`

// differs tells whether a colour is this far from all of a palette, in the
// channel where it is farthest.
func differs(c color.RGBA, palette color.Palette, apart int) bool {
	return !slices.ContainsFunc(palette, func(p color.Color) bool {
		q := p.(color.RGBA)
		return max(away(c.R, q.R), away(c.G, q.G), away(c.B, q.B)) < apart
	})
}

func away(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

func write(b *Tab, path string, shot []byte) {
	b.t.Helper()
	full, err := png.Decode(bytes.NewReader(shot))
	require.NoError(b.t, err)
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	require.NoError(b.t, encoder.Encode(&small, paletted(full, 256)))
	require.NoError(b.t, os.WriteFile(path, small.Bytes(), 0o644))
}

// paletted keeps so many colours, at most 256: those a picture has most of, but first of all ones
// that differ, so that a small mark keeps its own. Any other becomes the nearest.
func paletted(full image.Image, most int) image.Image {
	area := full.Bounds()
	count := map[color.RGBA]int{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			count[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	colours := make([]color.RGBA, 0, len(count))
	for c := range count {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	var palette color.Palette
	for _, apart := range []int{48, 24, 12, 6, 1} {
		for _, c := range colours {
			if len(palette) < most && differs(c, palette, apart) {
				palette = append(palette, c)
			}
		}
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			small.SetColorIndex(x, y, index[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)])
		}
	}
	return small
}
