package web_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/session"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web"
)

// Who walks past the doors. A stranger is anybody without a live session of the
// environment; there are four kinds of them, and all get the same answers.
const (
	nobody    = "nobody"
	foreigner = "a Client Admin of another environment"
	smuggler  = "that one with the cookie renamed"
	leaver    = "a deactivated user with the old cookie"
	member    = "a member"
	helpdesk  = "the help desk"
	admin     = "a Client Admin"
)

var (
	strangers = []string{nobody, foreigner, smuggler, leaver}
	insiders  = []string{member, helpdesk, admin}
)

// The answers that differ from a plain status.
const (
	toLogin = -1 // 303 to the login page: a session is wanted
)

// answers are the expected statuses of a stranger, a member, the help desk and
// a Client Admin.
type answers [4]int

func (a answers) of(who string) int {
	return map[string]int{member: a[1], helpdesk: a[2], admin: a[3]}[who] + map[bool]int{true: a[0]}[slices.Contains(strangers, who)]
}

// step is one way to ask one route.
type step struct {
	id   string // for {id}: own, foreign, unknown, garbage
	form url.Values
	want answers
}

// The kinds of id in a path: of a member of acme, of another environment, of
// nobody, and none at all.
const (
	own     = "own"
	foreign = "foreign"
	unknown = "unknown"
	garbage = "garbage"
)

