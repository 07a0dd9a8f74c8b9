// Package templates holds the pages people see: one file per screen, each
// with a plain view struct and the component that renders it.
//
// It owns words, structure and accessibility. It never decides: what may be
// offered, what is true and where a form goes is said by the view. It reads no
// clock (Page.Now is passed in), imports no other package of the program but
// static, and writes neither inline script nor inline style, so that every page
// works under a content security policy that allows only our own files.
package templates

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate -path .

import (
	"net/url"
	"strings"
	"time"
)

// Page is what every screen needs. Only Slug, Environment and Now are always
// set; the rest may stay empty.
type Page struct {
	Environment string // name people know it by; empty: the product's name
	Slug        string // of the environment, for addresses
	ThemeURL    string // style sheet with the environment's accent; empty: ours
	Nav         Nav
	Flash       string         // something that was just done, said once
	Problem     string         // why the last try was refused; shown first, with the focus
	Fields      []FieldProblem // refused fields; tied to their inputs and listed under Problem
	RequestID   string         // shown where somebody may have to quote it
	Again       string         // of the answer to a POST: where reloading and going back to it lead
	Now         time.Time      // when the page was made; its location is used to write times
}

// Nav is the bar of a signed-in person. Without a Name there is no bar.
type Nav struct {
	Name           string // of the person signed in
	Role           string // in words, for example "Client Admin"
	Current        string // which of the links this page is: users, needs-help, numbers, settings, console, account, help
	Users          bool   // may open the User Manager
	NeedsHelp      bool   // there is a queue to show
	NeedsHelpCount int    // people waiting in it
	Settings       bool   // may change the environment
	Console        bool   // runs the server
	Numbers        bool   // may see how recovery goes
	Help           bool   // there are help articles
}

// FieldProblem is one refused input.
type FieldProblem struct {
	Name   string // of the field in the form
	Reason string // a sentence for the person
}

// Option is one choice of a select.
type Option struct {
	Value string
	Label string
}

// Hidden is a value a form carries without showing it.
type Hidden struct {
	Name  string
	Value string
}

// Values of the field "action" of the form in a user's row and on the user's page.
const (
	ActionResetPassword    = "reset-password"
	ActionSendResetLink    = "send-reset-link"
	ActionCancelToken      = "cancel-token"
	ActionEdit             = "edit"
	ActionEndSessions      = "end-sessions"
	ActionResendInvitation = "resend-invitation"
	ActionDeactivate       = "deactivate"
	ActionActivate         = "activate"
	ActionDelete           = "delete"
	ActionEndLink          = "end-link" // with field "link"
	ActionCloseCase        = "close-case"
	ActionAllowMail        = "allow-mail"
	ActionSendCode         = "send-code"
)

// Tones colour a mark; the words beside it carry the meaning.
const (
	ToneGood  = "good"
	ToneWait  = "wait"
	ToneBad   = "bad"
	ToneQuiet = "quiet" // an empty ring: nothing to say
)

// at gives an address in the page's environment.
func (p Page) at(parts ...string) string {
	var b strings.Builder
	b.WriteString("/" + url.PathEscape(p.Slug))
	for _, part := range parts {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}

// home is where the name of the environment leads.
func (p Page) home() string {
	switch {
	case p.Slug == "":
		return "/"
	case p.Nav.Console:
		return p.at()
	case p.Nav.Users:
		return p.at("users")
	case p.Nav.Name != "":
		return p.at("account")
	default:
		return p.at("login")
	}
}

func (p Page) environment() string {
	if p.Environment == "" {
		return "Sparekey"
	}
	return p.Environment
}

// tab is the title of the browser's tab.
func (p Page) tab(own string) string { return own + " · " + p.environment() }

// reason gives why a field was refused, or nothing.
func (p Page) reason(field string) string {
	for _, f := range p.Fields {
		if f.Name == field {
			return f.Reason
		}
	}
	return ""
}

// refused tells whether the last try failed; then the focus belongs to the
// summary and no field may take it.
func (p Page) refused() bool { return p.Problem != "" || len(p.Fields) > 0 }

// onlyField tells whether the reason beside the one refused field says it all.
func (p Page) onlyField() bool {
	return len(p.Fields) == 1 && (p.Problem == "" || p.Problem == p.Fields[0].Reason)
}

func (p Page) problem() string {
	if p.Problem != "" {
		return p.Problem
	}
	return "This needs another look before it can be saved."
}

// tone makes sure that only a known word becomes a class.
func tone(t string) string {
	switch t {
	case ToneGood, ToneWait, ToneBad:
		return t
	default:
		return ToneQuiet
	}
}

// firstName is how the page speaks of somebody.
func firstName(name string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	return first
}
