package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sparekey/sparekey/internal/account"
	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showAccount(v *visit) error {
	p := v.page()
	p.Flash = v.takeFlash().Words
	return d.accountPage(v, http.StatusOK, p)
}

func (d *Door) accountPage(v *visit, status int, p templates.Page) error {
	profile, err := d.Account.Profile(v.ctx(), v.actor(), v.env, v.live.Session)
	if err != nil {
		return err
	}
	p.Nav.Current = "account"
	page := templates.Account{Page: p, Name: profile.Name, Email: profile.Email, PendingEmail: profile.PendingEmail, MinLength: profile.MinLength}
	for _, s := range profile.Sessions {
		page.Sessions = append(page.Sessions, templates.SessionRow{
			ID: string(s.ID), Device: agent.Words(s.Agent), Network: s.Network, LastSeen: s.SeenAt, Current: s.Current,
		})
	}
	for _, e := range profile.Events {
		page.Events = append(page.Events, describe(e, v.live.User))
	}
	return v.show(status, templates.AccountPage(page))
}

func (d *Door) submitAccount(v *visit) error {
	done, err := d.changeAccount(v)
	if f := fault.As(err); f != nil && (len(f.Fields) > 0 || f.Kind == fault.Throttled) {
		v.retryAfter(f)
		return d.accountPage(v, statuses[f.Kind], v.refused(f))
	}
	if err != nil {
		return err
	}
	v.flash(flash{Words: done})
	return v.redirect(v.at("account"))
}

// changeAccount does what was asked and says so.
func (d *Door) changeAccount(v *visit) (string, error) {
	ctx, actor := v.ctx(), v.actor()
	switch v.form.Get("do") {
	case templates.AccountName:
		return "Your name is saved.", d.Account.Rename(ctx, actor, v.env, v.form.Get("name"))
	case templates.AccountEmail:
		to, err := d.Account.ChangeEmail(ctx, actor, v.env, v.form.Get("proof"), v.form.Get("email"))
		return "We sent a link to " + to + ". The new address counts once you open it.", beside(err, "current", "proof")
	case templates.AccountEmailCancel:
		return "Your address stays as it is.", d.Account.CancelEmail(ctx, actor, v.env)
	case templates.AccountPassword:
		ended, err := d.Account.ChangePassword(ctx, actor, v.env, v.live.Session, v.form.Get("current"), v.form.Get("password"))
		return "Your password is changed. " + sessionsEnded(ended), err
	case templates.AccountEndSession:
		return "The session is ended.", d.Account.EndSession(ctx, actor, v.env, id.Session(v.form.Get("session")))
	case templates.AccountEndOthers:
		ended, err := d.Account.EndOtherSessions(ctx, actor, v.env, v.live.Session)
		return sessionsEnded(ended), err
	default:
		return "", errMalformed
	}
}

func sessionsEnded(n int) string {
	switch n {
	case 0:
		return "No other session was open."
	case 1:
		return "1 other session was signed out."
	default:
		return fmt.Sprintf("%d other sessions were signed out.", n)
	}
}

// beside moves the reason of a refused field to the field of this form.
func beside(err error, from, to string) error {
	if f := fault.As(err); f != nil {
		for i := range f.Fields {
			if f.Fields[i].Name == from {
				f.Fields[i].Name = to
			}
		}
	}
	return err
}

func (d *Door) showAddressConfirm(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	c, err := d.Account.OpenConfirm(v.ctx(), v.env, v.link())
	page := templates.AddressConfirm{
		Page: v.anonymous(), Action: v.at("confirm-address", lastPart(v.link())), Email: c.Email, HelpLine: v.env.Policy.HelpLine,
	}
	if err != nil {
		return v.confirmError(page, err)
	}
	if c.Already {
		return v.confirmedAlready(c)
	}
	return v.show(http.StatusOK, templates.AddressConfirmPage(page))
}

func (v *visit) confirmError(page templates.AddressConfirm, err error) error {
	var u *token.Unusable
	if !errors.As(err, &u) {
		return err
	}
	page.Dead = deadNotice(u)
	return v.show(http.StatusGone, templates.AddressConfirmPage(page))
}

func (d *Door) submitAddressConfirm(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	c, err := d.Account.Confirm(v.ctx(), v.env, v.link(), v.from())
	if err != nil {
		return v.confirmError(templates.AddressConfirm{Page: v.anonymous(), HelpLine: v.env.Policy.HelpLine}, err)
	}
	if c.Already {
		return v.confirmedAlready(c)
	}
	if c.Invited {
		m := message("Check your e-mail", "Your address is confirmed. The invitation is on its way to it, usually within a minute.")
		m.Page = v.anonymous()
		return v.show(http.StatusOK, templates.MessagePage(m))
	}
	v.flash(flash{Info: templates.InfoEmailConfirmed, Email: c.Email})
	return v.redirect(v.at("login"))
}

// confirmedAlready is for whoever opens the link once more, or presses twice.
func (v *visit) confirmedAlready(c account.Confirmation) error {
	m := message("Your address is confirmed already", "Log in to "+v.env.Name+" with "+c.Email+".")
	m.ActionWords, m.ActionURL = "To the log in page", v.at("login")
	if c.Invited {
		m = message("Your address is confirmed already", "The invitation was sent to "+c.Email+". Its link lets you set a password.")
	}
	m.Page, m.HelpLine = v.anonymous(), v.env.Policy.HelpLine
	return v.show(http.StatusOK, templates.MessagePage(m))
}