func fields(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func same(status int) answers { return answers{status, status, status, status} }

// onUser is a route about one user: what the path names decides as well.
func onUser(form url.Values, helpdeskGets, adminGets int) []step {
	elsewhere := answers{toLogin, 404, 404, 404}
	return []step{
		{own, form, answers{toLogin, 403, helpdeskGets, adminGets}},
		{foreign, form, elsewhere},
		{unknown, form, elsewhere},
		{garbage, form, elsewhere},
	}
}

// theWalk has an entry for every route: a new route needs one.
var theWalk = map[string][]step{
	"GET /{environment}":         {{want: same(303)}},
	"GET /{environment}/{$}":     {{want: same(303)}},
	"POST /{environment}/logout": {{form: fields(), want: same(303)}},
	"GET /{environment}/login":   {{want: answers{200, 303, 303, 303}}},
	"POST /{environment}/login":  {{form: fields("email", "nobody@acme.example", "password", "x"), want: same(422)}},

	"GET /{environment}/forgot-password":                   {{want: same(200)}},
	"POST /{environment}/forgot-password":                  {{form: fields("email", "stranger@acme.example"), want: same(200)}},
	"GET /{environment}/reset-password":                    {{want: same(200)}},
	"POST /{environment}/reset-password":                   {{form: fields("email", "jane@acme.example", "code", "12345678"), want: same(422)}},
	"GET /{environment}/reset-password/{link}":             {{want: same(410)}},
	"POST /{environment}/reset-password/{link}":            {{form: fields("password", newPassphrase), want: same(410)}},
	"POST /{environment}/reset-password/paste":             {{form: fields("link", "ABC"), want: same(303)}},
	"POST /{environment}/reset-password/{link}/send-again": {{form: fields(), want: same(410)}},
	"GET /{environment}/not-me/{link}":                     {{want: same(410)}},
	"POST /{environment}/not-me/{link}":                    {{form: fields(), want: same(410)}},
	"GET /{environment}/confirm-address/{link}":            {{want: same(410)}},
	"POST /{environment}/confirm-address/{link}":           {{form: fields(), want: same(410)}},
	"GET /{environment}/.well-known/change-password":       {{want: same(302)}},
	"GET /{environment}/theme.css":                         {{want: same(200)}},
	"GET /{environment}/account":                           {{want: answers{toLogin, 200, 200, 200}}},
	"POST /{environment}/account":                          {{form: fields("do", "name", "name", "New Name"), want: answers{toLogin, 303, 303, 303}}},
	"GET /{environment}/users":                             {{want: answers{toLogin, 403, 200, 200}}},
	"GET /{environment}/users/new":                         {{want: answers{toLogin, 403, 403, 200}}},
	"POST /{environment}/users/new":                        {{form: fields("email", "new@acme.example", "name", "New", "role", "member", "invite", "yes"), want: answers{toLogin, 403, 403, 303}}},
	"GET /{environment}/users/unmatched":                   {{want: answers{toLogin, 403, 403, 200}}},
	"POST /{environment}/users/unmatched": {
		{form: fields("do", "ignore", "request", "typo@acme.example"), want: answers{toLogin, 403, 403, 303}},
		{form: fields("do", "send", "request", "jne@acme.example"), want: answers{toLogin, 403, 403, 404}},
	},
	"POST /{environment}/users/approvals": {{form: fields("do", "agree", "approval", string(id.New[id.Approval]())), want: answers{toLogin, 403, 403, 409}}},
	"GET /{environment}/users/{id}":       onUser(nil, 200, 200),
	"POST /{environment}/users/{id}": slices.Concat(
		onUser(fields("action", "deactivate"), 403, 303),
		onUser(fields("action", "deactivate", "confirm", "yes"), 403, 303),
		onUser(fields("action", "activate"), 403, 303),
		onUser(fields("action", "reset-password"), 200, 200),
		onUser(fields("action", "send-reset-link"), 303, 303),
		onUser(fields("action", "cancel-token", "confirm", "yes"), 303, 409),
		onUser(fields("action", "end-link", "link", "0123456789abcdef"), 409, 409),
		onUser(fields("action", "end-sessions", "confirm", "yes"), 303, 303),
		onUser(fields("action", "resend-invitation"), 409, 409),
		onUser(fields("action", "edit"), 403, 303),
		onUser(fields("action", "delete"), 403, 303),
		onUser(fields("action", "send-code"), 303, 303),
		onUser(fields("action", "allow-mail"), 303, 303),
		onUser(fields("action", "close-case"), 303, 303),
	),
	"GET /{environment}/users/{id}/live":     onUser(nil, 200, 200),
	"GET /{environment}/needs-help":          {{want: answers{toLogin, 403, 200, 200}}},
	"GET /{environment}/users/{id}/edit":     onUser(nil, 403, 200),
	"GET /{environment}/users/{id}/{action}": onUser(nil, 403, 200),
	"POST /{environment}/users/{id}/edit":    onUser(fields("name", "Renamed", "role", "client-admin"), 403, 303),
	"GET /{environment}/settings":            {{want: answers{toLogin, 403, 403, 200}}},
	"POST /{environment}/settings": {
		{form: fields("help_line", "Call 555"), want: answers{toLogin, 403, 403, 303}},
		{form: fields("help_line", "Call 666", "was_help_line", "what never stood there"), want: answers{toLogin, 403, 403, 409}},
	},
}

// TestEveryRouteAsksWhoYouAre walks every route as everybody, and looks that a
// refused request changed no row anywhere.
func TestEveryRouteAsksWhoYouAre(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"accent": "#0b6e5a"})
		walk := newWalk(w)
		walked := 0
		for _, route := range web.Routes() {
			if route.Guard == web.Operators {
				continue // TestTheConsoleIsForOperators walks them
			}
			walked++
			steps, ok := theWalk[route.Method+" "+route.Pattern]
			require.True(t, ok, "%s %s is in no table: say in theWalk who gets which answer", route.Method, route.Pattern)
			for _, s := range steps {
				walk.try(t, route, s)
			}
		}
		require.Len(t, theWalk, walked, "an entry for a route that is no more")
	})
}

type walker struct {
	w       *testkit.World
	ids     map[string]string
	cookies map[string][]*http.Cookie
}

func newWalk(w *testkit.World) *walker {
	globex, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
	require.NoError(w.T, err)
	w.AddUser(globex, "admin@globex.example", "Gloria", access.ClientAdmin)
	other := w.AddUser(globex, "gus@globex.example", "Gus", access.Member)
	target := w.AddUser(w.Acme, "target@acme.example", "Tara Target", access.Member)
	for _, who := range insiders {
		w.AddUser(w.Acme, mailOf(who), who, roleOf[who])
	}
	askAndResolve(w, "typo@acme.example")
	askAndResolve(w, "jne@acme.example")
	k := &walker{w: w, cookies: map[string][]*http.Cookie{}, ids: map[string]string{
		own: string(target.ID), foreign: string(other.ID), unknown: string(id.New[id.User]()), garbage: "no-id",
	}}
	k.signIn()
	return k
}

var roleOf = map[string]access.Role{member: access.Member, helpdesk: access.Helpdesk, admin: access.ClientAdmin}

