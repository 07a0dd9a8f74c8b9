package web

import (
	"fmt"
	"net/http"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
)

// theme gives the environment's accent as a style sheet. The page of a link names
// its opening, so that the fetch tells a browser from most link scanners.
func (d *Door) theme(v *visit) error {
	if look := v.r.URL.Query().Get("look"); look != "" {
		return d.themeOfLook(v, look)
	}
	shades, err := environment.ShadesOf(v.env.Policy.Accent)
	if err != nil { // none, that is
		return fault.New(fault.NotFound, "This environment has no colour of its own.")
	}
	v.w.Header().Set("Cache-Control", "public, max-age=3600")
	v.sheet()
	v.shades(shades)
	return nil
}

// themeOfLook answers every id alike, and without a colour with an empty sheet.
func (d *Door) themeOfLook(v *visit, look string) error {
	if id.Valid(look) {
		if err := d.Recovery.Styled(v.ctx(), v.env, id.Open(look)); err != nil {
			return err
		}
	}
	v.w.Header().Set("Cache-Control", "no-store")
	v.sheet()
	if shades, err := environment.ShadesOf(v.env.Policy.Accent); err == nil {
		v.shades(shades)
	}
	return nil
}

// sheet begins the answer that is a style sheet.
func (v *visit) sheet() {
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	v.w.WriteHeader(http.StatusOK)
}

func (v *visit) shades(s environment.Shades) {
	_, _ = fmt.Fprintf(v.w, ":root{--accent-light:%s;--on-accent-light:#ffffff;--accent-dark:%s;--on-accent-dark:%s}\n",
		s.Light, s.Dark, s.OnDark) // the client may have left
}
