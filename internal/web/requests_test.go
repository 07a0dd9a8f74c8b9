package web_test

import (
	"database/sql"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

const (
	janeEmail = "jane@acme.example"
	formKind  = "application/x-www-form-urlencoded"
)

// onSQLite runs a test of what no statement decides.
func onSQLite(t *testing.T, test func(t *testing.T, w *testkit.World), options ...func(*config.Config)) {
	t.Helper()
	test(t, testkit.New(t, testkit.Database(t, "sqlite"), options...))
}

// answer is what came back to a single request.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// cookie gives what the answer sets, or nil.
func (a answer) cookie(name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

var plainClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableKeepAlives: true},
}

// send sends one request as it stands: no cookies of its own, no redirects
// followed. Headers come in pairs.
func send(w *testkit.World, method, address, body string, headers ...string) answer {
	w.T.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.URL + address
	}
	r, err := http.NewRequestWithContext(w.Ctx(), method, address, strings.NewReader(body))
	require.NoError(w.T, err)
	r.Header.Set("User-Agent", testkit.Firefox)
	if body != "" {
		r.Header.Set("Content-Type", formKind)
	}
	for i := 0; i < len(headers); i += 2 {
		switch name, value := headers[i], headers[i+1]; name {
		case "Host":
			r.Host = value
		case "User-Agent", "Content-Type": // instead of the usual one
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	res, err := plainClient.Do(r)
	require.NoError(w.T, err)
	defer func() { _ = res.Body.Close() }()
	text := testkit.ReadBody(w.T, res)
	return answer{Status: res.StatusCode, Header: res.Header, Body: string(text)}
}

// form encodes names and values in pairs.
func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

// path takes an address down to what follows the host.
func path(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.RequestURI()
}

// askFor asks for an address in a fresh browser and gives the link that was
// mailed to it.
func askFor(w *testkit.World, email string) string {
	w.T.Helper()
	w.Inbox.Clear()
	require.Equal(w.T, http.StatusOK, ask(w.Browser(), email).Status)
	link := w.Mail(email, "Reset your password").LinkTo("/reset-password/")
	require.NotEmpty(w.T, link)
	settled(w) // else a jump of the clock ends the lease of its job, and it is mailed twice
	return link
}

// setPassword posts a new password to a link, as its page would.
func setPassword(w *testkit.World, link, operation, password string, headers ...string) answer {
	w.T.Helper()
	return send(w, http.MethodPost, link, form("operation", operation, "password", password), headers...)
}

// login posts the login form once, in no browser.
func login(w *testkit.World, email, password string, headers ...string) answer {
	w.T.Helper()
	return send(w, http.MethodPost, "/acme/login", form("email", email, "password", password), headers...)
}

// mayLogIn tells whether an address and a password fit together.
func mayLogIn(w *testkit.World, email, password string) bool {
	w.T.Helper()
	return login(w, email, password).Status == http.StatusSeeOther
}

// isIn tells whether a browser is signed in.
func isIn(b *testkit.Browser) bool { return b.Get("/acme/session").Status == http.StatusOK }

// stored gives a user as the database has it.
func stored(w *testkit.World, u user.User) user.User {
	w.T.Helper()
	var now user.User
	w.View(func(tx *db.Tx) (err error) { now, err = user.Find(tx, w.Acme.ID, u.ID); return err })
	return now
}

// settled waits until no job is left to do, and so no mail either.
func settled(w *testkit.World) {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		left := 0
		w.View(func(tx *db.Tx) error {
			for _, kind := range []outbox.Kind{outbox.Resolve, outbox.Send} {
				n, err := outbox.Waiting(tx, kind)
				if err != nil {
					return err
				}
				left += n
			}
			return nil
		})
		return left == 0
	}, 20*time.Second, 5*time.Millisecond)
}

// count gives one number from the database.
func count(w *testkit.World, query string, args ...any) int {
	w.T.Helper()
	n := 0
	w.View(func(tx *db.Tx) (err error) { n, err = db.One[int](tx, query, args...); return err })
	return n
}

// suspend closes environment acme, or opens it again.
func suspend(w *testkit.World, closed bool) {
	w.T.Helper()
	change := w.App.Settings.Resume
	if closed {
		change = w.App.Settings.Suspend
	}
	require.NoError(w.T, change(w.Ctx(), access.Operator(), w.Acme))
}

// behindProxy makes the loopback a trusted proxy, so that X-Forwarded-For says
// where a request comes from.
func behindProxy(c *config.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// changeRole gives a user another role, as the operator.
func changeRole(w *testkit.World, u user.User, role access.Role) {
	w.T.Helper()
	now := stored(w, u)
	_, err := w.App.UserManager.Edit(w.Ctx(), access.Operator(), w.Acme, u.ID, usermanager.Change{Name: now.Name, Email: now.Email, Role: role})
	require.NoError(w.T, err)
}

// deactivate closes an account, as the operator.
func deactivate(w *testkit.World, u user.User) {
	w.T.Helper()
	_, _, err := w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, u.ID)
	require.NoError(w.T, err)
}

// invite invites somebody, as the operator.
func invite(w *testkit.World, email, name string) user.User {
	w.T.Helper()
	u, err := w.App.UserManager.Create(w.Ctx(), access.Operator(), w.Acme, usermanager.New{Email: email, Name: name})
	require.NoError(w.T, err)
	return u
}

// dump gives every row of every table as text, as a copy of the database would
// show it.
func dump(w *testkit.World) map[string][][]string {
	w.T.Helper()
	driver, tables := "sqlite", "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'users_search%'"
	if w.Engine == "postgres" {
		driver, tables = "pgx", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	}
	d, err := sql.Open(driver, w.Config.Database.DSN)
	require.NoError(w.T, err)
	defer func() { _ = d.Close() }()
	all := map[string][][]string{}
	for _, name := range rows(w, d, tables) {
		all[name[0]] = rows(w, d, "SELECT * FROM "+name[0])
	}
	return all
}

func rows(w *testkit.World, d *sql.DB, query string) [][]string {
	w.T.Helper()
	found, err := d.QueryContext(w.Ctx(), query)
	require.NoError(w.T, err)
	defer func() { _ = found.Close() }()
	columns, err := found.Columns()
	require.NoError(w.T, err)
	var all [][]string
	for found.Next() {
		texts, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range texts {
			places[i] = &texts[i]
		}
		require.NoError(w.T, found.Scan(places...))
		row := make([]string, len(columns))
		for i := range texts {
			row[i] = texts[i].String
		}
		all = append(all, row)
	}
	require.NoError(w.T, found.Err())
	return all
}
