package help

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/environment"
)

func rendered(t *testing.T, a Article) string {
	t.Helper()
	text, err := a.HTML("/acme/help/")
	require.NoError(t, err)
	return text
}

func own(text string) Article { return Article{Text: text, Own: true} }

func TestMarkdownReachesThePage(t *testing.T) {
	t.Parallel()
	page := rendered(t, own("# Top\n\nCall **555 0100**, see [the list](../help) or [mail us](mailto:it@acme.example).\n\n3. three\n4. four\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nhttps://acme.example/x"))
	for _, part := range []string{
		"<h2>Top</h2>", "<strong>555 0100</strong>", `<a href="/acme/help">the list</a>`, `href="mailto:it@acme.example"`, `<ol start="3">`, "<td>1</td>",
		`href="https://acme.example/x"`,
	} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "<h1", "the page has its own")
}

// hostile are texts that must not reach a page as they are.
var hostile = []string{
	"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "[x](JaVaScRiPt&colon;alert(1))", "[x](data:text/html,<script>alert(1)</script>)",
	"![pixel](https://tracker.example/p.png)", "![x](../../users)", "<iframe src=https://evil.example></iframe>", "<form action=https://evil.example><input name=password></form>",
	"<p style='position:fixed'>x</p>", "<a href=x onclick=alert(1)>x</a>", "<svg/onload=alert(1)>", "<style>*{display:none}</style>", "[x](//evil.example)\n<base href=//evil.example>",
	"<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>", "<<script>script>alert(1)<</script>/script>", "[x](vbscript:x)", "[x]( \tjavascript:alert(1))",
	"<javascript:alert(1)>", "[a]: javascript:alert(1)\n\n[a]", "``` <script>alert(1)</script> ```", "<meta http-equiv=refresh content=0;url=//evil.example>",
}

// allowed is all that an article may put on a page.
var allowed = map[string]string{
	"p": "", "h2": "", "h3": "", "h4": "", "h5": "", "h6": "", "ul": "", "ol": "start", "li": "", "strong": "", "em": "", "del": "", "code": "", "pre": "", "blockquote": "",
	"hr": "", "br": "", "table": "", "thead": "", "tbody": "", "tr": "", "th": "", "td": "", "a": "href rel",
}

func harmless(t *testing.T, text, page string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(page))
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		token := z.Token()
		if kind == html.TextToken || kind == html.EndTagToken {
			continue
		}
		attributes, known := allowed[token.Data]
		require.True(t, known, "%q puts <%s> on the page", text, token.Data)
		for _, a := range token.Attr {
			require.Contains(t, strings.Fields(attributes), a.Key, "%q: attribute of <%s>", text, token.Data)
			if a.Key == "href" {
				scheme, _, found := strings.Cut(strings.ToLower(a.Val), ":")
				require.True(t, !found || strings.ContainsAny(scheme, "/?#") || scheme == "http" || scheme == "https" || scheme == "mailto" || scheme == "tel", "%q: link to %q", text, a.Val)
			}
		}
	}
}

func TestHostileMarkdownIsHarmless(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		harmless(t, text, rendered(t, own(text)))
	}
}

func FuzzOwnArticle(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) && len(text) < 4_000 {
			harmless(t, text, rendered(t, own(text)))
		}
	})
}

// mostPictures is what our pictures may add to the program.
const mostPictures = 300_000

func TestOurArticlesAreWhole(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, a := range builtIn {
		require.NotEmpty(t, a.Title)
		require.NotEmpty(t, a.Summary, a.Name)
		require.False(t, a.ChangedAt.IsZero(), "%s says when it was modified", a.Name)
		for _, links := range []environment.AdminLinks{environment.Off, environment.ExistingToken, environment.Mint} {
			policy := environment.Standard()
			policy.AdminLinks = links
			var err error
			a.Text, err = a.under(policy)
			require.NoError(t, err)
			require.NotContains(t, a.Text, "\n\n\n", "a piece was left out with its blank line")
			require.NotContains(t, a.Text, "  ")
			isWhole(t, a.Article, used)
		}
	}
	size := 0
	for name, p := range pictures {
		require.True(t, used[name], "nobody shows %s", name)
		size += len(p.data)
	}
	require.Less(t, size, mostPictures)
	t.Logf("%d pictures, %d bytes", len(pictures), size)
}

// isWhole looks for what an article shows and where it leads.
func isWhole(t *testing.T, a Article, used map[string]bool) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(rendered(t, a)))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		for _, at := range n.Attr {
			switch at.Key {
			case "src", "srcset":
				name := strings.TrimPrefix(at.Val, "/acme/help-pictures/")
				require.Contains(t, pictures, name, a.Name)
				used[name] = true
			case "alt":
				require.NotEmpty(t, at.Val, "a picture that says nothing to those who do not see it")
			case "href":
				if name, ok := strings.CutPrefix(at.Val, "/acme/help/"); ok {
					_, ok := builtInNamed(name)
					require.True(t, ok, "%s links to %s", a.Name, at.Val)
				}
			}
		}
	}
}

func TestNamesOfArticles(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"How to reach the help desk": "how-to-reach-the-help-desk", "Ünïcödé & more!": "n-c-d-more", "": "article", "日本語": "article", "Feedback": "article-feedback", "  -- ": "article",
		strings.Repeat("long ", 40): "long-long-long-long-long-long-long-long-long-long-long-long",
	} {
		if title != "Ünïcödé & more!" { // what becomes of accents is the folding's business
			require.Equal(t, want, nameOf(title, 1), title)
		}
		require.Regexp(t, `^[a-z0-9][a-z0-9-]{0,62}$`, nameOf(title, 1))
	}
	require.Equal(t, "code-2", nameOf("Code", 2))
}

func TestTheListShowsHowATextBegins(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Call **555 0100**, Monday.":                  "Call 555 0100, Monday.",
		"# Night\n\n> See [the gate](../x) or _ask_.": "See the gate or ask.",
		"![p](x.png)\n<b>Bold</b> words":              "p",
		"":                                            "", "## Only a heading": "",
		strings.Repeat("ä", 300): strings.Repeat("ä", 159) + "…",
	} {
		require.Equal(t, want, firstSentence(text), text)
	}
}
