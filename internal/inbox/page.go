package inbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"clickable": clickable,
	"frame":     frame,
}).ParseFS(files, "page/*.html"))

// Handler serves the inbox as a web page below prefix, for example "/inbox".
//
// It shows what anybody was mailed, so it belongs on a loopback listener. The
// pages need no script and load nothing from elsewhere.
func (b *Inbox) Handler(prefix string) http.Handler {
	prefix = "/" + strings.Trim(prefix, "/")
	p := page{inbox: b, prefix: strings.TrimSuffix(prefix, "/")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+p.prefix+"/{$}", p.list)
	mux.HandleFunc("GET "+p.prefix+"/mails/{id}", p.show)
	mux.HandleFunc("GET "+p.prefix+"/mails/{id}/raw", p.raw)
	mux.HandleFunc("GET "+p.prefix+"/api/mails", p.api)
	mux.HandleFunc("GET "+p.prefix+"/inbox.css", p.css)
	mux.HandleFunc("POST "+p.prefix+"/clear", p.clear)
	if p.prefix != "" {
		mux.Handle("GET "+p.prefix, http.RedirectHandler(p.prefix+"/", http.StatusSeeOther))
	}
	return http.NewCrossOriginProtection().Handler(mux)
}

type page struct {
	inbox  *Inbox
	prefix string
}

func (p page) list(w http.ResponseWriter, _ *http.Request) {
	mails := p.inbox.Mails()
	slices.Reverse(mails)
	p.render(w, "list.html", strict, map[string]any{
		"Prefix": p.prefix, "Mails": mails, "Address": p.inbox.Addr(), "Keep": Keep,
	})
}

func (p page) show(w http.ResponseWriter, r *http.Request) {
	if m, ok := p.find(w, r); ok {
		p.render(w, "mail.html", withStyles, map[string]any{"Prefix": p.prefix, "Mail": m, "Raw": string(m.Raw)})
	}
}

func (p page) raw(w http.ResponseWriter, r *http.Request) {
	if m, ok := p.find(w, r); ok {
		head(w, "text/plain; charset=utf-8", strict)
		_, _ = w.Write(m.Raw)
	}
}

func (p page) css(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, files, "page/inbox.css")
}

func (p page) clear(w http.ResponseWriter, r *http.Request) {
	p.inbox.Clear()
	http.Redirect(w, r, p.prefix+"/", http.StatusSeeOther)
}

// apiMail is a mail as the JSON list gives it, newest first.
type apiMail struct {
	ID        int       `json:"id"`
	At        time.Time `json:"at"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	Text      string    `json:"text"`
	HTML      string    `json:"html"`
	Raw       string    `json:"raw"`
}

func (p page) api(w http.ResponseWriter, _ *http.Request) {
	mails := p.inbox.Mails()
	slices.Reverse(mails)
	list := make([]apiMail, 0, len(mails))
	for _, m := range mails {
		list = append(list, apiMail{
			ID: m.ID, At: m.At.UTC(), From: m.From, To: m.To, Subject: m.Subject,
			MessageID: m.MessageID, Text: m.Text, HTML: m.HTML, Raw: string(m.Raw),
		})
	}
	head(w, "application/json", strict)
	_ = json.NewEncoder(w).Encode(list)
}

func (p page) find(w http.ResponseWriter, r *http.Request) (Mail, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err == nil {
		for _, m := range p.inbox.Mails() {
			if m.ID == id {
				return m, true
			}
		}
	}
	head(w, "text/plain; charset=utf-8", strict)
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("There is no such mail here, or no longer.\n"))
	return Mail{}, false
}

func (p page) render(w http.ResponseWriter, name, policy string, data any) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, data); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	head(w, "text/html; charset=utf-8", policy)
	_, _ = w.Write(out.Bytes())
}

const (
	strict = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// A srcdoc frame inherits the page's policy, and mails carry their styles inline.
	withStyles = "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

func head(w http.ResponseWriter, kind, policy string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

var link = regexp.MustCompile(`https?://[^\s<>"]+[^\s<>".,;:!?)\]}'*]`)

// clickable gives text as HTML in which its links can be followed.
func clickable(text string) template.HTML {
	var out strings.Builder
	rest := 0
	for _, at := range link.FindAllStringIndex(text, -1) {
		out.WriteString(template.HTMLEscapeString(text[rest:at[0]]))
		address := template.HTMLEscapeString(text[at[0]:at[1]])
		out.WriteString(`<a rel="noreferrer noopener" href="` + address + `">` + address + `</a>`)
		rest = at[1]
	}
	out.WriteString(template.HTMLEscapeString(text[rest:]))
	return template.HTML(out.String()) //nolint:gosec // every piece was escaped above
}

// frame is a mail's HTML for the sandboxed frame, whose links open a new window:
// no site of ours lets itself be framed.
func frame(html string) string { return `<base target="_blank">` + html }
