package web

import (
	"net/http"
	"net/url"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// showUnmatched lists all addresses that were asked for and that nobody has.
func (d *Door) showUnmatched(v *visit) error {
	q := v.r.URL.Query()
	words, after := cut(q.Get("q"), 200), cut(q.Get("after"), 254)
	found, err := d.UserManager.UnmatchedAfter(v.ctx(), v.actor(), v.env, words, after)
	if err != nil {
		return err
	}
	page := templates.UnmatchedPage{Page: v.page(), Query: words, UsersURL: v.at("users"), Unmatched: v.unmatched(found)}
	page.Nav.Current = "users"
	page.Flash = v.takeFlash().Words
	if found.Next != "" {
		page.NextURL = v.unmatchedURL(words, found.Next)
	}
	if after != "" {
		page.FirstURL = v.unmatchedURL(words, "")
	}
	return v.show(http.StatusOK, templates.UnmatchedScreen(page))
}

func (v *visit) unmatchedURL(words, after string) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": words, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return (&url.URL{Path: v.at("users", "unmatched"), RawQuery: q.Encode()}).String()
}

func (v *visit) unmatched(found usermanager.UnmatchedPage) templates.Unmatched {
	all := templates.Unmatched{Action: v.at("users", "unmatched"), All: found.All}
	for _, u := range found.Rows {
		all.Rows = append(all.Rows, unmatchedRow(u))
	}
	return all
}

func unmatchedRow(u usermanager.Unmatched) templates.UnmatchedRow {
	row := templates.UnmatchedRow{ID: u.Key, Address: u.Address, LastAt: u.LastAt, Count: u.Asked}
	if u.Guess != nil {
		row.Guess = templates.Guess{UserID: string(u.Guess.User), Name: u.Guess.Name, Email: u.Guess.Email, Why: u.Guess.Why}
	}
	return row
}

// submitUnmatched sends a link to the user who was probably meant, or forgets
// the request.
func (d *Door) submitUnmatched(v *visit) error {
	key := v.form.Get("request")
	switch v.form.Get("do") {
	case "ignore":
		if err := d.UserManager.IgnoreUnmatched(v.ctx(), v.actor(), v.env, key); err != nil {
			return err
		}
		v.flash(flash{Words: "The request is taken off the list."})
		if v.form.Get("from") == templates.FromUnmatched {
			return v.redirect(v.at("users", "unmatched"))
		}
		return v.redirect(v.at("users"))
	case "send":
		return d.sendToGuess(v, key)
	default:
		return errMalformed
	}
}

// sendToGuess sends to the user whom the page showed, whoever comes nearest by now.
func (d *Door) sendToGuess(v *visit, key string) error {
	err := d.UserManager.FindUnmatched(v.ctx(), v.actor(), v.env, key)
	if fault.Is(err, fault.NotFound) {
		v.flash(flash{Words: "This request is no longer in the list."})
		return v.redirect(v.at("users"))
	}
	if err != nil {
		return err
	}
	meant := v.form.Get("user")
	if !id.Valid(meant) {
		return user.ErrNone
	}
	sent, err := d.Recovery.SendResetLink(v.ctx(), v.actor(), v.env, id.User(meant))
	if err != nil {
		return err
	}
	if err := d.UserManager.SettleUnmatched(v.ctx(), v.actor(), v.env, key, sent.User.ID); err != nil {
		return err
	}
	v.flash(flash{Words: onItsWay("A password reset link", sent)})
	return v.redirect(v.at("users", string(sent.User.ID)))
}
