package web

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// fine are the classes that are no trouble, and need no word in a list.
var fine = map[diagnosis.Class]string{
	diagnosis.Queued: templates.ToneQuiet, diagnosis.Accepted: templates.ToneGood, diagnosis.Opened: templates.ToneGood,
	diagnosis.Used: templates.ToneGood, diagnosis.Delivered: templates.ToneGood,
}

// toneOf colours a diagnosis: bad where waiting does not help.
func toneOf(g diagnosis.Diagnosis) string {
	if t, ok := fine[g.Class]; ok {
		return t
	}
	switch g.Class {
	case diagnosis.NotOpened, diagnosis.ScannerOnly, diagnosis.FormRefused, diagnosis.AutoReply, diagnosis.Delayed, diagnosis.Deferred,
		diagnosis.AskedElsewhere, diagnosis.AskedTooOften, diagnosis.Unknown:
		return templates.ToneWait
	}
	if g.Family == diagnosis.FamilyTemporary && g.Class != diagnosis.GaveUp && g.Class != diagnosis.TLSFailed {
		return templates.ToneWait
	}
	return templates.ToneBad
}

// rowHealth is the dot and words of a row, and the sentence where it is trouble.
func rowHealth(r usermanager.Row) (templates.MailHealth, templates.Sentence) {
	g, none := r.Diagnosis, templates.Sentence{}
	switch {
	case r.Hidden:
		return templates.MailHealth{Tone: templates.ToneQuiet, Words: "For a Client Admin"}, none
	case g.Class == "":
		return mailHealth(r.Mail), none
	}
	h := templates.MailHealth{Tone: toneOf(g), Words: g.Class.Short()}
	if _, ok := fine[g.Class]; ok {
		return h, none
	}
	return h, sentenceOf(r)
}

// sentenceOf is the sentence of a diagnosis with the times it names.
func sentenceOf(r usermanager.Row) templates.Sentence {
	s := templates.Sentence{Words: r.Diagnosis.Sentence}
	for _, t := range r.Times {
		s.Times = append(s.Times, templates.Named(t))
	}
	return s
}

// card is the diagnosis above the timeline: one sentence, one action. What the
// actor may not do is not offered.
func (v *visit) card(d usermanager.Details) templates.Diagnosis {
	g := d.Diagnosis
	if g.Class == "" {
		return templates.Diagnosis{}
	}
	c := templates.Diagnosis{Tone: toneOf(g), Sentence: sentenceOf(d.Row), Details: g.Reply, Class: string(g.Class)}
	may := func(a access.Action) bool { return slices.Contains(d.Options, a) }
	if d.User.PendingEmail != "" && g.Family == diagnosis.FamilyAddress {
		c.More = "A new address, " + d.User.PendingEmail + ", counts once the link mailed to it is used."
		if may(access.ResetPassword) {
			c.Button, c.Action = "Give a link by phone", templates.ActionResetPassword
		}
		return c
	}
	switch g.Button.Step {
	case diagnosis.StepCorrect:
		if may(access.EditUser) {
			c.Button, c.URL = g.Button.Words, v.at("users", string(d.User.ID), "edit")
			if g.New != "" {
				c.URL += "?" + url.Values{"email": {g.New}}.Encode()
			}
		}
	case diagnosis.StepTell:
		c.Button, c.Text = g.Button.Words, v.whereToLook(d)
	case diagnosis.StepExplain:
		c.Button, c.Text = g.Button.Words, v.passwordRule(d)
	case diagnosis.StepSendCode:
		if may(access.SendResetLink) {
			c.Button, c.Action = g.Button.Words, templates.ActionSendCode
		}
	case diagnosis.StepSendTo:
		if may(access.SendResetLink) {
			c.Button, c.Action = g.Button.Words, templates.ActionSendResetLink
		}
	case diagnosis.StepAskOther:
		c.More = g.Button.Words + "."
	}
	if c.Button == "" && c.More == "" && g.Button.Step != diagnosis.StepNone && may(access.ResetPassword) {
		c.Button, c.Action = g.Button.Words, templates.ActionResetPassword
		if g.Button.Step == diagnosis.StepCorrect { // for a help desk, which corrects nothing
			c.Button = "Give a link by phone"
		}
	}
	if c.Button == "" && g.Button.Step != diagnosis.StepNone && may(access.ResendInvitation) {
		c.Button, c.Action = "Resend invitation", templates.ActionResendInvitation
		c.More = "If no mail arrives there at all, correct the address; whoever runs the server can also make a link of the invitation."
	}
	if c.Text != "" && may(access.ResetPassword) && !d.Suppressed {
		c.Second, c.SecondAction = "Give a link by phone", templates.ActionResetPassword
	}
	if d.Suppressed && d.CanAllowMail(v.actor(), v.env) {
		c.Second, c.SecondAction = "Allow mail to this address again", templates.ActionAllowMail
		c.More = "Nothing is mailed to this address until it is corrected or you allow it again."
	}
	return c
}

// whereToLook is a text ready to send to somebody whose mail was taken and not opened.
func (v *visit) whereToLook(d usermanager.Details) string {
	return fmt.Sprintf("Hello %s,\n\na mail to set a new password for %s is on its way to %s. Please look in your spam or junk folder, or search your mail for:\n\nSubject: %s\nFrom: %s\n\nIf it is nowhere, call me and I give you a link another way.\n\n%s",
		d.User.Name, v.env.Name, d.User.Email, mail.Subject(mail.Reset, v.env.Name), v.sender(), v.live.Name)
}

// passwordRule is a text ready to send to somebody whose new password was refused.
func (v *visit) passwordRule(d usermanager.Details) string {
	return fmt.Sprintf("Hello %s,\n\nyour link still works; only the new password was not taken. It needs at least %d characters, and it must not be one that is known from leaks or made of your own name or address. Three unrelated words with spaces between them are long enough and easy to remember. Open the link in the mail again and try another one.\n\n%s",
		d.User.Name, v.env.Policy.PasswordMinLength, v.live.Name)
}
