package mail

import (
	"bytes"
	"embed"
	"fmt"
	html "html/template"
	"strings"
	"sync"
	text "text/template"
	"time"
)

//go:embed templates
var files embed.FS

// page is a message's pair of templates.
type page struct {
	text *text.Template
	html *html.Template
}

// codeOnly is the reset mail in its shortest form, which has no HTML.
var codeOnly = sync.OnceValue(func() *text.Template {
	return text.Must(text.ParseFS(files, "templates/parts.txt", "templates/reset-code.txt")).Lookup("reset-code.txt")
})

// pages are parsed when the first mail is rendered.
var pages = sync.OnceValue(parse)

func parse() map[Kind]page {
	all := make(map[Kind]page, len(Kinds))
	for _, k := range Kinds {
		// The reset mail is one mail; only its first and its last sentence know who
		// had it sent.
		file := "templates/" + string(k)
		if resets(k) {
			file = "templates/" + string(Reset)
		}
		all[k] = page{
			text: text.Must(text.ParseFS(files, "templates/parts.txt", file+".txt")).Lookup(base(file) + ".txt"),
			html: html.Must(html.ParseFS(files, "templates/layout.html", file+".html")).Lookup("layout.html"),
		}
	}
	return all
}

func base(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }

// view is what templates see: fixed fields, no functions that reach anything else.
type view struct {
	Data
	Subject    string
	ByAdmin    bool
	AfterNotMe bool
	// Asked: the person is thought to have asked for it.
	Asked bool
}

// When gives a time in full, for example "Tuesday 3 March 2026, 14:05 UTC".
func (v view) When(t time.Time) string {
	place := v.Location
	if place == nil {
		place = time.UTC
	}
	return t.In(place).Format("Monday 2 January 2006, 15:04 MST")
}

// Where joins what is known of a device.
func (v view) Where() string {
	switch {
	case v.Device != "" && v.Network != "":
		return v.Device + ", network " + v.Network
	case v.Network != "":
		return "network " + v.Network
	default:
		return v.Device
	}
}

// Sessions says how many sessions were ended.
func (v view) Sessions() string {
	switch v.SessionsEnded {
	case 0:
		return ""
	case 1:
		return "1 session was signed out."
	default:
		return fmt.Sprintf("%d sessions were signed out.", v.SessionsEnded)
	}
}

// fill gives both parts with LF line ends; no HTML in the shortest form.
func fill(k Kind, d Data) (string, string, error) {
	v := view{Data: d, Subject: Subject(k, d.Environment), ByAdmin: k == ResetByAdmin, AfterNotMe: k == ResetAfterNotMe, Asked: k == Reset}
	var plain, rich bytes.Buffer
	plain.Grow(2 << 10) // what most mails need
	rich.Grow(8 << 10)
	if d.CodeOnly {
		if err := codeOnly().Execute(&plain, v); err != nil {
			return "", "", fmt.Errorf("text: %w", err)
		}
		return plain.String(), "", nil
	}
	if err := pages()[k].text.Execute(&plain, v); err != nil {
		return "", "", fmt.Errorf("text: %w", err)
	}
	if err := pages()[k].html.Execute(&rich, v); err != nil {
		return "", "", fmt.Errorf("html: %w", err)
	}
	return plain.String(), rich.String(), nil
}
