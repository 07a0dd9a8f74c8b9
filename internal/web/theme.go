package web

import (
	"fmt"
	"net/http"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
)

// theme gives the environment's accent as a style sheet.
func (d *Door) theme(v *visit) error {
	shades, err := environment.ShadesOf(v.env.Policy.Accent)
	if err != nil { // none, that is
		return fault.New(fault.NotFound, "This environment has no colour of its own.")
	}
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	v.w.Header().Set("Cache-Control", "public, max-age=3600")
	v.w.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprintf(v.w, ":root{--accent-light:%s;--on-accent-light:#ffffff;--accent-dark:%s;--on-accent-dark:%s}\n",
		shades.Light, shades.Dark, shades.OnDark) // the client may have left
	return nil
}
