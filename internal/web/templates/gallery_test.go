package templates_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/web/static"
	. "github.com/sparekey/sparekey/internal/web/templates"
)

// scene is one screen in one state.
type scene struct {
	name  string
	page  templ.Component
	words []string // that must stand on it, to the letter
}

// TestGallery renders every screen in every state and holds it against the rules
// that all screens share. With SPAREKEY_GALLERY=DIR it also writes them there,
// with the files they load, to be looked at.
func TestGallery(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SPAREKEY_GALLERY")
	if dir != "" {
		writeStatic(t, dir)
	}
	seen := map[string]bool{}
	for _, s := range scenes() {
		require.False(t, seen[s.name], "two scenes are called %s", s.name)
		seen[s.name] = true
		t.Run(s.name, func(t *testing.T) {
			page := render(t, s.page)
			if dir != "" {
				local := regexp.MustCompile(`(href|src)="/static/[^/]+/`).ReplaceAllString(page, `$1="static/`)
				require.NoError(t, os.WriteFile(filepath.Join(dir, s.name+".html"), []byte(local), 0o644))
			}
			checkStructure(t, page)
			text := visible(t, page)
			for _, w := range s.words {
				require.Contains(t, text, w)
			}
		})
	}
}

// TestTimesInASentence: each becomes an element where it stands, and a time that
// the sentence does not name is left out.
func TestTimesInASentence(t *testing.T) {
	t.Parallel()
	u := jane()
	at := func(minutes int) time.Time { return time.Date(2026, 5, 11, 14, minutes, 0, 0, time.UTC) }
	for _, c := range []struct {
		words string
		times []Named
		want  string
	}{
		{"It waits.", nil, "It waits."},
		{"It waits since 14:05 UTC; again at 14:05 UTC on 2 May.", []Named{{at(5), "14:05 UTC"}, {at(6), "14:05 UTC on 2 May"}}, "It waits since <14:05>; again at <14:06>."},
		{"14:05 UTC & <b>", []Named{{at(5), "14:05 UTC"}, {at(7), "15:00 UTC"}, {at(8), ""}}, "<14:05> &amp; &lt;b&gt;"},
		{"At 14:05 UTC", []Named{{at(7), "15:00 UTC"}, {at(5), "14:05 UTC"}}, "At <14:05>"},
	} {
		u.Diagnosis.Sentence = Sentence{Words: c.words, Times: c.times}
		page := regexp.MustCompile(`<time datetime="2026-05-11T(14:0\d):00Z" title="[^"]+" data-moment="at" data-now="[^"]+">[^<]+</time>`).ReplaceAllString(render(t, UserPagePage(u)), "<$1>")
		require.Contains(t, page, "<span>"+c.want+"</span></h2>", c.words)
	}
}

// TestResultsStandAlone: what is fetched while one types is a piece, not a page.
func TestResultsStandAlone(t *testing.T) {
	t.Parallel()
	piece := render(t, UserManagerResults(UserManager{Page: admin("users"), Query: "jan", Rows: people()}))
	require.NotContains(t, piece, "<html")
	require.NotContains(t, piece, "<h1")
	require.Contains(t, piece, `data-tally="6 users match “jan”"`)
	require.Contains(t, piece, `action="/acme/users/u1"`)
	if dir := os.Getenv("SPAREKEY_GALLERY"); dir != "" {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "results.fragment"), []byte(piece), 0o644))
	}
}

// TestAnonymousPagesDoNotTellTheTime: two answers to the same question are the
// same bytes, whenever they are given, so that nothing can be read from them.
func TestAnonymousPagesDoNotTellTheTime(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{time.Second, 26 * time.Hour} {
		p, q := anonymous(), anonymous()
		q.Now = q.Now.Add(later)
		require.Equal(t, render(t, LoginPage(Login{Page: p})), render(t, LoginPage(Login{Page: q})))
		require.Equal(t, render(t, ForgotPasswordPage(ForgotPassword{Page: p})), render(t, ForgotPasswordPage(ForgotPassword{Page: q})))
		require.Equal(t, render(t, CheckYourMailPage(CheckYourMail{Page: p, Email: "a@b.example"})), render(t, CheckYourMailPage(CheckYourMail{Page: q, Email: "a@b.example"})))
		p.Problem, q.Problem = "It does not fit.", "It does not fit."
		require.Equal(t, render(t, CodeEntryPage(CodeEntry{Page: p})), render(t, CodeEntryPage(CodeEntry{Page: q})))
	}
}