func mailOf(who string) string { return "walking-" + string(roleOf[who]) + "@acme.example" }

// try sends the step as everybody who is refused, looks at all rows, and then
// sends it as everybody else.
func (k *walker) try(t *testing.T, route web.Route, s step) {
	t.Helper()
	idle(k.w)
	before := everyRow(k.w)
	for _, refused := range []bool{true, false} {
		for _, who := range slices.Concat(strangers, insiders) {
			if want := s.want.of(who); refuses(want) == refused {
				k.send(t, route, s, who, want)
			}
		}
		if refused {
			require.Empty(t, differences(before, everyRow(k.w)), "%s %s %s %v was refused and changed rows", route.Method, route.Pattern, s.id, s.form)
		}
	}
	if strings.HasSuffix(route.Pattern, "/logout") {
		k.cookies = map[string][]*http.Cookie{}
		k.signIn()
	}
}

func (k *walker) send(t *testing.T, route web.Route, s step, who string, want int) {
	t.Helper()
	about := []any{"%s %s %s %v as %s", route.Method, route.Pattern, s.id, s.form, who}
	res := sendRaw(k.w, route.Method, k.path(route, s), s.form, k.cookies[who])
	if want == toLogin {
		require.Equal(t, http.StatusSeeOther, res.StatusCode, about...)
		require.True(t, strings.HasPrefix(res.Header.Get("Location"), "/acme/login"), about...)
	} else {
		require.Equal(t, want, res.StatusCode, about...)
	}
	if !strings.HasSuffix(route.Pattern, "/theme.css") {
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"), about...)
	}
}

func refuses(status int) bool { return status == toLogin || status == 403 || status == 404 }

func (k *walker) path(route web.Route, s step) string {
	return strings.NewReplacer("{environment}", "acme", "{$}", "", "{link}", "ABC", "{action}", "deactivate", "{id}", k.ids[s.id]).Replace(route.Pattern)
}

// signIn opens the sessions of everybody.
func (k *walker) signIn() {
	w := k.w
	for _, who := range insiders {
		b := w.Browser()
		require.Equal(w.T, http.StatusOK, b.SignIn(mailOf(who), testkit.Passphrase).Status, who)
		k.cookies[who] = b.Cookies()
	}
	b := w.Browser()
	require.Equal(w.T, http.StatusOK, b.Post("/globex/login", fields("email", "admin@globex.example", "password", testkit.Passphrase)).Status)
	k.cookies[foreigner] = b.Cookies()
	for _, c := range b.Cookies() {
		c.Name = strings.ReplaceAll(c.Name, "globex", "acme")
		k.cookies[smuggler] = append(k.cookies[smuggler], c)
	}
	gone := w.AddUser(w.Acme, string(id.New[id.User]())+"@acme.example", "Lea Leaver", access.ClientAdmin)
	b = w.Browser()
	b.SignIn(gone.Email, testkit.Passphrase)
	_, _, err := w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, gone.ID)
	require.NoError(w.T, err)
	k.cookies[leaver] = b.Cookies()
}

// sendRaw sends one request with these cookies and follows nothing.
func sendRaw(w *testkit.World, method, path string, form url.Values, cookies []*http.Cookie) *http.Response {
	w.T.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(w.Ctx(), method, w.URL+path, body)
	require.NoError(w.T, err)
	r.Header.Set("User-Agent", testkit.Firefox)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	require.NoError(w.T, err)
	testkit.ReadBody(w.T, res)
	require.NoError(w.T, res.Body.Close())
	return res
}

// askAndResolve asks for an address and waits until the asking is resolved.
func askAndResolve(w *testkit.World, email string) {
	w.T.Helper()
	require.Equal(w.T, http.StatusOK, ask(w.Browser(), email).Status)
	idle(w)
}

// idle waits until the server has nothing left to do.
func idle(w *testkit.World) {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		n := 0
		w.View(func(tx *db.Tx) (err error) {
			n, err = db.One[int](tx, "SELECT count(*) FROM jobs")
			return err
		})
		return n == 0
	}, patience, patience/2000, "jobs are left")
}

var everyTable = []string{
	"installation", "signing_keys", "environments", "users", "sessions", "tokens", "links", "requests", "unmatched",
	"throttle", "messages", "attempts", "jobs", "events", "approvals",
}

