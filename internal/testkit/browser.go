package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// Firefox is how a person's browser names itself.
const Firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// Browser is a person's browser without JavaScript: it keeps cookies, follows
// redirects, and finds links, fields and buttons by their words.
type Browser struct {
	w      *World
	client *http.Client
	Agent  string
	// Header is added to every request.
	Header http.Header
}

// Page is what the browser shows.
type Page struct {
	b      *Browser
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	root   *html.Node
}

// Browser opens a fresh browser.
func (w *World) Browser() *Browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.T, err)
	return &Browser{w: w, client: &http.Client{Jar: jar}, Agent: Firefox, Header: http.Header{}}
}

// SignIn logs a user in and gives the page after.
func (b *Browser) SignIn(email, password string) *Page {
	b.w.T.Helper()
	return b.Get("/acme/login").Fill("Email", email).Fill("Password", password).Press("Log in")
}

// Cookies gives the cookies the browser has for the server.
func (b *Browser) Cookies() []*http.Cookie {
	u, err := url.Parse(b.w.URL)
	require.NoError(b.w.T, err)
	return b.client.Jar.Cookies(u)
}

// Get opens an address: a path of the server, or a whole one.
func (b *Browser) Get(address string) *Page {
	b.w.T.Helper()
	return b.Do(http.MethodGet, address, nil)
}

// Post sends a form.
func (b *Browser) Post(address string, form url.Values) *Page {
	b.w.T.Helper()
	return b.Do(http.MethodPost, address, form)
}

// Do sends a request and reads the page it leads to.
func (b *Browser) Do(method, address string, form url.Values) *Page {
	b.w.T.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.w.URL + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.w.Ctx(), method, address, body)
	require.NoError(b.w.T, err)
	r.Header = b.Header.Clone()
	r.Header.Set("User-Agent", b.Agent)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.send(r)
}

func (b *Browser) send(r *http.Request) *Page {
	b.w.T.Helper()
	res, err := b.client.Do(r)
	require.NoError(b.w.T, err)
	defer func() { _ = res.Body.Close() }()
	raw := ReadBody(b.w.T, res)
	root, err := html.Parse(bytes.NewReader(raw))
	require.NoError(b.w.T, err)
	return &Page{b: b, URL: res.Request.URL, Status: res.StatusCode, Header: res.Header, Body: string(raw), root: root}
}

// ReadBody reads an answer whole; of a line that stays open (server-sent events)
// the first event.
func ReadBody(t testing.TB, res *http.Response) []byte {
	t.Helper()
	if res.Header.Get("Content-Type") != "text/event-stream" {
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return raw
	}
	var event []byte
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return event // the answer to HEAD has no body
		}
		require.NoError(t, err)
		if event = append(event, line...); len(line) == 1 {
			return event
		}
	}
}

