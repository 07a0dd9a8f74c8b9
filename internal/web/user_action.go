package web

import (
	"fmt"
	"net/http"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// submitUserAction does what was picked in the dropdown of a user's row. What
// ends something asks back first.
func (d *Door) submitUserAction(v *visit) error {
	userID, err := v.userID()
	if err != nil {
		return err
	}
	action := v.form.Get("action")
	if c, ok := confirmations[action]; ok && v.form.Get("confirm") != "yes" {
		if _, err := d.mayConfirm(v, userID, c); err != nil {
			return err
		}
		// A page of its own, so that the back button leads to it and not to a form sent again.
		return v.redirect(v.at("users", string(userID), action))
	}
	ctx, actor := v.ctx(), v.actor()
	switch action {
	case templates.ActionResetPassword:
		return d.resetPasswordLink(v, userID)
	case templates.ActionSendResetLink:
		sent, err := d.Recovery.SendResetLink(ctx, actor, v.env, userID)
		if err == nil && v.form.Get("then") == templates.ActionResetPassword {
			return d.resetPasswordLink(v, userID)
		}
		return v.done(userID, onItsWay("A password reset link", sent), err)
	case templates.ActionResendInvitation:
		sent, err := d.Recovery.ResendInvitation(ctx, actor, v.env, userID)
		return v.done(userID, onItsWay("The invitation", sent), err)
	case templates.ActionCancelToken:
		u, err := d.Recovery.CancelToken(ctx, actor, v.env, userID)
		return v.done(userID, "The password reset token of "+u.Name+" is cancelled. None of its links work any more.", err)
	case templates.ActionEndLink:
		_, err := d.Recovery.EndLink(ctx, actor, v.env, userID, v.form.Get("link"))
		return v.done(userID, "The link is ended.", err)
	case templates.ActionSendCode:
		sent, err := d.Recovery.SendCode(ctx, actor, v.env, userID)
		return v.done(userID, onItsWay("A mail with the code alone", sent), err)
	case templates.ActionCloseCase:
		u, err := d.UserManager.CloseCase(ctx, actor, v.env, userID)
		if err != nil {
			return err
		}
		v.flash(flash{Words: u.Name + " is taken off the list."})
		return v.redirect(v.at("needs-help"))
	case templates.ActionAllowMail:
		u, err := d.UserManager.AllowMail(ctx, actor, v.env, userID)
		return v.done(userID, "Mail may go to "+u.Email+" again.", err)
	case templates.ActionEdit:
		if _, err := d.editable(v); err != nil {
			return err
		}
		return v.redirect(v.at("users", string(userID), "edit"))
	case templates.ActionEndSessions:
		u, n, err := d.UserManager.EndSessions(ctx, actor, v.env, userID)
		return v.done(userID, signedOut(u.Name, n), err)
	case templates.ActionDeactivate:
		u, _, err := d.UserManager.Deactivate(ctx, actor, v.env, userID)
		return v.done(userID, u.Name+" is deactivated.", err)
	case templates.ActionActivate:
		u, err := d.UserManager.Activate(ctx, actor, v.env, userID)
		return v.done(userID, u.Name+" is activated.", err)
	case templates.ActionDelete:
		u, err := d.UserManager.Delete(ctx, actor, v.env, userID)
		if err != nil {
			return err
		}
		v.flash(flash{Words: u.Name + " is deleted."})
		return v.redirect(v.at("users"))
	default:
		return errMalformed
	}
}

// onItsWay says what became of a mail: nothing goes to an address that is stopped.
func onItsWay(what string, s recovery.Sent) string {
	if s.Stopped {
		words := "No mail goes to " + s.User.Email + " at the moment, so nothing was sent. Correct the address, or allow mail to it again"
		if s.User.State == user.Invited { // has no reset token to give a link of
			return words + "."
		}
		return words + ", or choose Reset Password and give the link another way."
	}
	return what + " is on its way to " + s.User.Email + "."
}

// done says on the user's page what was done.
func (v *visit) done(userID id.User, words string, err error) error {
	if err != nil {
		return err
	}
	v.flash(flash{Words: words})
	return v.redirect(v.at("users", string(userID)))
}

// confirmation is the question before something ends.
type confirmation struct {
	action  access.Action
	heading string // with the name
	safe    bool   // nothing is lost
	what    []string
}

var confirmations = map[string]confirmation{
	templates.ActionCancelToken: {
		action: access.CancelToken, heading: "Cancel the reset token of %s", safe: true,
		what: []string{"All links and codes of this token stop working, also those in mails.", "A new one can be asked for at any time."},
	},
	templates.ActionEndSessions: {
		action: access.EndSessions, heading: "End the sessions of %s", safe: true,
		what: []string{"The password stays as it is; with it one can sign in again."},
	},
	templates.ActionDeactivate: {
		action: access.Deactivate, heading: "Deactivate %s", safe: true,
		what: []string{"All sessions end, and links and codes stop working.", "Nobody can sign in to this account until you activate it again. Nothing is deleted."},
	},
	templates.ActionDelete: {
		action: access.DeleteUser, heading: "Delete %s",
		what: []string{"The account, its sessions, links and mails are removed.", "What happened to it stays in the log."},
	},
}

// showConfirmation says exactly what will happen before it does.
func (d *Door) showConfirmation(v *visit) error {
	userID, err := v.userID()
	if err != nil {
		return err
	}
	action := v.r.PathValue("action")
	c, ok := confirmations[action]
	if !ok {
		return fault.New(fault.NotFound, "There is no such page.")
	}
	details, err := d.mayConfirm(v, userID, c)
	if err != nil {
		return err
	}
	heading := fmt.Sprintf(c.heading, details.User.Name)
	page := templates.Confirm{
		Page: v.page(), Heading: heading, Sentence: sessionsSentence(details.Sessions, details.User.Name), What: c.what, Safe: c.safe,
		Action: v.at("users", string(userID)), Button: heading, CancelURL: v.at("users", string(userID)), UpWords: details.User.Name,
		Fields: []templates.Hidden{{Name: "action", Value: action}, {Name: "confirm", Value: "yes"}},
	}
	page.Nav.Current = "users"
	switch action {
	case templates.ActionCancelToken:
		page.Sentence = "Ends all live links of " + details.User.Name + "."
	case templates.ActionDelete:
		page.What = append([]string{page.Sentence}, page.What...)
		page.Sentence = "This cannot be undone."
	}
	return v.show(http.StatusOK, templates.ConfirmPage(page))
}

// mayConfirm gives the user whom this visitor may do something to.
func (d *Door) mayConfirm(v *visit, userID id.User, c confirmation) (usermanager.Details, error) {
	details, err := d.UserManager.User(v.ctx(), v.actor(), v.env, userID)
	if err == nil {
		err = access.CheckOn(v.actor(), v.env.ID, c.action, details.User.Target())
	}
	return details, err
}

func sessionsSentence(n int, name string) string {
	switch n {
	case 0:
		return name + " is not signed in anywhere just now."
	case 1:
		return "Ends 1 session of " + name + "."
	default:
		return fmt.Sprintf("Ends %d sessions of %s.", n, name)
	}
}

func signedOut(name string, n int) string {
	switch n {
	case 0:
		return name + " was not signed in anywhere."
	case 1:
		return name + " is signed out: 1 session ended."
	default:
		return fmt.Sprintf("%s is signed out: %d sessions ended.", name, n)
	}
}

// resetPasswordLink is Reset Password -> Go: the answer to the POST is the page
// itself, so the link stands in no address, list or history.
func (d *Door) resetPasswordLink(v *visit, userID id.User) error {
	link, err := d.Recovery.ResetPassword(v.ctx(), v.actor(), v.env, userID, true)
	if err != nil {
		return err
	}
	v.noReferrer()
	if link.Waiting {
		return v.waiting(link.User.Name)
	}
	if link.Text == "" {
		return d.noToken(v, link)
	}
	address := d.URL.JoinPath(v.env.Slug, "reset-password", link.Text).String()
	path, size, err := qrCode(address)
	if err != nil {
		return err
	}
	page := templates.ResetPasswordLink{
		Page: v.page(), UserID: string(userID), UserName: link.User.Name, Email: link.User.Email, Link: address, QRPath: path, QRSize: size,
		Until: link.EndsAt, Again: link.Again, Untold: link.Stopped, Text: handover(v, link, address),
	}
	page.Nav.Current = "users"
	for _, l := range link.Live {
		row := templates.LinkRow{ID: token.Ref(l), MadeAt: l.MadeAt, Until: l.EndsAt, Live: true, CanEnd: true}
		row.Opened, row.OpenedAt = openedWords(l.OpenedAt, l.ScannedAt)
		row.Channel = channelWords(l.Channel, l.MadeByName, link.Mails[l.ID], row.OpenedAt)
		if l.ID == link.Mine {
			row.Channel = "Made by you"
		}
		page.Links = append(page.Links, row)
	}
	return v.show(http.StatusOK, templates.ResetPasswordLinkPage(page))
}

// waiting says that a second Client Admin has to agree first.
func (v *visit) waiting(name string) error {
	m := message("A second Client Admin has to agree", name+" is a Client Admin, and the settings of this environment want two of you for this. Your question now stands in the User Manager of every other Client Admin. Once one of them agrees, do this again within an hour.")
	m.Page, m.ActionWords, m.ActionURL = v.page(), "Back to the User Manager", v.at("users")
	return v.show(http.StatusConflict, templates.MessagePage(m))
}

// handover is a text ready to send with the link.
func handover(v *visit, link recovery.AdminLink, address string) string {
	return fmt.Sprintf("Hello %s,\n\nhere is the link to set a new password for %s:\n\n%s\n\nIt works once, until %s. Nobody will ask you for it again.\n\n%s",
		link.User.Name, v.env.Name, address, moment(link.EndsAt), v.live.Name)
}

func (d *Door) noToken(v *visit, link recovery.AdminLink) error {
	page := templates.NoToken{
		Page: v.page(), UserID: string(link.User.ID), UserName: link.User.Name, Email: link.User.Email, Why: whyNoToken(link.User.Name, link.Last, link.Expired),
		CanSend:  access.MayOn(v.actor(), v.env.ID, access.SendResetLink, link.User.Target()),
		LoginURL: d.URL.JoinPath(v.env.Slug, "login").String(),
	}
	page.Nav.Current = "users"
	return v.show(http.StatusOK, templates.NoTokenPage(page))
}
