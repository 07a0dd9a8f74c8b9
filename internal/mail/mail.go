// Package mail holds what our messages say, and gives them as bytes ready to send.
//
// Each kind of message has its text in text.go and its HTML in html.templ, both
// written by hand and compiled. Render fills them in and builds a
// multipart/alternative message, text first. The package is pure: it sends
// nothing, stores nothing and reads no clock. What people can choose, their
// names above all, cannot add a header, a part or a link.
package mail

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate -path .

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Kind says which message it is.
type Kind string

// The kinds of message.
const (
	Reset           Kind = "reset"            // the person asked for a new password
	ResetByAdmin    Kind = "reset-by-admin"   // an administrator had the reset mail sent
	ResetAfterNotMe Kind = "reset-not-me"     // the person said "This wasn't me" of a password that was set
	AdminLink       Kind = "admin-link"       // an administrator made a link and carries it
	PasswordChanged Kind = "password-changed" // a new password was set
	Invitation      Kind = "invitation"       // somebody is invited to the environment
	AddressConfirm  Kind = "address-confirm"  // to the new address: confirm it
	AddressChanged  Kind = "address-changed"  // to the old address: it was replaced
	NewSignIn       Kind = "new-sign-in"      // a sign-in from a device not seen before
	Digest          Kind = "digest"           // to administrators: who needs help
)

// Kinds lists them all.
var Kinds = []Kind{Reset, ResetByAdmin, ResetAfterNotMe, AdminLink, PasswordChanged, Invitation, AddressConfirm, AddressChanged, NewSignIn, Digest}

// Party is a sender or recipient.
type Party struct{ Name, Address string }

// Stuck is somebody who needs help signing in, and why.
type Stuck struct{ Name, Why string }

// Data is what a message is made of. A kind uses the fields it needs; Render
// refuses a message whose necessary fields are missing.
type Data struct {
	Environment string // its name as people read it
	From, To    Party
	ReplyTo     string // an address; "" for none
	MessageID   string // without angle brackets
	Date        time.Time
	UserName    string

	Link  string    // of the message's own purpose
	Code  string    // 8 digits that do the same as Link; "" for none
	Until time.Time // when Link and Code end
	// CodeOnly leaves out the link and the HTML part, for filters that refuse the
	// whole. Only a kind with a code has this form.
	CodeOnly bool

	NotMe      string // the "This wasn't me" link
	NotMeUntil time.Time

	By              string // the administrator or the inviter
	Device, Network string // for example "Firefox on Windows", "203.0.113.7"
	At              time.Time
	SessionsEnded   int

	OldAddress, NewAddress string

	// Of a digest: the address of the queue, the first who stand in it, and how
	// many more there are.
	Queue     string
	Stuck     []Stuck
	MoreStuck int

	Location *time.Location // for the times in the text; nil means UTC
}

// Render gives the message as RFC 5322 bytes with CRLF line ends. The same
// input gives the same bytes, so a message sent again is the same message.
//
// Names are cleaned: see clean and inert. Everything else fails closed: an
// address, Message-ID, link or code that is not plainly one is an error, which
// never repeats a link or code.
func Render(k Kind, d Data) ([]byte, error) {
	d, err := cleaned(k, d)
	if err != nil {
		return nil, fmt.Errorf("render %s mail: %w", k, err)
	}
	v := &view{Data: d, Kind: k, Subject: Subject(k, d.Environment)}
	text, html, err := write(v)
	if err != nil {
		return nil, fmt.Errorf("render %s mail: %w", k, err)
	}
	raw, err := build(v, text, html)
	if err != nil {
		return nil, fmt.Errorf("render %s mail: %w", k, err)
	}
	return raw, nil
}

// view is what both parts are written from: data that is safe in them.
type view struct {
	Data
	Kind    Kind
	Subject string
}

// parts says who writes the two parts of a kind. In the HTML everything in braces
// is escaped where it stands, and templ lets no script into an href, whatever
// checkLink has seen before.
var parts = map[Kind]struct {
	text func(*view) string
	html func(*view) templ.Component
}{
	Reset:           {resetText, resetHTML},
	ResetByAdmin:    {resetText, resetHTML},
	ResetAfterNotMe: {resetText, resetHTML},
	AdminLink:       {adminLinkText, adminLinkHTML},
	PasswordChanged: {passwordChangedText, passwordChangedHTML},
	Invitation:      {invitationText, invitationHTML},
	AddressConfirm:  {addressConfirmText, addressConfirmHTML},
	AddressChanged:  {addressChangedText, addressChangedHTML},
	NewSignIn:       {newSignInText, newSignInHTML},
	Digest:          {digestText, digestHTML},
}

// write gives both parts with LF line ends; no HTML in the shortest form.
func write(v *view) (string, string, error) {
	text := parts[v.Kind].text(v)
	if v.CodeOnly {
		return text, "", nil
	}
	var html strings.Builder
	html.Grow(4 << 10) // what most mails need
	if err := parts[v.Kind].html(v).Render(context.Background(), &html); err != nil {
		return "", "", fmt.Errorf("html: %w", err)
	}
	return text, html.String(), nil
}

