package web

import (
	"fmt"
	"strconv"

	"rsc.io/qr"
)

// qrCode draws a text as the path of an SVG, one unit a module: a line for
// each run of dark modules.
func qrCode(text string) (path string, size int, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, fmt.Errorf("draw QR code: %w", err)
	}
	b := make([]byte, 0, 8<<10)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			if !code.Black(x, y) {
				continue
			}
			from := x
			for x+1 < code.Size && code.Black(x+1, y) {
				x++
			}
			width := int64(x + 1 - from)
			b = append(b, 'M')
			b = strconv.AppendInt(b, int64(from), 10)
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(y), 10)
			b = append(b, 'h')
			b = strconv.AppendInt(b, width, 10)
			b = append(b, "v1h-"...)
			b = strconv.AppendInt(b, width, 10)
			b = append(b, 'z')
		}
	}
	return string(b), code.Size, nil
}
