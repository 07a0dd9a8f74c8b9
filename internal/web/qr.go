package web

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// qrCode draws a text as the path of an SVG, one unit a module.
func qrCode(text string) (path string, size int, err error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", 0, fmt.Errorf("draw QR code: %w", err)
	}
	var b strings.Builder
	size = code.Bounds().Dx()
	for y := range size {
		for x := range size {
			if dark, _, _, _ := code.At(x, y).RGBA(); dark == 0 {
				_, _ = fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y) // a builder never fails
			}
		}
	}
	return b.String(), size, nil
}
