package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// noReferrer keeps an address from travelling on; for those of links, around
// has seen to it.
func (v *visit) noReferrer() { v.w.Header().Set("Referrer-Policy", "no-referrer") }

func (d *Door) showResetPassword(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	opened, err := d.Recovery.Open(v.ctx(), v.env, v.link(), v.opening())
	if err != nil {
		return d.linkError(v, err)
	}
	return v.show(http.StatusOK, templates.ResetPasswordPage(v.resetForm(v.anonymous(), opened)))
}

// opening is what came with the request for a link's page.
func (v *visit) opening() recovery.Opening {
	return recovery.Opening{
		From: v.from(), Method: v.r.Method, Language: v.r.Header.Get("Accept-Language") != "",
		Asked: v.cookie(askedCookie), Device: v.cookie(deviceCookie),
	}
}

func (v *visit) resetForm(p templates.Page, o recovery.Opened) templates.ResetPassword {
	p.ThemeURL = v.at("theme.css") + "?look=" + string(o.Look)
	return templates.ResetPassword{
		Page: p, Action: v.at("reset-password", v.link()), Masked: o.MaskedEmail, Operation: o.Operation, MinLength: o.MinLength,
		Until: o.Until, Invitation: o.Invitation, Name: o.Name, HelpLine: v.env.Policy.HelpLine,
	}
}

func (d *Door) submitResetPassword(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	done, err := d.Recovery.SetPassword(v.ctx(), v.env, recovery.Use{
		Link: v.link(), Operation: cut(v.form.Get("operation"), 64), Password: v.form.Get("password"), From: v.from(),
		MaySignIn: v.fromOwnPage(),
	})
	if f := fault.As(err); f != nil && f.Kind == fault.Invalid {
		return d.refusePassword(v, f)
	}
	if err != nil {
		return d.linkError(v, err)
	}
	v.setCookie(deviceCookie, d.SignIn.NewDevice(v.env, done.User.EmailKey), deviceLife)
	if v.lastCase() != "" {
		v.setCookie(caseCookie, "", 0)
	}
	said := flash{Info: templates.InfoPasswordSet, Email: done.User.Email, Words: "Your password is set. All other sessions were signed out."}
	if done.Invitation {
		said.Info = templates.InfoFirstPassword
		said.Words = "Your password is set. Welcome to " + v.env.Name + "."
	}
	v.flash(said)
	if done.Session != "" {
		v.setCookie("", done.Session, v.env.Policy.SessionLife)
		return v.redirect(v.at())
	}
	return v.redirect(v.at("login"))
}

// fromOwnPage tells whether the request shows that a page of ours sent it. A
// request that shows nothing does not: unlike the cross-origin check this gives
// something. The page has no referrer, so browsers send it with "Origin: null".
func (v *visit) fromOwnPage() bool {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return v.r.Header.Get("Origin") == v.d.URL.Scheme+"://"+v.d.URL.Host
}

// refusePassword shows the form again with the reason; the link still works.
func (d *Door) refusePassword(v *visit, f *fault.Error) error {
	opened, err := d.Recovery.Open(v.ctx(), v.env, v.link(), v.opening())
	if err != nil {
		return d.linkError(v, err)
	}
	if typed := v.form.Get("operation"); typed != "" {
		opened.Operation = cut(typed, 64)
	}
	p := v.refused(f)
	p.Nav = templates.Nav{}
	return v.show(http.StatusUnprocessableEntity, templates.ResetPasswordPage(v.resetForm(p, opened)))
}

// linkError shows why a link does not work and the next step: never a dead end.
func (d *Door) linkError(v *visit, err error) error {
	var u *token.Unusable
	if !errors.As(err, &u) {
		return err
	}
	page := templates.LinkNotUsable{
		Page: v.anonymous(), Reason: string(u.Verdict), At: u.At, Cause: cause(u), MadeByAdmin: u.ByAdmin, Invitation: u.Invited && !u.MayAsk, HelpLine: v.env.Policy.HelpLine,
	}
	if page.Again != "" { // the answer to a POST, perhaps to one of the buttons below
		page.Again = v.at("reset-password", lastPart(v.link()))
	}
	if u.Agent != "" {
		page.Device = agent.Words(u.Agent)
	}
	switch {
	case u.Verdict == token.Incomplete || u.Verdict == token.Damaged:
		page.PasteAction = v.at("reset-password", "paste")
	case u.MayAsk:
		page.SendAction = v.at("reset-password", lastPart(v.link()), "send-again")
	}
	return v.show(http.StatusGone, templates.LinkNotUsablePage(page))
}

func cause(u *token.Unusable) string {
	if u.Why == "" {
		return ""
	}
	return "It ended because " + u.Why + "."
}

// lastPart takes a pasted address down to the link in it, with nothing that
// could leave the path.
func lastPart(pasted string) string {
	pasted = strings.TrimRight(strings.TrimSpace(pasted), "/")
	if i := strings.LastIndexByte(pasted, '/'); i >= 0 {
		pasted = pasted[i+1:]
	}
	kept := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		default:
			return -1
		}
	}, cut(pasted, 100))
	if kept == "" {
		return "paste"
	}
	return kept
}

// submitPasted opens a link that was pasted whole.
func (d *Door) submitPasted(v *visit) error {
	return v.redirect(v.at("reset-password", lastPart(v.form.Get("link"))))
}

// submitAskAgain is "Send a new link" on an expired link.
func (d *Door) submitAskAgain(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	asked, err := d.Recovery.AskAgain(v.ctx(), v.env, v.link(), v.from())
	if err != nil {
		return d.linkError(v, err)
	}
	v.setCookie(caseCookie, asked.Case, 24*time.Hour)
	m := message("Check your e-mail", "A new link is on its way to the address of this account, usually within a minute. Look into the spam folder too.")
	m.Page, m.HelpLine, m.Case = v.anonymous(), v.env.Policy.HelpLine, asked.Case
	m.Text = append(m.Text, "It comes from "+v.sender()+", with the subject “"+mail.Subject(mail.Reset, v.env.Name)+"”.")
	m.ActionWords, m.ActionURL = "I have a code", v.at("reset-password")
	return v.show(http.StatusOK, templates.MessagePage(m))
}

func (d *Door) showCode(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	return v.show(http.StatusOK, templates.CodeEntryPage(templates.CodeEntry{
		Page: v.anonymous(), Email: cut(v.r.URL.Query().Get("email"), 254), HelpLine: v.env.Policy.HelpLine, Case: v.lastCase(),
	}))
}

func (d *Door) submitCode(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	email := v.form.Get("email")
	link, err := d.Recovery.EnterCode(v.ctx(), v.env, recovery.Code{
		Email: email, Code: v.form.Get("code"), Browser: d.Recovery.KnownBrowser(v.env, email, v.cookie(askedCookie)), From: v.from(),
	})
	if err == nil {
		v.noReferrer()
		return v.redirect(v.at("reset-password", link))
	}
	f := fault.As(err)
	if f == nil || f.Kind != fault.Invalid && f.Kind != fault.Unavailable {
		return err
	}
	v.unavailable(f)
	page := v.anonymous()
	page.Problem = f.Sentence
	return v.show(statuses[f.Kind], templates.CodeEntryPage(templates.CodeEntry{
		Page: page, Email: cut(email, 254), HelpLine: v.env.Policy.HelpLine, Case: v.lastCase(),
	}))
}
