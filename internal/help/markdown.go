package help

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// HTML renders an article to HTML that is safe inside a page: no script, no
// style, no frame, no form, and of pictures only ours. Links are relative to
// base, the path of the help list with a slash at the end.
func (a Article) HTML(base string) (string, error) {
	how := ownArticles
	if !a.Own {
		how = ourArticles
	}
	to, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("base of help links: %w", err)
	}
	context := parser.NewContext()
	context.Set(baseKey, to)
	var b bytes.Buffer
	if err := how.markdown.Convert([]byte(a.Text), &b, parser.WithContext(context)); err != nil {
		return "", fmt.Errorf("render help article: %w", err)
	}
	return how.policy.SanitizeReader(&b).String(), nil
}

type rendering struct {
	markdown goldmark.Markdown
	policy   *bluemonday.Policy
}

var (
	ownArticles = newRendering(false)
	ourArticles = newRendering(true)
	baseKey     = parser.NewContextKey()
)

func newRendering(ours bool) rendering {
	m := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:"}))),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(fit{}, 100))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(images{ours}, 100))),
	)
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "h2", "h3", "h4", "h5", "h6", "ul", "li", "strong", "em", "del", "code", "pre", "blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto", "tel")
	p.AllowRelativeURLs(true)
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnFullyQualifiedLinks(true)
	p.RequireNoReferrerOnFullyQualifiedLinks(true)
	if ours {
		own := regexp.MustCompile(`^/[a-z0-9-]+/help-pictures/[a-z0-9-]+\.png$`)
		p.AllowElements("picture")
		p.AllowAttrs("srcset").Matching(own).OnElements("source")
		p.AllowAttrs("media").Matching(regexp.MustCompile(`^\(prefers-color-scheme: dark\)$`)).OnElements("source")
		p.AllowAttrs("src").Matching(own).OnElements("img")
		p.AllowAttrs("alt").OnElements("img")
		p.AllowAttrs("width", "height").Matching(bluemonday.Integer).OnElements("img")
		p.AllowAttrs("loading").Matching(regexp.MustCompile(`^lazy$`)).OnElements("img")
	}
	return rendering{m, p}
}

// fit makes the tree fit into a page: the page has the one heading of the first
// level, and links lead where the list of articles would take them.
type fit struct{}

func (fit) Transform(doc *ast.Document, _ text.Reader, c parser.Context) {
	base, _ := c.Get(baseKey).(*url.URL)
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = max(n.Level, 2)
		case *ast.Link:
			n.Destination = resolve(base, n.Destination)
		case *ast.Image:
			n.Destination = resolve(base, append([]byte("../help-pictures/"), n.Destination...))
		}
		return ast.WalkContinue, nil
	}) // the walk itself never fails
}

func resolve(base *url.URL, to []byte) []byte {
	u, err := url.Parse(string(to))
	if err != nil || base == nil {
		return nil
	}
	return []byte(base.ResolveReference(u).String())
}

// images shows our pictures, light and dark. Of others only the description is
// left: a picture from elsewhere would tell its server who reads.
type images struct{ ours bool }

func (i images) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, i.render)
}

func (i images) render(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Image)
	if !i.ours {
		return ast.WalkContinue, nil
	}
	if !entering {
		return ast.WalkContinue, nil
	}
	at := string(n.Destination)
	_, name, _ := strings.Cut(at, "/help-pictures/")
	p, ok := pictures[name]
	if !ok {
		return ast.WalkStop, fmt.Errorf("no picture %s", name)
	}
	var alt bytes.Buffer
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			alt.Write(t.Segment.Value(source))
		}
	}
	dark := strings.TrimSuffix(at, ".png") + "-dark.png"
	_, err := fmt.Fprintf(w, `<picture><source srcset="%s" media="(prefers-color-scheme: dark)"><img src="%s" alt="%s" width="%d" height="%d" loading="lazy"></picture>`,
		util.EscapeHTML([]byte(dark)), util.EscapeHTML([]byte(at)), util.EscapeHTML(alt.Bytes()), p.width, p.height)
	return ast.WalkSkipChildren, err
}
