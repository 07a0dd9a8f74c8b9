package web_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// patience bounds what a test waits for on a busy machine.
const patience = 20 * time.Second

var rowLink = regexp.MustCompile(`class="person-name"[^<]*<a href="([^"]+)">([^<]*)</a>`)

// rowsOf gives the addresses and names of the rows of a list, as shown.
func rowsOf(p *testkit.Page) (addresses, names []string) {
	for _, m := range rowLink.FindAllStringSubmatch(p.Body, -1) {
		addresses, names = append(addresses, m[1]), append(names, html.UnescapeString(m[2]))
	}
	return addresses, names
}

func namesOf(p *testkit.Page) []string {
	_, names := rowsOf(p)
	return names
}

// invited adds a user without a mail.
func invited(w *testkit.World, email, name string, role access.Role) user.User {
	w.T.Helper()
	u, err := w.App.UserManager.Create(w.Ctx(), access.Operator(), w.Acme, usermanager.New{Email: email, Name: name, Role: role, Quiet: true})
	require.NoError(w.T, err)
	return u
}

func signedInAdmin(w *testkit.World) *testkit.Browser {
	w.T.Helper()
	b := w.Browser()
	require.Equal(w.T, "User Manager", b.SignIn(w.Admin.Email, testkit.Passphrase).Heading())
	return b
}

