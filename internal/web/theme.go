package web

import (
	"net/http"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/web/static"
)

// theme gives the environment's accent as a style sheet.
func (d *Door) theme(v *visit) error {
	sheet, err := static.Theme(v.env.Policy.Accent)
	if v.env.Policy.Accent == "" || err != nil {
		return fault.New(fault.NotFound, "This environment has no colour of its own.")
	}
	v.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	v.w.Header().Set("Cache-Control", "public, max-age=3600")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write([]byte(sheet)) // the client may have left
	return nil
}