// TestFirstVisitIsLight: what a browser loads for the login page, compressed.
func TestFirstVisitIsLight(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	z := gzip.NewWriter(&page)
	_, err := z.Write([]byte(render(t, LoginPage(Login{Page: anonymous(), HelpLine: help}))))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	total := page.Len()
	for _, name := range []string{"sparekey.css", "sparekey.js", "icon.svg"} {
		r := httptest.NewRequest("GET", static.URL(name), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		static.Handler().ServeHTTP(w, r)
		total += w.Body.Len()
	}
	t.Logf("%d bytes", total)
	require.Less(t, total, 20_000)
}

// TestHostileWordsStayWords: whatever people typed is shown, never run.
func TestHostileWordsStayWords(t *testing.T) {
	t.Parallel()
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	p := admin("users")
	p.Environment, p.Flash, p.Problem, p.Slug = evil, evil, evil, evil
	p.Fields = []FieldProblem{{"email", evil}}
	row := UserRow{ID: evil, Name: evil, Email: evil, Role: evil, State: evil, Mail: MailHealth{evil, evil}, Options: []Option{{evil, evil}}}
	user := jane()
	user.Page, user.Name, user.Email, user.Diagnosis.Details, user.Diagnosis.URL = p, evil, evil, evil, "javascript:alert(1)"
	user.Messages[0].Attempts[1].Conversation = evil
	for _, page := range []templ.Component{
		UserManagerPage(UserManager{Page: p, Query: evil, Rows: []UserRow{row}, Unmatched: Unmatched{Rows: []UnmatchedRow{{ID: evil, Address: evil, Guess: Guess{evil, evil, evil, evil}}}, All: 9, AllURL: "javascript:alert(1)", Action: "/x"}, NextURL: "javascript:alert(1)"}),
		UserPagePage(user),
		LoginPage(Login{Page: p, Email: evil, Next: evil, HelpLine: evil}),
		CheckYourMailPage(CheckYourMail{Page: p, Email: evil, Case: evil}),
		ResetPasswordLinkPage(ResetPasswordLink{Page: p, UserName: evil, Email: evil, Link: evil, Text: "</textarea>" + evil, QRPath: evil, QRSize: 1}),
	} {
		html := render(t, page)
		checkStructure(t, html)
		require.NotContains(t, html, "<img")
		require.NotContains(t, html, "alert(1)</script>")
	}
}

func writeStatic(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "static"), 0o755))
	for _, name := range []string{"sparekey.css", "sparekey.js", "icon.svg"} {
		w := httptest.NewRecorder()
		static.Handler().ServeHTTP(w, httptest.NewRequest("GET", static.URL(name), nil))
		require.Equal(t, 200, w.Code)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "static", name), w.Body.Bytes(), 0o644))
	}
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, c.Render(context.Background(), &b))
	return b.String()
}

// each calls f for every element of the page.
func each(t *testing.T, page string, f func(n *html.Node)) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			f(n)
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// visible is the text of a page as a reader takes it in, with the values of its
// fields: words of different blocks are apart, words of one line only where the
// page has a space.
func visible(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		inline := n.Type == html.ElementNode && inLine[n.Data]
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.Data == "script" || n.Data == "head":
			return
		case !inline:
			b.WriteString(" ")
		}
		if n.Data == "input" && attr(n, "type") != "hidden" {
			b.WriteString(attr(n, "value") + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if n.Type == html.ElementNode && !inline {
			b.WriteString(" ")
		}
	}
	walk(doc)
	return strings.Join(strings.Fields(b.String()), " ")
}

var inLine = map[string]bool{"a": true, "span": true, "strong": true, "em": true, "time": true, "code": true}

var now = time.Date(2026, 5, 12, 10, 53, 20, 0, time.UTC)

func checkStructure(t *testing.T, page string) {
	t.Helper()
	count := map[string]int{}
	ids := map[string]bool{}
	labelled := map[string]bool{}
	var controls, references []string
	each(t, page, func(n *html.Node) {
		count[n.Data]++
		if id := attr(n, "id"); id != "" {
			require.False(t, ids[id], "id %q stands twice", id)
			ids[id] = true
		}
		for _, a := range n.Attr {
			require.NotEqual(t, "style", a.Key, "inline style on %s", n.Data)
			require.False(t, strings.HasPrefix(a.Key, "on"), "inline script on %s", n.Data)
			require.NotContains(t, a.Val, "javascript:")
			require.False(t, strings.HasPrefix(a.Val, "data:"))
			switch a.Key {
			case "aria-describedby", "aria-labelledby", "aria-controls":
				references = append(references, strings.Fields(a.Val)...)
			}
		}
		switch n.Data {
		case "style":
			t.Error("a style element")
		case "script":
			require.Nil(t, n.FirstChild, "an inline script")
			require.NotEmpty(t, attr(n, "src"))
		case "label":
			labelled[attr(n, "for")] = true
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" && !has(n, "hidden") && !has(n, "aria-label") && n.Parent.Data != "label" {
				controls = append(controls, attr(n, "id"))
			}
			require.Empty(t, attr(n, "placeholder"), "a placeholder is no label")
			if attr(n, "type") == "password" {
				require.Contains(t, []string{"current-password", "new-password"}, attr(n, "autocomplete"))
			}
		case "form":
			require.NotEmpty(t, attr(n, "action"), "a form that does not say where it goes")
			require.Contains(t, []string{"get", "post"}, attr(n, "method"))
		case "a":
			require.NotEmpty(t, attr(n, "href"))
		}
	})
	require.Equal(t, 1, count["h1"], "h1")
	require.Equal(t, 1, count["main"], "main")
	require.Equal(t, 1, count["title"], "title")
	for _, id := range controls {
		require.True(t, labelled[id], "field %q has no label", id)
	}
	for _, id := range references {
		require.True(t, ids[id], "%q is spoken of and not there", id)
	}
}
