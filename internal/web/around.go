package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// contentPolicy allows our own files and nothing else (CSP level 3).
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// around is what happens to every request: headers, a request id, the log, the
// metrics, and an answer even after a panic.
func (d *Door) around(next http.Handler) http.Handler {
	headers := d.headers()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, route: "other", id: newRequestID(), started: d.Clock()}
		h := w.Header()
		for name, values := range headers {
			h[name] = values
		}
		h["X-Request-Id"] = []string{rec.id}
		defer d.after(rec, r)
		next.ServeHTTP(rec, r)
	})
}

// headers are those of every answer. Their values are shared by all requests:
// who wants another one sets it, and never appends.
func (d *Door) headers() map[string][]string {
	h := map[string][]string{
		"Cache-Control":                {"no-store"}, // what may be kept says so itself
		"Content-Security-Policy":      {contentPolicy},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
		"Referrer-Policy":              {"same-origin"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=()"},
	}
	if d.secure() {
		h["Strict-Transport-Security"] = []string{"max-age=63072000"}
	}
	return h
}

// after answers a panic and writes down what was answered.
func (d *Door) after(rec *recorder, r *http.Request) {
	if p := recover(); p != nil {
		d.Log.Error("panic", "request", rec.id, "route", rec.route, "panic", p, "stack", string(debug.Stack()))
		if rec.status == 0 {
			d.sorry(rec, r, rec.id)
		}
	}
	took := d.Clock().Sub(rec.started)
	if d.Observe != nil {
		d.Observe(rec.route, rec.status, took)
	}
	ctx := context.WithoutCancel(r.Context())
	if level := levelOf(rec); d.Log.Enabled(ctx, level) {
		// The route, not the path: a path may hold a link.
		d.Log.LogAttrs(ctx, level, "request", slog.String("request", rec.id), slog.String("method", r.Method),
			slog.String("route", rec.route), slog.String("environment", rec.slug), slog.Int("status", rec.status), slog.Duration("took", took))
	}
}

// levelOf keeps what happens thousands of times a minute out of the ordinary log.
func levelOf(r *recorder) slog.Level {
	if r.status < 500 && (r.route == "other" || r.route == sessionRoute) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// recorder remembers what is answered.
type recorder struct {
	http.ResponseWriter
	started         time.Time
	status          int
	id, route, slug string
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the original.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// environments serves everything below an environment's slug.
func (d *Door) environments(w http.ResponseWriter, r *http.Request) {
	rec := w.(*recorder)
	slug, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if holdsLink(rest) { // whatever the answer: the link must not travel on
		w.Header().Set("Referrer-Policy", "no-referrer")
		if bare := strings.TrimRight(r.URL.Path, "/"); bare != r.URL.Path { // some programs add one
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = bare, ""
		}
	}
	if rest == "session" && environment.HasPages(slug) {
		rec.route, rec.slug = sessionRoute, slug
		d.session(w, r, slug)
		return
	}
	h, pattern := d.routes.Handler(r)
	if pattern == "" || slug != strings.ToLower(slug) {
		if to := d.usual(r, slug, rest); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
	}
	if pattern == "" {
		d.unknown(rec, r, h)
		return
	}
	_, rec.route, _ = strings.Cut(pattern, " ")
	d.routes.ServeHTTP(w, r)
}

// holdsLink tells whether an address below an environment is one that mails
// carry.
func holdsLink(rest string) bool {
	first, link, _ := strings.Cut(rest, "/")
	return link != "" && (first == "reset-password" || first == "not-me" || first == "confirm-address")
}

// usual gives the address of the page that somebody meant who typed it: phones
// begin with a capital, and some end with a slash. There is none for what holds
// a link: that is right as it stands, or wrong.
func (d *Door) usual(r *http.Request, slug, rest string) string {
	slug, rest = strings.ToLower(slug), strings.ToLower(strings.TrimRight(rest, "/"))
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !environment.HasPages(slug) || holdsLink(rest) {
		return ""
	}
	to := &url.URL{Path: strings.TrimSuffix("/"+slug+"/"+rest, "/"), RawQuery: r.URL.RawQuery}
	if to.Path == r.URL.Path {
		return ""
	}
	if _, pattern := d.routes.Handler(&http.Request{Method: r.Method, Host: r.Host, URL: to}); pattern == "" {
		return ""
	}
	return to.String()
}

// unknown answers for addresses that are none (404), methods that do not fit
// (405) and paths that are spelled unusually (redirected by the standard
// library to their clean form).
func (d *Door) unknown(w *recorder, r *http.Request, fallback http.Handler) {
	drain(r)
	probe := &probe{header: http.Header{}}
	fallback.ServeHTTP(probe, r)
	m := templates.Message{Heading: "There is no such page", Text: []string{"Check the address, or start at the log in page of your environment."}}
	status := http.StatusNotFound
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		status = probe.status
		m = templates.Message{Heading: "This does not work that way", Text: []string{"The address exists, but it cannot be asked like this. Go back and use the button on the page."}}
	}
	m.Page = templates.Page{Now: d.Clock(), RequestID: w.id}
	if slug, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); environment.HasPages(slug) {
		m.ActionWords, m.ActionURL = "To the log in page", "/"+slug+"/login"
	}
	if err := write(r.Context(), w, status, templates.MessagePage(m)); err != nil {
		d.Log.Error("render", "error", err)
	}
}

// probe finds out what the standard library would answer.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// page makes the handler of a route: it finds the environment and the session,
// checks the guard and the origin, and answers errors.
func (d *Door) page(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := w.(*recorder)
		v := &visit{d: d, w: w, r: r, now: d.Clock(), request: rec.id}
		if err := d.serve(route, v); err != nil {
			drain(r)
			d.fail(v, err)
		}
		rec.slug = v.env.Slug
	})
}

