// Package web is the door for people: server-rendered pages, one file per
// screen.
//
// A handler decodes the request, calls one verb and renders a view of package
// templates. It decides nothing: rules and permissions are in the verbs, HTTP
// status and cookies are here. routes.go lists every address.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/sparekey/sparekey/internal/account"
	"github.com/sparekey/sparekey/internal/console"
	"github.com/sparekey/sparekey/internal/delivery"
	"github.com/sparekey/sparekey/internal/doctor"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/numbers"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/settings"
	"github.com/sparekey/sparekey/internal/signin"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/static"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// Door holds what the pages need.
type Door struct {
	SignIn      *signin.SignIn
	Recovery    *recovery.Recovery
	Account     *account.Account
	UserManager *usermanager.UserManager
	Settings    *settings.Settings
	Console     *console.Console
	Doctor      *doctor.Doctor
	Delivery    *delivery.Delivery
	Help        *help.Help
	Numbers     *numbers.Numbers

	URL            *url.URL       // the public address; every link is built from it
	Sender         string         // the address our mails come from
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Clock          func() time.Time
	Log            *slog.Logger
	// Stopping ends when the server shuts down: pages that are watched let go.
	Stopping <-chan struct{}
	// Ready tells whether requests can be served, for /readyz.
	Ready func(ctx context.Context) error
	// Observe is told of every answer, for metrics; it may be nil.
	Observe func(route string, status int, took time.Duration)

	protection *http.CrossOriginProtection
	routes     *http.ServeMux
}

// Handler gives the whole door.
func (d *Door) Handler() http.Handler {
	d.protection = http.NewCrossOriginProtection()
	// The public address may differ from the Host that a proxy passes on.
	if err := d.protection.AddTrustedOrigin(d.URL.Scheme + "://" + d.URL.Host); err != nil {
		panic(err) // config refuses addresses that are no origin
	}
	d.routes = http.NewServeMux()
	for _, r := range Routes() {
		d.routes.Handle(r.Method+" "+r.Pattern, d.page(r))
	}
	top := http.NewServeMux()
	top.Handle("/static/", static.Handler())
	top.HandleFunc("GET /livez", d.livez)
	top.HandleFunc("GET /readyz", d.readyz)
	top.HandleFunc("GET /.well-known/change-password", d.rootChangePassword)
	top.HandleFunc("POST /mail-events/{provider}", d.mailEvents)
	top.HandleFunc("GET /{$}", d.root)
	top.HandleFunc("/", d.environments)
	return d.around(top)
}

// secure tells whether people reach us by https.
func (d *Door) secure() bool { return d.URL.Scheme == "https" }

func (d *Door) livez(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive\n") }

func (d *Door) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		d.Log.WarnContext(r.Context(), "not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

// root tells nobody which environments there are.
func (d *Door) root(w http.ResponseWriter, r *http.Request) {
	m := message("Sparekey", "Everybody here has an address of their own to log in at, such as "+d.URL.Host+"/name. Use the link you were given, or ask whoever runs your system.")
	m.Page = templates.Page{Now: d.Clock()}
	if err := write(r.Context(), w, http.StatusOK, templates.MessagePage(m)); err != nil {
		d.Log.Error("render", "error", err)
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have left
}
