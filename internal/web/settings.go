package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// settingOf maps the fields of the form to the names of the policy.
var settingOf = []struct{ field, setting string }{
	{"link_life", "link_life"},
	{"admin_links", "admin_links"},
	{"second_admin", "second_admin"},
	{"help_digest", "help_digest"},
	{"min_length", "password_min_length"},
	{"after_reset", "after_reset"},
	{"help_line", "help_line"},
	{"help_email", "help_email"},
	{"sender_name", "sender_name"},
	{"accent", "accent"},
}

func (d *Door) showSettings(v *visit) error {
	if err := access.Check(v.actor(), v.env.ID, access.ChangeSettings); err != nil {
		return err
	}
	p := v.page()
	p.Flash = v.takeFlash().Words
	return v.show(http.StatusOK, templates.SettingsPage(settingsForm(p, v.env.Policy)))
}

func settingsForm(p templates.Page, policy environment.Policy) templates.Settings {
	get := map[string]string{}
	for _, s := range environment.Settings {
		get[s.Name] = s.Get(policy)
	}
	p.Nav.Current = "settings"
	return templates.Settings{
		Page: p, LinkLife: get["link_life"], InvitationDays: int(policy.InvitationLife / (24 * time.Hour)), AdminLinks: get["admin_links"], SecondAdmin: get["second_admin"], HelpDigest: get["help_digest"],
		MinLength: policy.PasswordMinLength, AfterReset: get["after_reset"], HelpLine: policy.HelpLine, HelpEmail: policy.HelpEmail, SenderName: policy.SenderName, Accent: policy.Accent,
	}
}

func (d *Door) submitSettings(v *visit) error {
	if err := access.Check(v.actor(), v.env.ID, access.ChangeSettings); err != nil {
		return err // a refused form shows what stands in the settings
	}
	values := map[string]string{}
	for _, s := range settingOf {
		if v.changed(s.field) {
			values[s.setting] = v.form.Get(s.field)
		}
	}
	if v.changed("invitation_days") {
		values["invitation_life"] = daysLong(v.form.Get("invitation_days"))
	}
	if f := v.changedMeanwhile(values); f != nil {
		return d.refuseSettings(v, f, values)
	}
	_, changed, err := d.Settings.ChangePolicy(v.ctx(), v.actor(), v.env, values)
	if f := fault.As(err); f != nil && len(f.Fields) > 0 {
		return d.refuseSettings(v, f, values)
	}
	if err != nil {
		return err
	}
	words := "The settings are saved. Links that were made before keep their own end."
	if len(changed) == 0 {
		words = "Nothing was different."
	}
	v.flash(flash{Words: words})
	return v.redirect(v.at("settings"))
}

// changed tells whether a field was sent with another value than the form
// showed: a form that was open for long must not undo what others saved since.
func (v *visit) changed(field string) bool {
	return v.form.Has(field) && !(v.form.Has("was_"+field) && v.form.Get("was_"+field) == v.form.Get(field))
}

// changedMeanwhile names the settings that somebody else has changed since the form
// was shown, and that are to be changed to something else again. From now on it is
// the other's value that the form has shown.
func (v *visit) changedMeanwhile(values map[string]string) *fault.Error {
	var f *fault.Error
	for _, s := range environment.Settings {
		mine, changed := values[s.Name]
		now, was := s.Get(v.env.Policy), "was_"+fieldOf(s.Name)
		if !changed || !v.form.Has(was) || mine == now || v.form.Get(was) == now {
			continue
		}
		next := fault.OfField(fault.Conflict, s.Name, usermanager.ChangedMeanwhile(now))
		if f == nil {
			f = next
		} else {
			f.Fields = append(f.Fields, next.Fields...)
		}
		v.form.Set(was, now)
	}
	return f
}

func fieldOf(setting string) string {
	for _, s := range settingOf {
		if s.setting == setting {
			return s.field
		}
	}
	return setting
}

// daysLong is a number of days as the policy writes it; what is no such number
// stays as it is, and is refused there.
func daysLong(typed string) string {
	days, err := strconv.ParseUint(strings.TrimSpace(typed), 10, 16)
	if err != nil {
		return typed
	}
	return strconv.FormatUint(days*24, 10) + "h"
}

// refuseSettings shows the form as it was filled in, with what is allowed.
func (d *Door) refuseSettings(v *visit, f *fault.Error, values map[string]string) error {
	typed := v.env.Policy
	for name, value := range values {
		if next, err := typed.With(name, value); err == nil {
			typed = next
		}
	}
	p := v.refused(f)
	p.Problem = "Nothing is saved yet."
	for i, field := range p.Fields {
		p.Fields[i] = inTheForm(field, f.Kind == fault.Invalid)
	}
	page := settingsForm(p, typed)
	for name, values := range v.form {
		if strings.HasPrefix(name, "was_") {
			page.Was = append(page.Was, templates.Hidden{Name: name, Value: values[0]})
		}
	}
	return v.show(statuses[f.Kind], templates.SettingsPage(page))
}

// inTheForm names the field as the form does, and says what is allowed, where
// that is the reason, as people read it.
func inTheForm(p templates.FieldProblem, invalid bool) templates.FieldProblem {
	for _, s := range environment.Settings {
		if s.Name == p.Name && invalid {
			p.Reason = "Allowed: " + s.Allowed + "."
		}
	}
	p.Name = fieldOf(p.Name)
	if p.Name == "invitation_life" {
		p.Name, p.Reason = "invitation_days", "Allowed: 1 to 14 days."
	}
	return p
}
