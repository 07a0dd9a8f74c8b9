package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// visit is one request to a page of an environment.
type visit struct {
	d       *Door
	w       http.ResponseWriter
	r       *http.Request
	env     environment.Environment
	live    session.Live // of the signed-in user; zero for others
	ended   string       // why the session of the cookie ended, if it did
	now     time.Time
	request string // its id, for the log and for people to quote
	form    url.Values
}

func (v *visit) ctx() context.Context { return v.r.Context() }

func (v *visit) signedIn() bool { return v.live.Session != "" }

// from says where the request came from.
func (v *visit) from() access.From {
	return access.From{Network: v.d.network(v.r), Agent: agentOf(v.r)}
}

func (v *visit) actor() access.Actor {
	return access.Actor{Environment: v.live.Environment, User: v.live.User, Name: v.live.Name, Role: v.live.Role, From: v.from()}
}

// at gives an address of the environment.
func (v *visit) at(parts ...string) string {
	return (&url.URL{Path: "/"}).JoinPath(append([]string{v.env.Slug}, parts...)...).EscapedPath()
}

// page fills in what every screen shows.
func (v *visit) page() templates.Page {
	p := templates.Page{Environment: v.env.Name, Slug: v.env.Slug, Now: v.now, RequestID: v.request}
	if v.r.Method == http.MethodPost {
		p.Again = v.r.URL.Path
	}
	if v.env.Policy.Accent != "" {
		p.ThemeURL = v.at("theme.css") + "?" + v.env.Policy.Accent[1:]
	}
	if v.signedIn() {
		actor := v.actor()
		p.Nav = templates.Nav{
			Name: v.live.Name, Role: v.live.Role.Words(),
			Users:    access.May(actor, v.env.ID, access.OpenUserManager),
			Settings: access.May(actor, v.env.ID, access.ChangeSettings),
			Console:  access.May(actor, v.env.ID, access.OpenConsole),
			Numbers:  access.May(actor, v.env.ID, access.SeeNumbers),
			Help:     true,
		}
		if p.Nav.Users {
			p.Nav.NeedsHelp, p.Nav.NeedsHelpCount = true, v.waitingForHelp(actor)
		}
	}
	return p
}

// anonymous is page without the bar: these screens are the same for everybody.
func (v *visit) anonymous() templates.Page {
	p := v.page()
	p.Nav, p.RequestID = templates.Nav{}, ""
	return p
}

// waitingForHelp counts the queue for the badge; a page is not worth losing over it.
func (v *visit) waitingForHelp(actor access.Actor) int {
	n, err := v.d.UserManager.Waiting(v.ctx(), actor, v.env)
	if err != nil {
		v.d.Log.Warn("count those who need help", logAttrs(v, err)...)
	}
	return n
}

// refused is page with the reasons of a fault beside their fields.
func (v *visit) refused(f *fault.Error) templates.Page {
	p := v.page()
	p.Problem = f.Sentence
	for _, field := range f.Fields {
		p.Fields = append(p.Fields, templates.FieldProblem{Name: field.Name, Reason: field.Reason})
	}
	return p
}

// sender is the address that mails of the environment come from.
func (v *visit) sender() string { return cmp.Or(v.env.Policy.SenderAddress, v.d.Sender) }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show renders a page. Nothing is sent before it is whole.
func (v *visit) show(status int, c templ.Component) error {
	return write(v.ctx(), v.w, status, c)
}

func write(ctx context.Context, w http.ResponseWriter, status int, c templ.Component) error {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	// Also when ctx has ended: whoever still waits is told why, and not sent an empty page.
	if err := c.Render(context.WithoutCancel(ctx), b); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may have left
	// Now, not after what is still to be written down about the request.
	_ = http.NewResponseController(w).Flush()
	return nil
}

// redirect sends the browser on with a GET, to an address of our own.
func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// maxForm bounds a form; the longest honest one is a few hundred bytes.
const maxForm = 64 << 10

var (
	errTooLarge  = errors.New("body too large")
	errNotAForm  = errors.New("not a form")
	errMalformed = errors.New("malformed form")
)

// readForm reads a POST. A field that comes twice is refused: software before
// or behind us might read the other one.
func (v *visit) readForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return errNotAForm
	}
	body, err := io.ReadAll(io.LimitReader(v.r.Body, maxForm+1))
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if len(body) > maxForm {
		return errTooLarge
	}
	v.form, err = url.ParseQuery(string(body))
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return plainValues(v.form)
}

// maxDrained bounds what is read and thrown away of a body that nobody wants.
const maxDrained = 16 << 20

// drain reads what is left of a body before a refusal is answered. A browser
// hears nothing while it sends, and would show a broken connection instead.
func drain(r *http.Request) {
	if r.ContentLength > maxDrained {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxDrained) // the answer is the same whatever comes
}

func plainValues(values url.Values) error {
	for name, all := range values {
		if len(all) > 1 {
			return fmt.Errorf("%w: a field came twice", errMalformed)
		}
		if !utf8.ValidString(name) || !utf8.ValidString(all[0]) || strings.ContainsRune(name+all[0], 0) {
			return fmt.Errorf("%w: a field is not text", errMalformed)
		}
	}
	return nil
}

// cut bounds what a form gets back of what was typed.
func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}

// link gives the last part of the path, as it was sent: path cleaning must not
// repair it.
func (v *visit) link() string { return v.r.PathValue("link") }

// agentOf gives the browser's name of itself, cut to a length worth storing.
func agentOf(r *http.Request) string {
	a := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return -1
		}
		return c
	}, r.UserAgent())
	if len(a) > 300 {
		a = strings.ToValidUTF8(a[:300], "")
	}
	return a
}

func newRequestID() string { return rand.Text()[:12] }

func logAttrs(v *visit, err error) []any {
	return []any{slog.String("request", v.request), slog.String("environment", v.env.Slug), slog.Any("error", err)}
}