// Text is what a person reads, with runs of white space as one space.
func (p *Page) Text() string {
	var b strings.Builder
	walk(p.root, func(n *html.Node) bool {
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style" || n.Data == "head") {
			return false
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		return true
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// Heading is the text of the h1.
func (p *Page) Heading() string {
	if h := p.find(func(n *html.Node) bool { return n.Data == "h1" }); h != nil {
		return text(h)
	}
	return ""
}

// Follow opens the link with these words.
func (p *Page) Follow(words string) *Page {
	p.b.w.T.Helper()
	a := p.find(func(n *html.Node) bool { return n.Data == "a" && text(n) == words })
	require.NotNil(p.b.w.T, a, "no link %q on %s:\n%s", words, p.URL, p.Text())
	to, err := p.URL.Parse(attr(a, "href"))
	require.NoError(p.b.w.T, err)
	return p.b.Get(to.String())
}

// Has tells whether there is a link or button with these words.
func (p *Page) Has(words string) bool {
	return p.find(func(n *html.Node) bool { return (n.Data == "a" || n.Data == "button") && text(n) == words }) != nil
}

// Value gives what stands in the field with this label.
func (p *Page) Value(label string) string {
	p.b.w.T.Helper()
	f := p.field(label)
	require.NotNil(p.b.w.T, f, "no field %q on %s:\n%s", label, p.URL, p.Text())
	return fieldValue(f)
}

// Options gives the choices of the dropdown with this label.
func (p *Page) Options(label string) []string {
	p.b.w.T.Helper()
	f := p.field(label)
	require.NotNil(p.b.w.T, f, "no dropdown %q on %s:\n%s", label, p.URL, p.Text())
	var all []string
	walk(f, func(n *html.Node) bool {
		if n.Data == "option" {
			all = append(all, text(n))
		}
		return true
	})
	return all
}

// Fill types into the field with this label.
func (p *Page) Fill(label, value string) *Page {
	p.b.w.T.Helper()
	f := p.field(label)
	require.NotNil(p.b.w.T, f, "no field %q on %s:\n%s", label, p.URL, p.Text())
	if f.Data == "textarea" {
		f.FirstChild = &html.Node{Type: html.TextNode, Data: value}
		return p
	}
	setAttr(f, "value", value)
	return p
}

// Choose picks the option with these words in the dropdown with this label.
func (p *Page) Choose(label, words string) *Page {
	p.b.w.T.Helper()
	f := p.field(label)
	require.NotNil(p.b.w.T, f, "no dropdown %q on %s:\n%s", label, p.URL, p.Text())
	found := false
	walk(f, func(n *html.Node) bool {
		if n.Data == "option" {
			delAttr(n, "selected")
			if text(n) == words {
				setAttr(n, "selected", "")
				found = true
			}
		}
		return true
	})
	require.True(p.b.w.T, found, "no option %q in %q", words, label)
	return p
}

// Press presses the button with these words and sends its form.
func (p *Page) Press(words string) *Page {
	p.b.w.T.Helper()
	return p.PressIn(p.root, words)
}

// PressBeside presses the button with these words in the form that holds the
// field with this label.
func (p *Page) PressBeside(label, words string) *Page {
	p.b.w.T.Helper()
	f := p.field(label)
	require.NotNil(p.b.w.T, f, "no field %q on %s:\n%s", label, p.URL, p.Text())
	return p.PressIn(formOf(f), words)
}

// PressIn presses the button with these words below a node.
func (p *Page) PressIn(root *html.Node, words string) *Page {
	p.b.w.T.Helper()
	button := findIn(root, func(n *html.Node) bool { return n.Data == "button" && text(n) == words })
	require.NotNil(p.b.w.T, button, "no button %q on %s:\n%s", words, p.URL, p.Text())
	form := formOf(button)
	require.NotNil(p.b.w.T, form, "button %q has no form", words)
	to, err := p.URL.Parse(attr(form, "action"))
	require.NoError(p.b.w.T, err)
	values := formValues(form)
	if name := attr(button, "name"); name != "" {
		values.Set(name, attr(button, "value"))
	}
	if !strings.EqualFold(attr(form, "method"), "post") {
		to.RawQuery = values.Encode()
		return p.b.Get(to.String())
	}
	return p.b.Post(to.String(), values)
}

func (p *Page) find(match func(*html.Node) bool) *html.Node { return findIn(p.root, match) }

// field finds an input, select or textarea by its label or aria-label.
func (p *Page) field(label string) *html.Node {
	id := ""
	if l := p.find(func(n *html.Node) bool { return n.Data == "label" && text(n) == label }); l != nil {
		id = attr(l, "for")
		if id == "" {
			return findIn(l, isField)
		}
	}
	return p.find(func(n *html.Node) bool {
		return isField(n) && (id != "" && attr(n, "id") == id || attr(n, "aria-label") == label)
	})
}

func isField(n *html.Node) bool {
	return n.Data == "input" || n.Data == "select" || n.Data == "textarea"
}

func formValues(form *html.Node) url.Values {
	values := url.Values{}
	walk(form, func(n *html.Node) bool {
		if !isField(n) || attr(n, "name") == "" || hasAttr(n, "disabled") {
			return true
		}
		if kind := attr(n, "type"); (kind == "checkbox" || kind == "radio") && !hasAttr(n, "checked") {
			return true
		}
		values.Set(attr(n, "name"), fieldValue(n))
		return true
	})
	return values
}

func fieldValue(n *html.Node) string {
	switch n.Data {
	case "textarea":
		return text(n)
	case "select":
		var first, chosen *html.Node
		walk(n, func(o *html.Node) bool {
			if o.Data == "option" {
				if first == nil {
					first = o
				}
				if hasAttr(o, "selected") {
					chosen = o
				}
			}
			return true
		})
		if chosen == nil {
			chosen = first
		}
		if chosen == nil {
			return ""
		}
		return attr(chosen, "value")
	default:
		return attr(n, "value")
	}
}

func walk(n *html.Node, visit func(*html.Node) bool) {
	if !visit(n) {
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

func findIn(root *html.Node, match func(*html.Node) bool) *html.Node {
	var found *html.Node
	walk(root, func(n *html.Node) bool {
		if found == nil && n.Type == html.ElementNode && match(n) {
			found = n
		}
		return found == nil
	})
	return found
}

func formOf(n *html.Node) *html.Node {
	for ; n != nil; n = n.Parent {
		if n.Data == "form" {
			return n
		}
	}
	return nil
}

func text(n *html.Node) string {
	var b strings.Builder
	walk(n, func(n *html.Node) bool {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		return true
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func setAttr(n *html.Node, name, value string) {
	delAttr(n, name)
	n.Attr = append(n.Attr, html.Attribute{Key: name, Val: value})
}

func delAttr(n *html.Node, name string) {
	for i, a := range n.Attr {
		if a.Key == name {
			n.Attr = append(n.Attr[:i], n.Attr[i+1:]...)
			return
		}
	}
}