var errCrossOrigin = errors.New("cross-origin request")

func (d *Door) serve(route Route, v *visit) (err error) {
	slug := v.r.PathValue("environment")
	if slug == "" { // an address of the console
		slug = environment.OperatorSlug
	}
	if !environment.HasPages(slug) {
		return fault.New(fault.NotFound, "There is no such environment.")
	}
	if v.env, err = d.Settings.BySlug(v.ctx(), slug); err != nil {
		return err
	}
	if err := plainValues(v.r.URL.Query()); err != nil {
		return err
	}
	if v.r.Method == http.MethodPost {
		if err := d.protection.Check(v.r); err != nil && !route.LinkIsAuthority {
			return errCrossOrigin
		}
		if err := v.readForm(); err != nil {
			return err
		}
	}
	if err := v.resume(); err != nil {
		return err
	}
	if route.Guard != Anyone && !v.signedIn() {
		return v.toLogin()
	}
	return route.handle(d, v)
}

// toLogin sends somebody without a session to the login page, and back here
// afterwards if it was a page they wanted to see.
func (v *visit) toLogin() error {
	next := v.r.URL.RequestURI()
	info := endedInfo(v.ended)
	if v.r.Method != http.MethodGet {
		next = v.safeNext(strings.TrimSuffix(v.r.URL.Path, "/approvals"))
		if info == "" {
			info = templates.InfoSessionClosed // what was sent is not done, and says so
		}
	}
	if info != "" {
		v.flash(flash{Info: info})
	}
	return v.redirect(v.at("login") + "?next=" + url.QueryEscape(next))
}

// fail answers an error. People see the fault's sentence and a request number;
// the log sees the chain.
func (d *Door) fail(v *visit, err error) {
	m, status := d.explain(v, err)
	if status >= http.StatusInternalServerError && !errors.Is(err, environment.ErrPaused) {
		d.Log.ErrorContext(v.ctx(), "page", logAttrs(v, err)...)
	}
	m.Page = v.page()
	m.HelpLine = v.env.Policy.HelpLine
	if f := fault.As(err); f != nil {
		v.retryAfter(f)
	}
	if err := v.show(status, templates.MessagePage(m)); err != nil {
		d.Log.ErrorContext(v.ctx(), "page", logAttrs(v, err)...)
	}
}

// explain turns an error into a page and its status: the one place that knows both.
func (d *Door) explain(v *visit, err error) (templates.Message, int) {
	f := fault.As(err)
	switch {
	case errors.Is(err, errCrossOrigin):
		return message("This came from another site", "For your safety nothing was done. Open the page here and press the button again."), http.StatusForbidden
	case errors.Is(err, errTooLarge):
		return message("This is too much text", "Nothing was changed. Go back and shorten what you typed."), http.StatusRequestEntityTooLarge
	case errors.Is(err, errNotAForm):
		return message("This is not the form of this page", "Nothing was changed. Open the page and use its button."), http.StatusUnsupportedMediaType
	case errors.Is(err, errMalformed):
		return message("This form arrived damaged", "Nothing was changed. Go back, reload the page and try again."), http.StatusBadRequest
	case errors.Is(err, context.Canceled):
		return message("You left before we were done", "Reload the page to see how it stands."), 499
	case f == nil:
		return ourFault(), http.StatusInternalServerError
	}
	m := message(headings[f.Kind], f.Sentence)
	if f.Kind == fault.Throttled { // the other sentences say themselves when to try again
		m.RetrySeconds = seconds(f.RetryAfter)
	}
	switch {
	case v.signedIn() && f.Kind == fault.Conflict && v.r.PathValue("id") != "": // things are not as they were on the form
		m.ActionWords, m.ActionURL = "To the user’s page", v.at("users", v.r.PathValue("id"))
	case v.signedIn():
		m.ActionWords, m.ActionURL = "Back to the start", v.at()
	case v.env.ID != "" && !v.env.Suspended():
		m.ActionWords, m.ActionURL = "To the log in page", v.at("login")
	}
	return m, statuses[f.Kind]
}

func ourFault() templates.Message {
	return message("Something went wrong on our side", "Nothing you typed was wrong. Try again in a minute; if it stays so, tell whoever runs this site the request number below.")
}

func message(heading, text string) templates.Message {
	return templates.Message{Heading: heading, Text: []string{text}}
}

var headings = map[fault.Kind]string{
	fault.Invalid: "This cannot be saved as it is", fault.NotFound: "Not found here", fault.Conflict: "This does not fit what is there now",
	fault.Denied: "You may not do this", fault.Throttled: "A moment, please", fault.Unavailable: "Not just now",
}

var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusUnprocessableEntity, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict,
	fault.Denied: http.StatusForbidden, fault.Throttled: http.StatusTooManyRequests, fault.Unavailable: http.StatusServiceUnavailable,
}

// seconds rounds up, so that nobody comes back too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// sorry is the answer after a panic.
func (d *Door) sorry(w http.ResponseWriter, r *http.Request, id string) {
	m := ourFault()
	m.Page = templates.Page{Now: d.Clock(), RequestID: id}
	_ = write(r.Context(), w, http.StatusInternalServerError, templates.MessagePage(m)) // there is nothing left to do
}
