package templates_test

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// A real code, so that the picture in the gallery can be scanned.
var qrPath, qrSize = drawQR("https://login.example/acme/reset-password/04x7hk2mq8v1c5zt0n6rj3wyb9e4gd7sfa2p9tqw")

func drawQR(text string) (string, int) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	side := code.Size
	for y := range side {
		for x := range side {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return b.String(), side
}