func TestSearchFindsWhatIsTyped(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for email, name := range map[string]string{
			"jose.alvarez@acme.example": "José Álvarez", "percent@acme.example": "Percy 100% Sure", "under_score@acme.example": "Una Under",
			"ob@acme.example": `Orla O'Brien "Quiz"`, "back@acme.example": `Back\slash`, "noel@acme.example": "Noël O’Connor", "lukasz@acme.example": "Łukasz Groß-Straße", "li.wu@acme.example": "Li Wu",
			"words@acme.example": "Near AND Not", "star@acme.example": "Ann (ann*)", "wide@acme.example": "ＷＩＤＥ Letters",
		} {
			invited(w, email, name, access.Member)
		}
		b := signedInAdmin(w)
		for _, test := range []struct {
			typed string
			found []string
		}{
			{"jane", []string{"Jane Doe"}},
			{"JANE", []string{"Jane Doe"}},
			{"ane Do", []string{"Jane Doe"}},
			{"jane@acme", []string{"Jane Doe"}},
			{"  doe   jane ", []string{"Jane Doe"}},
			{"doe acme.example jane", []string{"Jane Doe"}},
			{"jane henry", nil},
			{"zzzz", nil},
			{"JOSÉ", []string{"José Álvarez"}},
			{"Jose\u0301", []string{"José Álvarez"}},
			{"ÁLV", []string{"José Álvarez"}},
			{"jose alvarez", []string{"José Álvarez"}},
			{"Strasse", []string{"Łukasz Groß-Straße"}},
			{"lukasz gros", []string{"Łukasz Groß-Straße"}},
			{"groß–straße", []string{"Łukasz Groß-Straße"}},
			{"o’brien", []string{`Orla O'Brien "Quiz"`}},
			{"o'connor", []string{"Noël O’Connor"}},
			{"noel o", []string{"Noël O’Connor"}},
			{"wide", []string{"ＷＩＤＥ Letters"}},
			{"ｗｉｄｅ", []string{"ＷＩＤＥ Letters"}},
			{"wu", []string{"Li Wu"}},
			{"q", []string{`Orla O'Brien "Quiz"`}},
			{"%", []string{"Percy 100% Sure"}},
			{"100%", []string{"Percy 100% Sure"}},
			{"1_0", nil},
			{"_", []string{"Una Under"}},
			{"under_s", []string{"Una Under"}},
			{"'", []string{"Noël O’Connor", `Orla O'Brien "Quiz"`}},
			{"o'brien", []string{`Orla O'Brien "Quiz"`}},
			{`"quiz"`, []string{`Orla O'Brien "Quiz"`}},
			{`"`, []string{`Orla O'Brien "Quiz"`}},
			{`\`, []string{`Back\slash`}},
			{`back\slash`, []string{`Back\slash`}},
			{"near and not", []string{"Near AND Not"}},
			{"(ann*)", []string{"Ann (ann*)"}},
			{"jan*", nil},
			{"^jane", nil},
			{"name:jane", nil},
			{`"jane" OR "henry"`, nil},
			{"jane') --", nil},
			{"🗝🗝🗝", nil},
			{strings.Repeat("jane ", 50), []string{"Jane Doe"}},
			{strings.Repeat("x", 5000), nil},
		} {
			page := b.Get("/acme/users?q=" + url.QueryEscape(test.typed))
			require.Equal(t, http.StatusOK, page.Status, test.typed)
			require.Equal(t, test.found, namesOf(page), "typed %q", test.typed)
			if test.found == nil {
				require.Contains(t, page.Text(), "Nobody matches “", test.typed)
			}
		}
		require.Len(t, namesOf(b.Get("/acme/users?q=acme.example")), 14)
		require.Equal(t, http.StatusBadRequest, b.Get("/acme/users?q=a%00b").Status)
		require.Equal(t, http.StatusBadRequest, b.Get("/acme/users?q=%ff%fe").Status)
		require.Equal(t, http.StatusBadRequest, b.Get("/acme/users?q=a&q=b").Status)
	})
}

func TestFiltersNarrowTheList(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		invited(w, "ivy@acme.example", "Ivy Invited", access.Member)
		off := invited(w, "otto@acme.example", "Otto Off", access.Helpdesk)
		_, _, err := w.App.UserManager.Deactivate(w.Ctx(), access.Operator(), w.Acme, off.ID)
		require.NoError(t, err)
		b := signedInAdmin(w)
		for query, found := range map[string][]string{
			"":                                 {"Ada Admin", "Henry Helpdesk", "Ivy Invited", "Jane Doe", "Otto Off"},
			"role=member":                      {"Ivy Invited", "Jane Doe"},
			"role=helpdesk":                    {"Henry Helpdesk", "Otto Off"},
			"role=client-admin":                {"Ada Admin"},
			"state=active":                     {"Ada Admin", "Henry Helpdesk", "Jane Doe"},
			"state=invited":                    {"Ivy Invited"},
			"state=deactivated":                {"Otto Off"},
			"role=member&state=active":         {"Jane Doe"},
			"role=helpdesk&state=active&q=hen": {"Henry Helpdesk"},
			"role=member&state=deactivated":    nil,
			"role=root&state=asleep":           {"Ada Admin", "Henry Helpdesk", "Ivy Invited", "Jane Doe", "Otto Off"},
		} {
			require.Equal(t, found, namesOf(b.Get("/acme/users?"+query)), query)
		}
		form := b.Get("/acme/users").Choose("Role", "Help desk").Choose("State", "Deactivated").Press("Search")
		require.Equal(t, []string{"Otto Off"}, namesOf(form))
		require.Equal(t, "helpdesk", form.Value("Role"), "the filter stays chosen")
	})
}

func TestPagesShowEverybodyOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		for i := range 130 {
			name := "Same Name"
			if i%2 == 0 {
				name = fmt.Sprintf("Person %03d", i)
			}
			invited(w, fmt.Sprintf("p%d@acme.example", i), name, access.Member)
		}
		b := signedInAdmin(w)
		seen := map[string]int{}
		page, pages := b.Get("/acme/users"), 1
		for {
			addresses, names := rowsOf(page)
			for i, a := range addresses {
				seen[a]++
				require.Equal(t, 1, seen[a], "%s is shown twice", names[i])
			}
			if !page.Has("Next 50") {
				break
			}
			require.Len(t, addresses, 50)
			if pages == 1 { // somebody who comes before the place does not shift the rest
				invited(w, "early@acme.example", "Aaron Early", access.Member)
			}
			page = page.Follow("Next 50")
			require.True(t, page.Has("Back to the start"))
			pages++
		}
		require.Equal(t, 3, pages)
		require.Len(t, seen, 133)
		require.Equal(t, "Aaron Early", namesOf(page.Follow("Back to the start"))[0])

		words := b.Get("/acme/users?q=same&state=invited&role=member")
		require.Len(t, namesOf(words), 50)
		rest := words.Follow("Next 50")
		require.Len(t, namesOf(rest), 15)
		require.Equal(t, "same", rest.Value("Search users"), "words and filters travel with the pages")
		require.Equal(t, "invited", rest.Value("State"))
		require.False(t, rest.Has("Next 50"))

		require.Len(t, namesOf(b.Get("/acme/users?after=zz&id=x")), 50, "past the end it starts again")
	})
}

func TestAPageThatIsExactlyFullIsTheLast(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i := range 50 {
			invited(w, fmt.Sprintf("p%d@acme.example", i), "Fifty People", access.Member)
		}
		page := signedInAdmin(w).Get("/acme/users?q=fifty")
		require.Len(t, namesOf(page), 50)
		require.False(t, page.Has("Next 50"))
	})
}

func TestTheFragmentIsTheListAlone(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := signedInAdmin(w)
		b.Header.Set("X-Fragment", "results")
		part := b.Get("/acme/users?q=jane")
		require.Equal(t, []string{"Jane Doe"}, namesOf(part))
		require.NotContains(t, part.Body, "<html")
		require.NotContains(t, part.Body, "Search users")
		require.Equal(t, "no-store", part.Header.Get("Cache-Control"))

		stranger := w.Browser()
		stranger.Header.Set("X-Fragment", "results")
		require.Equal(t, "/acme/login", stranger.Get("/acme/users?q=jane").URL.Path)
	})
}

func TestAnotherEnvironmentIsNeverFound(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		globex, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
		require.NoError(t, err)
		w.AddUser(globex, "jane@globex.example", "Jane Globex", access.Member)
		require.Equal(t, []string{"Jane Doe"}, namesOf(signedInAdmin(w).Get("/acme/users?q=jane")))
	})
}

func TestWhatMatchedNobodyIsShownToClientAdmins(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.exampel")
		askAndResolve(w, "jane@acme.exampel")
		askAndResolve(w, "stranger@elsewhere.example")
		b := signedInAdmin(w)
		list := b.Get("/acme/users")
		require.Contains(t, list.Text(), "jane@acme.exampel 2 times")
		require.Contains(t, list.Text(), "Perhaps Jane Doe : same name, .exampel instead of .example")
		require.Contains(t, list.Text(), "We found no user with an address like this.")
		require.NotContains(t, b.Get("/acme/users?q=elsewhere").Text(), "jane@acme.exampel", "the words narrow these too")

		w.AddUser(w.Acme, "jane@acme.exampil", "Nearer Now", access.Member) // after the page was shown
		for _, nobody := range []string{"", "nonsense", string(id.New[id.User]())} {
			require.Equal(t, http.StatusNotFound, b.Post("/acme/users/unmatched", fields("do", "send", "request", "jane@acme.exampel", "user", nobody)).Status)
		}
		sent := list.Press("Send to jane@acme.example")
		require.Equal(t, "/acme/users/"+string(w.Jane.ID), sent.URL.Path)
		require.Contains(t, sent.Text(), "A password reset link is on its way to jane@acme.example.")
		require.NotEmpty(t, w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/"))

		left := b.Get("/acme/users")
		require.NotContains(t, left.Text(), "jane@acme.exampel")
		gone := left.Press("Ignore stranger@elsewhere.example")
		require.Contains(t, gone.Text(), "The request is taken off the list.")
		require.NotContains(t, gone.Text(), "stranger@elsewhere.example")
		again := b.Post("/acme/users/unmatched", fields("do", "ignore", "request", "stranger@elsewhere.example"))
		require.Contains(t, again.Text(), "This request is no longer in the list.", "a form that came twice")
		require.Contains(t, b.Post("/acme/users/unmatched", fields("do", "send", "request", "jane@acme.exampel")).Text(), "no longer in the list")
		require.Equal(t, http.StatusBadRequest, b.Post("/acme/users/unmatched", fields("do", "explode", "request", "x")).Status)

		askAndResolve(w, "jane@acme.exampel")
		help := w.Browser()
		require.NotContains(t, help.SignIn(w.Help.Email, testkit.Passphrase).Text(), "matched nobody")
	})
}

func TestIgnoringStaysOnThePage(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		for i := range 22 {
			askAndResolve(w, fmt.Sprintf("stranger%02d@elsewhere.example", i))
			w.Clock.Advance(time.Second)
		}
		b := signedInAdmin(w)
		older := b.Get("/acme/users/unmatched").Follow("Older ones")
		stays := older.Press("Ignore stranger01@elsewhere.example")
		require.Equal(t, older.URL.RequestURI(), stays.URL.RequestURI())
		require.Contains(t, stays.Text(), "1 of 21 addresses")
		start := stays.Press("Ignore stranger00@elsewhere.example")
		require.Equal(t, "/acme/users/unmatched", start.URL.RequestURI(), "its page has nothing left")
		require.Contains(t, start.Text(), "The request is taken off the list.")
		require.Contains(t, start.Text(), "20 addresses")
	})
}

func TestWhatMatchedNobodyHasAPageOfItsOwn(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "jane@acme.exampel")
		for i := range 6 {
			askAndResolve(w, fmt.Sprintf("stranger%d@elsewhere.example", i))
			w.Clock.Advance(time.Second)
		}
		b := signedInAdmin(w)
		list := b.Get("/acme/users")
		require.NotContains(t, list.Text(), "jane@acme.exampel")
		require.Contains(t, list.Text(), "These are the newest 5. 2 more")
		all := list.Follow("2 more")
		require.Equal(t, "Asked for and matched nobody", all.Heading())
		require.Contains(t, all.Text(), "7 addresses")
		rest := all.Press("Ignore stranger3@elsewhere.example")
		require.Equal(t, "/acme/users/unmatched", rest.URL.Path)
		require.Contains(t, rest.Text(), "6 addresses")
		require.NotContains(t, rest.Text(), "stranger3")
		require.Equal(t, "/acme/users/"+string(w.Jane.ID), rest.Press("Send to jane@acme.example").URL.Path)
		found := b.Get("/acme/users/unmatched?q=er4")
		require.Contains(t, found.Text(), "1 address with “er4”")
		require.Contains(t, found.Follow("Show all").Text(), "5 addresses")
		none := found.Press("Ignore stranger4@elsewhere.example")
		require.Equal(t, "/acme/users/unmatched?q=er4", none.URL.RequestURI())
		require.Contains(t, none.Text(), "The request is taken off the list.")
		require.Contains(t, none.Text(), "Nothing fits “er4”")
		require.NotContains(t, none.Text(), "in vain")
		again := found.Press("Ignore stranger4@elsewhere.example")
		require.Equal(t, "/acme/users/unmatched?q=er4", again.URL.RequestURI())
		require.Contains(t, again.Text(), "This request is no longer in the list.")
		require.Contains(t, again.Follow("Show all").Text(), "4 addresses")
		sought := b.Get("/acme/users?q=er5").Press("Ignore stranger5@elsewhere.example")
		require.Equal(t, "/acme/users?q=er5", sought.URL.RequestURI())
		require.Contains(t, b.Get("/acme/users").Text(), "matched nobody")
		require.NotContains(t, b.Get("/acme/users").Text(), "These are the newest")
	})
}

func TestAPlaceThatIsNoneIsTheStart(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		b := signedInAdmin(w)
		for _, after := range []string{"garbage", "zzzz&id=1", "%F0%9F%94%91"} {
			page := b.Get("/acme/users?after=" + after)
			require.Equal(t, http.StatusOK, page.Status)
			require.Equal(t, namesOf(b.Get("/acme/users")), namesOf(page), after)
			require.False(t, page.Has("Back to the start"))
		}
		require.Contains(t, b.Get("/acme/users?q=nobody-like-this&after=garbage").Text(), "Nobody matches")
		askAndResolve(w, "stranger@elsewhere.example")
		for _, after := range []string{"stranger@elsewhere.example", "-1", "99999999999999999999", "0&key=stranger@elsewhere.example"} {
			page := b.Get("/acme/users/unmatched?after=" + after)
			require.Contains(t, page.Text(), "1 address", after)
			require.False(t, page.Has("Back to the start"))
		}
		require.Equal(t, "/acme/users/unmatched", b.Get("/acme/users/unmatched?after=9223372036854775807").URL.Path)
	})
}

// TestAGuessIsOfferedOnlyWhereItWorks: an admin who mistyped the own address is
// not offered a button that would be refused.
func TestAGuessIsOfferedOnlyWhereItWorks(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		askAndResolve(w, "admin@acme.exampel")
		list := signedInAdmin(w).Get("/acme/users")
		require.Contains(t, list.Text(), "admin@acme.exampel")
		require.False(t, list.Has("Send to admin@acme.example"))
	})
}

func TestTheTimelineTellsThatCodesWereTried(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		stranger := w.Browser()
		for range 6 {
			stranger.Get("/acme/reset-password").Fill("Email", "jane@acme.example").Fill("Code", "12345678").Press("Continue")
		}
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		require.Contains(t, admin.Get("/acme/users/"+string(w.Jane.ID)).Text(), "Code typed 6 times since then")
	})
}
