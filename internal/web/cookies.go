package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/session"
)

// cookieName gives the name of an environment's cookie. With https it has the
// prefix that browsers hold to our very host (RFC 6265bis section 4.1.3.2).
func (v *visit) cookieName(what string) string { return v.d.cookieName(v.env.Slug, what) }

func (d *Door) cookieName(slug, what string) string {
	name := "sparekey-" + slug
	if what != "" {
		name = "sparekey." + what + "-" + slug
	}
	if d.secure() {
		return "__Host-" + name
	}
	return name
}

// The cookies of an environment besides the session's.
const (
	deviceCookie = "device" // has signed in as this address before
	askedCookie  = "asked"  // asked for a reset of this address
	caseCookie   = "case"   // the number of its last asking
	flashCookie  = "flash"  // something to say once, on the next page
)

func (v *visit) setCookie(what, value string, life time.Duration) {
	c := &http.Cookie{
		Name: v.cookieName(what), Value: value, Path: "/", HttpOnly: true,
		Secure: v.d.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds()),
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

func (v *visit) cookie(what string) string {
	c, err := v.r.Cookie(v.cookieName(what))
	if err != nil || len(c.Value) > 1024 {
		return ""
	}
	return c.Value
}

// resume finds the session of the cookie, if it lives.
func (v *visit) resume() error {
	text := v.cookie("")
	v.live = session.Live{}
	if text == "" {
		return nil
	}
	live, err := v.d.SignIn.Resume(v.ctx(), v.env.Slug, text)
	switch {
	case err == nil:
		v.live = live
	case fault.Is(err, fault.NotFound):
		v.ended = live.EndedWhy
	default:
		return err
	}
	return nil
}

// flash is something to say once, on the page after a redirect.
type flash struct {
	Info  string `json:"i,omitempty"` // a word of the login page
	Email string `json:"e,omitempty"` // to fill in there
	Words string `json:"w,omitempty"` // a sentence for other pages
}

func (v *visit) flash(f flash) {
	text, err := json.Marshal(f)
	if err == nil {
		v.setCookie(flashCookie, base64.RawURLEncoding.EncodeToString(text), time.Minute)
	}
}

// takeFlash gives what the page before left to say. It comes from a cookie that
// only this browser can write, and is shown to nobody else.
func (v *visit) takeFlash() flash {
	var f flash
	value := v.cookie(flashCookie)
	if value == "" {
		return f
	}
	v.setCookie(flashCookie, "", 0)
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(text, &f) != nil {
		return flash{}
	}
	return f
}
