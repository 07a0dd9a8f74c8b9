package web

import (
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/secret"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showForgotPassword(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	return v.show(http.StatusOK, templates.ForgotPasswordPage(templates.ForgotPassword{
		Page: v.anonymous(), Email: cut(v.r.URL.Query().Get("email"), 254), HelpLine: v.env.Policy.HelpLine, Case: v.lastCase(),
	}))
}

// lastCase is the number of the last asking from this browser: phones forget the
// page it stood on.
func (v *visit) lastCase() string { return secret.ReadCaseNumber(v.cookie(caseCookie)) }

func (d *Door) submitForgotPassword(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	typed := v.form.Get("email")
	asked, err := d.Recovery.Ask(v.ctx(), v.env, typed, v.from())
	if f := fault.As(err); f != nil {
		return v.refuseForgotPassword(typed, f)
	}
	if err != nil {
		return err
	}
	if d.Recovery.KnownBrowser(v.env, typed, v.cookie(askedCookie)) == "" {
		v.setCookie(askedCookie, d.Recovery.Browser(v.env, asked.Address.Key), 24*time.Hour)
	}
	v.setCookie(caseCookie, asked.Case, 24*time.Hour)
	page := v.anonymous()
	page.Again = v.at("reset-password") // where the code is typed
	return v.show(http.StatusOK, templates.CheckYourMailPage(templates.CheckYourMail{
		Page: page, Email: typed, Sender: v.sender(), Subject: mail.Subject(mail.Reset, v.env.Name),
		Case: asked.Case, Again: v.form.Get("again") != "", HelpLine: v.env.Policy.HelpLine,
	}))
}

// refuseForgotPassword shows the form again with what was typed.
func (v *visit) refuseForgotPassword(typed string, f *fault.Error) error {
	page := templates.ForgotPassword{Page: v.refused(f), Email: cut(typed, 254), HelpLine: v.env.Policy.HelpLine}
	page.Nav, page.RequestID = templates.Nav{}, ""
	if f.Kind == fault.Throttled {
		page.Problem, page.RetrySeconds = "", seconds(f.RetryAfter)
	}
	v.unavailable(f)
	return v.show(statuses[f.Kind], templates.ForgotPasswordPage(page))
}
