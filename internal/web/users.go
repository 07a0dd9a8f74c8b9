package web

import (
	"net/http"
	"net/url"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// showUserManager lists the users. With the header X-Fragment it gives only the
// list, for searching while one types.
func (d *Door) showUserManager(v *visit) error {
	q := v.r.URL.Query()
	f := user.Filter{Words: cut(q.Get("q"), 200), After: user.Place{SortKey: cut(q.Get("after"), 64), User: id.User(cut(q.Get("id"), 36))}}
	if role := access.Role(q.Get("role")); role.Valid() {
		f.Role = role
	}
	if state := user.State(q.Get("state")); state.Valid() {
		f.State = state
	}
	list, err := d.UserManager.List(v.ctx(), v.actor(), v.env, f)
	if err == nil && len(list.Rows) == 0 && f.After != (user.Place{}) { // no page is there, or no more
		f.After = user.Place{}
		list, err = d.UserManager.List(v.ctx(), v.actor(), v.env, f)
	}
	if err != nil {
		return err
	}
	page := v.userManager(f, list)
	if v.r.Header.Get("X-Fragment") == "results" {
		return v.show(http.StatusOK, templates.UserManagerResults(page))
	}
	page.Flash = v.takeFlash().Words
	return v.show(http.StatusOK, templates.UserManagerPage(page))
}

func (v *visit) userManager(f user.Filter, list usermanager.Page) templates.UserManager {
	page := templates.UserManager{
		Page: v.page(), Query: f.Words, Role: string(f.Role), State: string(f.State),
		ApprovalsAction: v.at("users", "approvals"), CanCreate: access.May(v.actor(), v.env.ID, access.CreateUser),
	}
	page.Nav.Current = "users"
	for _, r := range list.Rows {
		page.Rows = append(page.Rows, v.row(r))
	}
	address := url.Values{}
	for name, value := range map[string]string{"q": f.Words, "role": string(f.Role), "state": string(f.State)} {
		if value != "" {
			address.Set(name, value)
		}
	}
	if f.After != (user.Place{}) {
		page.FirstURL = v.at("users") + "?" + address.Encode()
	}
	if list.Next != nil {
		address.Set("after", list.Next.SortKey)
		address.Set("id", string(list.Next.User))
		page.NextURL = v.at("users") + "?" + address.Encode()
	}
	for _, a := range list.Approvals {
		page.Approvals = append(page.Approvals, templates.ApprovalRow{
			ID: string(a.ID), UserID: string(a.User.ID), UserName: a.User.Name, AskedBy: a.AskedByName, AskedAt: a.AskedAt,
		})
	}
	page.LikeCase = list.Asking == nil && secret.ReadCaseNumber(f.Words) != ""
	if list.Asking != nil {
		page.Asking = templates.Asking{Case: list.Asking.Case, Address: list.Asking.Address, At: list.Asking.MadeAt, Somebody: len(list.Rows) > 0}
	}
	page.Unmatched = v.unmatched(list.Unmatched)
	if list.Unmatched.All > len(list.Unmatched.Rows) {
		page.Unmatched.AllURL = v.unmatchedURL(f.Words, usermanager.UnmatchedPlace{})
	}
	return page
}

func (v *visit) row(r usermanager.Row) templates.UserRow {
	health, why := rowHealth(r)
	return templates.UserRow{
		ID: string(r.User.ID), Name: r.User.Name, Email: r.User.Email, Role: r.User.Role.Words(), State: stateOf(r.User.State),
		Off: r.User.State == user.Deactivated, Self: r.Self, LastSignIn: r.User.LastSignInAt, Mail: health, Why: why, Options: options(r.Options),
	}
}

func stateOf(s user.State) string {
	switch s {
	case user.Invited:
		return "Invited"
	case user.Deactivated:
		return "Deactivated"
	default:
		return "Active"
	}
}

// actionValues are the actions as the forms name them.
var actionValues = map[access.Action]string{
	access.ResetPassword: templates.ActionResetPassword, access.SendResetLink: templates.ActionSendResetLink,
	access.CancelToken: templates.ActionCancelToken, access.EditUser: templates.ActionEdit, access.EndSessions: templates.ActionEndSessions,
	access.ResendInvitation: templates.ActionResendInvitation, access.Deactivate: templates.ActionDeactivate,
	access.Activate: templates.ActionActivate, access.DeleteUser: templates.ActionDelete,
}

func options(actions []access.Action) []templates.Option {
	all := make([]templates.Option, len(actions))
	for i, a := range actions {
		all[i] = templates.Option{Value: actionValues[a], Label: string(a)}
	}
	return all
}

// mailHealth says how the newest mail stands, never more than is known.
func mailHealth(m usermanager.Mail) templates.MailHealth {
	words, tone := stateWords(m.State)
	switch {
	case m.MadeAt.IsZero():
		words, tone = "No mail yet", templates.ToneQuiet
	case m.State == outbox.GivenUp:
		words += givenUpAfter(m.SettledAt.Sub(m.MadeAt), 0)
	case m.State != outbox.Sent || !m.HasLink:
	case !m.OpenedAt.IsZero():
		words, tone = "Link opened", templates.ToneGood
	case !m.ScannedAt.IsZero():
		words, tone = "Opened by a scanner only", templates.ToneWait
	default:
		words, tone = "Taken, not opened yet", templates.ToneWait
	}
	return templates.MailHealth{Tone: tone, Words: words}
}

// submitApproval agrees to another Client Admin's question, or declines it.
func (d *Door) submitApproval(v *visit) error {
	agree := v.form.Get("do") == "agree"
	a, err := d.UserManager.AnswerApproval(v.ctx(), v.actor(), v.env, id.Approval(v.form.Get("approval")), agree)
	if err != nil {
		return err
	}
	words := "You declined. " + a.AskedByName + " can ask again."
	if agree {
		words = "You agreed. " + a.AskedByName + " has an hour for it."
	}
	v.flash(flash{Words: words})
	return v.redirect(v.at("users"))
}
