package web

import (
	"errors"
	"net/http"

	"github.com/sparekey/sparekey/internal/recovery"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showNotMe(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	page, err := d.Recovery.OpenNotMe(v.ctx(), v.env, v.link())
	return v.notMe(page, false, err)
}

func (d *Door) submitNotMe(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	page, err := d.Recovery.ThisWasNotMe(v.ctx(), v.env, v.link(), v.from())
	return v.notMe(page, true, err)
}

func (v *visit) notMe(n recovery.NotMe, done bool, err error) error {
	page := templates.NotMe{
		Page: v.anonymous(), Action: v.at("not-me", lastPart(v.link())), Masked: n.MaskedEmail, Used: n.Compromised, Address: n.UndoAddress, Done: done, HelpLine: v.env.Policy.HelpLine,
	}
	status := http.StatusOK
	var u *token.Unusable
	switch {
	case errors.As(err, &u):
		page.Dead, page.At, page.Done = deadNotice(u), u.At, false
		status = http.StatusGone
	case err != nil:
		return err
	}
	return v.show(status, templates.NotMePage(page))
}

// deadNotice says why a link that only mails carry works no more.
func deadNotice(u *token.Unusable) string {
	switch u.Verdict {
	case token.Incomplete:
		return "This link was cut off. Mail programs sometimes break long lines; copy the whole line from the mail."
	case token.Damaged:
		return "A character in this link is wrong, or it belongs to another address."
	case token.Expired:
		return "This link has stopped working: it is too old."
	case token.Used:
		return "This link has already been used."
	default:
		if u.Why != "" {
			return "This link was cancelled: " + u.Why + "."
		}
		return "This link was cancelled."
	}
}