// Subject gives the subject line: what it is, then the environment's name.
func Subject(k Kind, environment string) string {
	name := clean(environment)
	switch k {
	case Reset, ResetByAdmin, ResetAfterNotMe:
		return "Reset your password · " + name
	case AdminLink:
		return "An administrator made a password reset link for you · " + name
	case PasswordChanged:
		return "Your password was changed · " + name
	case Invitation:
		return "You are invited to " + name
	case AddressConfirm:
		return "Confirm your new e-mail address · " + name
	case AddressChanged:
		return "Your e-mail address is to be changed · " + name
	case NewSignIn:
		return "New sign-in to " + name
	case Digest:
		return "People need help signing in · " + name
	default:
		return name
	}
}

// resets tells whether a kind is the reset mail, whoever had it sent.
func resets(k Kind) bool { return k == Reset || k == ResetByAdmin || k == ResetAfterNotMe }

// needs says what a kind cannot do without.
var needs = map[Kind]struct{ link, notMe, addresses bool }{
	Reset:           {link: true},
	ResetByAdmin:    {link: true},
	ResetAfterNotMe: {link: true},
	AdminLink:       {notMe: true},
	PasswordChanged: {notMe: true},
	Invitation:      {link: true},
	AddressConfirm:  {link: true},
	AddressChanged:  {notMe: true, addresses: true},
	NewSignIn:       {notMe: true},
	Digest:          {},
}

// cleaned gives d with all that goes into a message made safe, or says why there
// can be none.
func cleaned(k Kind, d Data) (Data, error) {
	need, ok := needs[k]
	if !ok {
		return d, errors.New("no such kind")
	}
	if d.Environment = clean(d.Environment); d.Environment == "" {
		return d, errors.New("the environment has no name")
	}
	if d.Date.IsZero() {
		return d, errors.New("no date")
	}
	if !messageID().MatchString(d.MessageID) {
		return d, errors.New("malformed message id")
	}
	if err := cleanAddresses(&d, need.addresses); err != nil {
		return d, err
	}
	if err := checkLink("link", d.Link, d.Until, need.link); err != nil {
		return d, err
	}
	if k == Digest && (len(d.Stuck) == 0 || d.Queue == "") {
		return d, errors.New("nobody needs help")
	}
	if d.Code != "" && !code.MatchString(d.Code) {
		return d, errors.New("the code is not 8 digits")
	}
	if d.CodeOnly && (d.Code == "" || !resets(k)) {
		return d, errors.New("there is no code to send alone")
	}
	if err := checkLink("not-me link", d.NotMe, d.NotMeUntil, need.notMe); err != nil {
		return d, err
	}
	cleanNames(&d)
	return d, nil
}

// cleanAddresses puts those of the header in ASCII. The old and the new address
// are only shown, and stay as people know them.
func cleanAddresses(d *Data, oldAndNew bool) error {
	var err error
	if d.From.Address, err = senderAddress(d.From.Address); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	for _, a := range []struct {
		what          string
		address       *string
		needed, shown bool
	}{
		{what: "recipient", address: &d.To.Address, needed: true},
		{what: "reply-to", address: &d.ReplyTo},
		{what: "old address", address: &d.OldAddress, needed: oldAndNew, shown: true},
		{what: "new address", address: &d.NewAddress, needed: oldAndNew, shown: true},
	} {
		if *a.address == "" && !a.needed {
			continue
		}
		plain, err := plainAddress(*a.address)
		if err != nil {
			return fmt.Errorf("%s: %w", a.what, err)
		}
		if !a.shown {
			*a.address = plain
		}
	}
	return nil
}

func cleanNames(d *Data) {
	d.From.Name = clean(d.From.Name)
	for _, name := range []*string{&d.To.Name, &d.UserName, &d.By, &d.Device, &d.Network} {
		*name = inert(*name)
	}
	stuck := make([]Stuck, len(d.Stuck))
	for i, s := range d.Stuck { // a reason may quote what a stranger's server said
		stuck[i] = Stuck{Name: inert(s.Name), Why: inert(s.Why)}
	}
	d.Stuck = stuck
}

// maxLink keeps a link's line well under the 998 octets of RFC 5322 section 2.1.1.
const maxLink = 800

func checkLink(what, link string, until time.Time, needed bool) error {
	if link == "" {
		if needed {
			return fmt.Errorf("no %s", what)
		}
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		len(link) > maxLink || strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f }) ||
		strings.ContainsAny(link, "<>\"'`\\{}|^") {
		// The cause would repeat the link.
		return fmt.Errorf("malformed %s", what)
	}
	if until.IsZero() {
		return fmt.Errorf("the %s has no end", what)
	}
	return nil
}
