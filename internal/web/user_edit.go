package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/approval"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showUserCreate(v *visit) error {
	if err := access.Check(v.actor(), v.env.ID, access.CreateUser); err != nil {
		return err
	}
	page := templates.UserEdit{Page: v.page(), New: true, Action: v.at("users", "new"), Role: string(access.Member), Invite: true, NoNewAdmin: v.noNewAdmin()}
	return v.show(http.StatusOK, templates.UserEditPage(page))
}

func (d *Door) submitUserCreate(v *visit) error {
	n := usermanager.New{
		Email: v.form.Get("email"), Name: v.form.Get("name"), Role: access.Role(v.form.Get("role")), Quiet: v.form.Get("invite") != "yes",
	}
	u, err := d.UserManager.Create(v.ctx(), v.actor(), v.env, n)
	if made, twice := d.justMade(v, n, err); twice {
		u, err = made, nil
	}
	if f := fault.As(err); f != nil && len(f.Fields) > 0 {
		return v.show(statuses[f.Kind], templates.UserEditPage(templates.UserEdit{
			Page: v.refused(f), New: true, Action: v.at("users", "new"), Name: cut(n.Name, 200), Email: cut(n.Email, 254), Role: string(n.Role), Invite: !n.Quiet, NoNewAdmin: v.noNewAdmin(),
		}))
	}
	if err != nil {
		return err
	}
	made, err := d.UserManager.User(v.ctx(), v.actor(), v.env, u.ID)
	if err != nil {
		return err
	}
	words := u.Name + " is invited: a mail is on its way to " + u.Email + "."
	switch {
	case !made.Invited(): // whatever this form says, if one before it made the user
		words = u.Name + " is created. No invitation was sent; choose Resend invitation when it is time."
	case made.Suppressed:
		words = u.Name + " is created. " + onItsWay("", recovery.Sent{User: u, Stopped: true})
	}
	return v.done(u.ID, words, nil)
}

// justMade gives the user whom the same form made a moment ago: without
// JavaScript a double click sends it twice, and shows the second answer alone.
func (d *Door) justMade(v *visit, n usermanager.New, err error) (user.User, bool) {
	if !fault.Is(err, fault.Conflict) {
		return user.User{}, false
	}
	u, err := d.UserManager.Find(v.ctx(), v.actor(), v.env, n.Email)
	same := err == nil && u.Name == strings.TrimSpace(n.Name) && u.Role == n.Role && u.State == user.Invited
	return u, same && v.now.Sub(u.MadeAt) < time.Minute
}

// noNewAdmin says why the actor may make nobody a Client Admin; "" if they may.
func (v *visit) noNewAdmin() string {
	if v.env.Policy.SecondAdmin && !approval.MayGive(v.actor(), access.ClientAdmin) {
		return approval.OperatorsAdd
	}
	return ""
}

// editable finds a user whom the actor may edit, for the form.
func (d *Door) editable(v *visit) (user.User, error) {
	userID, err := v.userID()
	if err != nil {
		return user.User{}, err
	}
	details, err := d.UserManager.User(v.ctx(), v.actor(), v.env, userID)
	if err != nil {
		return user.User{}, err
	}
	return details.User, access.CheckOn(v.actor(), v.env.ID, access.EditUser, details.User.Target())
}

func (v *visit) editForm(p templates.Page, u user.User, name, email, role string) templates.UserEdit {
	locked := usermanager.IdentityLocked(v.env)
	p.Nav.Current = "users"
	return templates.UserEdit{
		Page: p, UserID: string(u.ID), UserName: u.Name, Action: v.at("users", string(u.ID), "edit"), Name: name, Email: email, Role: role,
		HadRole: string(u.Role), WasName: u.Name, WasEmail: u.Email, WasRole: string(u.Role), NoNewAdmin: v.noNewAdmin(),
		EmailLocked: locked, RoleLocked: locked,
		Consequences: []string{
			"A changed role ends all sessions and cancels a live reset token.",
			"A changed address counts after a link mailed to it was used; the old address is told at once.",
		},
	}
}

func (d *Door) showUserEdit(v *visit) error {
	u, err := d.editable(v)
	if err != nil {
		return err
	}
	email := u.Email
	if likely, err := address.Parse(cut(v.r.URL.Query().Get("email"), 254)); err == nil { // what a diagnosis suggests
		email = likely.Mail
	}
	return v.show(http.StatusOK, templates.UserEditPage(v.editForm(v.page(), u, u.Name, email, string(u.Role))))
}

func (d *Door) submitUserEdit(v *visit) error {
	u, err := d.editable(v)
	if err != nil {
		return err
	}
	c := usermanager.Change{Name: v.form.Get("name"), Email: u.Email, Role: u.Role}
	if v.form.Has("email") { // a locked field is not sent
		c.Email = v.form.Get("email")
	}
	if v.form.Has("role") {
		c.Role = access.Role(v.form.Get("role"))
	}
	if v.form.Has("was_role") {
		c.Shown = &usermanager.Change{Name: v.form.Get("was_name"), Email: v.form.Get("was_email"), Role: access.Role(v.form.Get("was_role"))}
	}
	edited, err := d.UserManager.Edit(v.ctx(), v.actor(), v.env, u.ID, c)
	if f := fault.As(err); f != nil && len(f.Fields) > 0 {
		page := v.editForm(v.refused(f), u, cut(c.Name, 200), cut(c.Email, 254), string(c.Role))
		if c.Shown != nil { // it is still the first form that counts
			page.WasName, page.WasEmail, page.WasRole = cut(c.Shown.Name, 200), cut(c.Shown.Email, 254), string(c.Shown.Role)
		}
		if f.Kind == fault.Conflict { // and for this field what the sentence says
			switch f.Fields[0].Name {
			case "name":
				page.WasName = u.Name
			case "email":
				page.WasEmail = u.Email
			case "role":
				page.WasRole = string(u.Role)
			}
		}
		return v.show(statuses[f.Kind], templates.UserEditPage(page))
	}
	if err == nil && edited.Waiting {
		return v.waiting(u.Name)
	}
	return v.done(u.ID, editedWords(edited), err)
}

func editedWords(e usermanager.Edited) string {
	var done []string
	if e.Renamed {
		done = append(done, "The name is saved.")
	}
	if e.RoleChanged {
		done = append(done, e.User.Name+" is now "+e.User.Role.Words()+".")
		if e.SessionsEnded > 0 {
			done = append(done, signedOut(e.User.Name, e.SessionsEnded))
		}
	}
	if e.AddressAsked != "" {
		done = append(done, "We sent a link to "+e.AddressAsked+"; the new address counts once it is opened.")
	}
	if len(done) == 0 {
		return "Nothing was different."
	}
	return strings.Join(done, " ")
}
