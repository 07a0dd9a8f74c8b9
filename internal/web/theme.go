package web

import (
	"fmt"
	"net/http"
)

// theme gives the environment's accent as a style sheet. The colour was checked
// for contrast when it was saved.
func (d *Door) theme(v *visit) error {
	accent := v.env.Policy.Accent
	if accent == "" {
		http.NotFound(v.w, v.r)
		return nil
	}
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	v.w.Header().Set("Cache-Control", "public, max-age=3600")
	// In the dark the same hue, light enough to stand on a dark ground.
	_, err := fmt.Fprintf(v.w, ":root { --accent-light: %[1]s; --accent-dark: color-mix(in oklab, %[1]s 38%%, #fff); }\n", accent)
	return err
}
