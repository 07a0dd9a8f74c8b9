package web

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/signin"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// deviceLife is how long a browser is remembered as one that knows an address.
const deviceLife = 365 * 24 * time.Hour

// showStart sends people to where they work, or to the login page.
func (d *Door) showStart(v *visit) error {
	if v.signedIn() {
		return v.redirect(v.home())
	}
	return v.redirect(v.at("login"))
}

func (v *visit) home() string {
	if access.May(v.actor(), v.env.ID, access.OpenConsole) {
		return v.at()
	}
	if access.May(v.actor(), v.env.ID, access.OpenUserManager) {
		return v.at("users")
	}
	return v.at("account")
}

func (d *Door) showLogin(v *visit) error {
	next := v.safeNext(v.r.URL.Query().Get("next"))
	if v.signedIn() {
		if next == "" {
			next = v.home()
		}
		return v.redirect(next)
	}
	if err := v.env.Paused(); err != nil {
		return err
	}
	if v.ended != "" { // it is said once; then the browser forgets the session, too
		v.setCookie("", "", 0)
	}
	f := v.takeFlash()
	page := templates.Login{
		Page: v.page(), Email: f.Email, Next: next, Info: f.Info, HelpLine: v.env.Policy.HelpLine,
	}
	if page.Info == "" {
		page.Info = endedInfo(v.ended)
	}
	if page.Email == "" {
		page.Email = cut(v.r.URL.Query().Get("email"), 254)
	}
	return v.show(http.StatusOK, templates.LoginPage(page))
}

// endedInfo is what the login page says to somebody whose session has ended:
// whoever has its cookie owned it, and may know why.
func endedInfo(why string) string {
	switch why {
	case "", session.SignedOut:
		return ""
	case session.PasswordReset, session.PasswordSet:
		return templates.InfoSessionEnded
	case session.Expired:
		return templates.InfoSessionExpired
	default:
		return templates.InfoSessionClosed
	}
}

func (d *Door) submitLogin(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	page := templates.Login{
		Page: v.page(), Email: cut(v.form.Get("email"), 254), Next: v.safeNext(v.form.Get("next")), HelpLine: v.env.Policy.HelpLine,
	}
	page.Nav = templates.Nav{} // the page of somebody who is not in yet
	in, err := d.SignIn.In(v.ctx(), v.env, signin.Try{
		Email: v.form.Get("email"), Password: v.form.Get("password"), Device: v.cookie(deviceCookie), From: v.from(),
	})
	f := fault.As(err)
	switch {
	case err == nil:
		return v.enter(in, page.Next)
	case errors.Is(err, signin.ErrWrong):
		page.Problem = signin.ErrWrong.Sentence
		return v.show(http.StatusUnprocessableEntity, templates.LoginPage(page))
	case f != nil && f.Kind == fault.Throttled:
		page.RetrySeconds = seconds(f.RetryAfter)
		v.retryAfter(f)
		return v.show(http.StatusTooManyRequests, templates.LoginPage(page))
	case f != nil && f.Kind == fault.Unavailable:
		page.Problem = f.Sentence
		v.unavailable(f)
		return v.show(http.StatusServiceUnavailable, templates.LoginPage(page))
	default:
		return err
	}
}

// enter gives the browser its new session and ends the one it had: nobody would
// see it again.
func (v *visit) enter(in signin.In, next string) error {
	if v.signedIn() {
		if err := v.d.SignIn.Out(v.ctx(), v.live, v.actor()); err != nil {
			return err
		}
	}
	v.setCookie("", in.Session, in.EndsAt.Sub(v.now))
	v.setCookie(deviceCookie, in.Device, deviceLife)
	if next != "" {
		return v.redirect(next)
	}
	v.live.Environment, v.live.User, v.live.Role = v.env.ID, in.User.ID, in.User.Role
	return v.redirect(v.home())
}

func (d *Door) submitLogout(v *visit) error {
	if v.signedIn() {
		if err := d.SignIn.Out(v.ctx(), v.live, v.actor()); err != nil {
			return err
		}
	}
	v.setCookie("", "", 0)
	v.flash(flash{Info: templates.InfoSignedOut})
	return v.redirect(v.at("login"))
}

// safeNext keeps an address only if it is a page of this environment, and
// writes it anew, so that nothing a browser could read as another host survives.
func (v *visit) safeNext(next string) string {
	if len(next) > 1024 || strings.ContainsAny(next, "\\\t\r\n") {
		return ""
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	if path.Clean(u.Path) != u.Path || !strings.HasPrefix(u.Path, v.at()+"/") || u.Path == v.at("login") || u.Path == v.at("logout") {
		return ""
	}
	return (&url.URL{Path: u.Path, RawQuery: u.Query().Encode()}).String()
}

func (v *visit) retryAfter(f *fault.Error) {
	if s := seconds(f.RetryAfter); s > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(s))
	}
}

// unavailable is for forms that come again, with what was typed, because something
// of ours is not there. What failed underneath is for the log; that many come at
// once is no failure.
func (v *visit) unavailable(f *fault.Error) {
	if errors.Unwrap(f) != nil {
		v.d.Log.ErrorContext(v.ctx(), "page", logAttrs(v, f)...)
	}
	v.retryAfter(f)
}

// changePassword sends password managers to the form (w3.org/TR/change-password-url).
func (d *Door) changePassword(v *visit) error {
	http.Redirect(v.w, v.r, v.at("account")+"#password", http.StatusFound)
	return nil
}

// rootChangePassword cannot know the environment; with one cookie it can guess it.
func (d *Door) rootChangePassword(w http.ResponseWriter, r *http.Request) {
	for _, c := range r.Cookies() {
		slug := strings.TrimPrefix(strings.TrimPrefix(c.Name, "__Host-"), "sparekey-")
		if environment.HasPages(slug) && c.Name == d.cookieName(slug, "") {
			http.Redirect(w, r, "/"+url.PathEscape(slug)+"/.well-known/change-password", http.StatusFound)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusFound)
}
