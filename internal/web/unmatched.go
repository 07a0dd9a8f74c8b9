package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// showUnmatched lists all addresses that were asked for and that nobody has.
func (d *Door) showUnmatched(v *visit) error {
	q := v.r.URL.Query()
	words, after := cut(q.Get("q"), 200), unmatchedPlace(q)
	found, err := d.UserManager.UnmatchedAfter(v.ctx(), v.actor(), v.env, words, after)
	if err != nil {
		return err
	}
	if len(found.Rows) == 0 && after != (usermanager.UnmatchedPlace{}) { // the last one of this page is gone
		return v.redirect(v.unmatchedURL(words, usermanager.UnmatchedPlace{}))
	}
	page := templates.UnmatchedPage{Page: v.page(), Query: words, UsersURL: v.at("users"), Unmatched: v.unmatched(found)}
	page.Nav.Current = "users"
	page.Flash = v.takeFlash().Words
	if found.Next != (usermanager.UnmatchedPlace{}) {
		page.NextURL = v.unmatchedURL(words, found.Next)
	}
	if after != (usermanager.UnmatchedPlace{}) {
		page.FirstURL = v.unmatchedURL(words, usermanager.UnmatchedPlace{})
	}
	return v.show(http.StatusOK, templates.UnmatchedScreen(page))
}

// unmatchedPlace reads where the page before ended; what is no place is the start.
func unmatchedPlace(q url.Values) usermanager.UnmatchedPlace {
	at, err := strconv.ParseInt(q.Get("after"), 10, 64)
	if err != nil || at <= 0 {
		return usermanager.UnmatchedPlace{}
	}
	return usermanager.UnmatchedPlace{LastAt: time.UnixMicro(at).UTC(), Key: cut(q.Get("key"), 254)}
}

func (v *visit) unmatchedURL(words string, after usermanager.UnmatchedPlace) string {
	q := url.Values{}
	if words != "" {
		q.Set("q", words)
	}
	if after != (usermanager.UnmatchedPlace{}) {
		q.Set("after", strconv.FormatInt(after.LastAt.UnixMicro(), 10))
		q.Set("key", after.Key)
	}
	return (&url.URL{Path: v.at("users", "unmatched"), RawQuery: q.Encode()}).String()
}

// withQuery is a page with the words and the place that this request names.
func (v *visit) withQuery(parts ...string) string {
	return (&url.URL{Path: v.at(parts...), RawQuery: v.r.URL.Query().Encode()}).String()
}

func (v *visit) unmatched(found usermanager.UnmatchedPage) templates.Unmatched {
	all := templates.Unmatched{Action: v.withQuery("users", "unmatched"), All: found.All}
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
// the request, and leads back to where the list was seen.
func (d *Door) submitUnmatched(v *visit) error {
	key := v.form.Get("request")
	switch v.form.Get("do") {
	case "ignore":
		err := d.UserManager.IgnoreUnmatched(v.ctx(), v.actor(), v.env, key)
		return v.backToUnmatched("The request is taken off the list.", err)
	case "send":
		return d.sendToGuess(v, key)
	default:
		return errMalformed
	}
}

// backToUnmatched says there what was done. What is gone by now needs nothing
// done: another administrator was faster, or the form came twice.
func (v *visit) backToUnmatched(words string, err error) error {
	if f := fault.As(err); f != nil && f.Kind == fault.NotFound {
		words, err = f.Sentence, nil
	}
	if err != nil {
		return err
	}
	v.flash(flash{Words: words})
	if v.form.Get("from") == templates.FromUnmatched {
		return v.redirect(v.withQuery("users", "unmatched"))
	}
	return v.redirect(v.withQuery("users"))
}

// sendToGuess sends to the user whom the page showed, whoever comes nearest by now.
func (d *Door) sendToGuess(v *visit, key string) error {
	err := d.UserManager.FindUnmatched(v.ctx(), v.actor(), v.env, key)
	if err != nil {
		return v.backToUnmatched("", err)
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