// everyRow gives the text of every row of every table.
func everyRow(w *testkit.World) map[string][]string {
	w.T.Helper()
	all := map[string][]string{}
	w.View(func(tx *db.Tx) error {
		for _, table := range everyTable {
			columns := "SELECT name FROM pragma_table_info('" + table + "') ORDER BY cid"
			if w.Engine == "postgres" {
				columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = '" + table + "'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
			}
			names, err := db.All[string](tx, columns)
			if err != nil {
				return err
			}
			for i, n := range names {
				names[i] = "COALESCE(CAST(" + n + " AS TEXT), '')"
			}
			if all[table], err = db.All[string](tx, "SELECT "+strings.Join(names, " || '|' || ")+" AS line FROM "+table+" ORDER BY line"); err != nil {
				return err
			}
		}
		return nil
	})
	return all
}

// differences gives the rows that are in one alone.
func differences(before, after map[string][]string) []string {
	var all []string
	for _, table := range slices.Sorted(maps.Keys(after)) {
		for _, line := range after[table] {
			if !slices.Contains(before[table], line) {
				all = append(all, "+ "+table+": "+line)
			}
		}
		for _, line := range before[table] {
			if !slices.Contains(after[table], line) {
				all = append(all, "- "+table+": "+line)
			}
		}
	}
	return all
}

// TestTheDropdownTellsTheTruth: what is shown works; what is not shown is
// refused, by role with 403, by state with 409.
func TestTheDropdownTellsTheTruth(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for who, signedInAs := range map[string]string{helpdesk: w.Help.Email, admin: w.Admin.Email} {
			b := w.Browser()
			b.SignIn(signedInAs, testkit.Passphrase)
			for _, role := range access.Roles {
				for _, s := range standings {
					tryDropdown(t, w, b, who, role, s)
				}
			}
		}
	})
}

// standing is how a target's account stands, with the actions that fit it in
// the order of the dropdown.
type standing struct {
	name    string
	state   user.State
	live    bool
	signed  bool // in, somewhere
	actions []string
}

var standings = []standing{
	{"invited without a mail", user.Invited, false, false, []string{"Edit", "Resend invitation", "Deactivate", "Delete"}},
	{"invited", user.Invited, true, false, []string{"Cancel reset token", "Edit", "Resend invitation", "Deactivate", "Delete"}},
	{"active", user.Active, false, false, []string{"Reset Password", "Send password reset link", "Edit", "Deactivate", "Delete"}},
	{"signed in", user.Active, false, true, []string{"Reset Password", "Send password reset link", "Edit", "End sessions", "Deactivate", "Delete"}},
	{"signed in with a token", user.Active, true, true, []string{"Reset Password", "Send password reset link", "Cancel reset token", "Edit", "End sessions", "Deactivate", "Delete"}},
	{"deactivated", user.Deactivated, false, false, []string{"Edit", "Activate", "Delete"}},
}

var formOfAction = map[string]url.Values{
	"Reset Password":           fields("action", "reset-password"),
	"Send password reset link": fields("action", "send-reset-link"),
	"Cancel reset token":       fields("action", "cancel-token", "confirm", "yes"),
	"Edit":                     fields("action", "edit"),
	"End sessions":             fields("action", "end-sessions", "confirm", "yes"),
	"Resend invitation":        fields("action", "resend-invitation"),
	"Deactivate":               fields("action", "deactivate", "confirm", "yes"),
	"Activate":                 fields("action", "activate"),
	"Delete":                   fields("action", "delete", "confirm", "yes"),
}

var ofHelpdesk = []string{"Reset Password", "Send password reset link", "Cancel reset token", "End sessions", "Resend invitation"}

func tryDropdown(t *testing.T, w *testkit.World, b *testkit.Browser, who string, role access.Role, s standing) {
	t.Helper()
	about := who + " on a " + string(role) + ", " + s.name
	mayDo := func(action string) bool {
		return who == admin || role == access.Member && slices.Contains(ofHelpdesk, action)
	}
	var shown []string
	for _, action := range s.actions {
		if mayDo(action) {
			shown = append(shown, action)
		}
	}
	u := newTarget(w, role, s)
	list := b.Get("/acme/users?q=" + url.QueryEscape(u.Email))
	require.True(t, list.Has(u.Name), about)
	if len(shown) == 0 {
		require.Contains(t, list.Text(), "Nothing you may change", about)
	} else {
		require.Equal(t, shown, list.Options("Action for "+u.Name), about)
	}
	for action, form := range formOfAction {
		status := func(u user.User) int {
			return sendRaw(w, http.MethodPost, "/acme/users/"+string(u.ID), form, b.Cookies()).StatusCode
		}
		switch {
		case slices.Contains(shown, action):
			require.Less(t, status(newTarget(w, role, s)), 400, "%s: %s is shown and does not work", about, action)
		case !mayDo(action):
			require.Equal(t, http.StatusForbidden, status(u), "%s: %s", about, action)
		case action == "Send password reset link" && s.state == user.Invited:
			require.Less(t, status(newTarget(w, role, s)), 400, "%s: it mails the invitation again", about)
		case action == "End sessions" && s.state == user.Active:
			require.Less(t, status(newTarget(w, role, s)), 400, "%s: it says that there were none", about)
		default:
			require.Equal(t, http.StatusConflict, status(u), "%s: %s", about, action)
		}
	}
}

func newTarget(w *testkit.World, role access.Role, s standing) user.User {
	w.T.Helper()
	name := "Target " + string(id.New[id.User]())[24:]
	n := usermanager.New{Email: strings.ReplaceAll(name, " ", "-") + "@acme.example", Name: name, Role: role, Quiet: !s.live}
	var (
		u   user.User
		err error
	)
	if s.state == user.Invited {
		u, err = w.App.UserManager.Create(w.Ctx(), access.Operator(), w.Acme, n)
		require.NoError(w.T, err)
		return u
	}
	u = w.AddUser(w.Acme, n.Email, n.Name, role)
	if s.signed {
		require.NoError(w.T, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			_, _, err := session.Start(tx, w.Acme.ID, u.ID, session.Life{Idle: time.Hour, Most: time.Hour}, access.From{})
			return err
		}))
	}
	if s.live {
		_, err = w.App.Recovery.SendResetLink(w.Ctx(), access.Operator(), w.Acme, u.ID)
	}
	if s.state == user.Deactivated {
		_, _, err = w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, u.ID)
	}
	require.NoError(w.T, err)
	return u
}

// TestNobodyActsOnTheOwnRow: the account page is for that.
func TestNobodyActsOnTheOwnRow(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		list := b.SignIn(w.Admin.Email, testkit.Passphrase)
		require.True(t, list.Has("This is you: your account"))
		require.NotContains(t, list.Body, "Action for "+w.Admin.Name)
		idle(w)
		before := everyRow(w)
		for action, form := range formOfAction {
			res := sendRaw(w, http.MethodPost, "/acme/users/"+string(w.Admin.ID), form, b.Cookies())
			require.Equal(t, http.StatusForbidden, res.StatusCode, action)
		}
		require.Equal(t, http.StatusForbidden, sendRaw(w, http.MethodPost, "/acme/users/"+string(w.Admin.ID)+"/edit", fields("name", "X"), b.Cookies()).StatusCode)
		require.Empty(t, differences(before, everyRow(w)))
	})
}

// TestWithAdminLinksOffNobodyGetsALink, nor takes the way around by address or role.
func TestWithAdminLinksOffNobodyGetsALink(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		w.SetPolicy(map[string]string{"admin_links": "off"})
		b := w.Browser()
		list := b.SignIn(w.Admin.Email, testkit.Passphrase)
		require.NotContains(t, list.Options("Action for Jane Doe"), "Reset Password")
		at := "/acme/users/" + string(w.Jane.ID)
		require.Equal(t, http.StatusForbidden, b.Post(at, fields("action", "reset-password")).Status)
		askAndResolve(w, "jane@acme.example")
		before := everyRow(w)
		require.Equal(t, http.StatusForbidden, b.Post(at, fields("action", "reset-password")).Status, "also with a live token")
		refused := b.Post(at+"/edit", fields("name", "Jane Doe", "email", "mine@acme.example"))
		require.Equal(t, http.StatusForbidden, refused.Status)
		require.Contains(t, refused.Text(), "neither the role nor the address")
		require.Equal(t, http.StatusForbidden, b.Post(at+"/edit", fields("name", "Jane Doe", "role", "helpdesk")).Status)
		require.Empty(t, differences(before, everyRow(w)))
	})
}
