package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/help"
)

// keptCookie holds an answer about an article while its reader logs in, so that
// nobody fills in a form twice. Only this browser has it.
const (
	keptCookie = "kept"
	keptFor    = 15 * time.Minute
	// mostKept is what browsers take for a cookie with its name (RFC 6265 section
	// 6.1), less some for the name and what is said about it.
	mostKept = 3800
)

// kept is the answer.
type kept struct {
	Article string        `json:"a"`
	Reasons []help.Reason `json:"r,omitempty"`
	Remark  string        `json:"t,omitempty"`
}

// loginFirst keeps the answer and sends its reader to the login page, from where
// the way leads back to the form.
func (v *visit) loginFirst(o help.Opinion) error {
	article := v.r.PathValue("article")
	text, err := json.Marshal(kept{article, o.Reasons, cut(o.Remark, help.MostRemark)})
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(text)
	if len(value) > mostKept {
		return fault.InvalidField("remark", "This is too long to be kept while you log in. Make it shorter, or copy it.")
	}
	v.setCookie(keptCookie, value, keptFor)
	return v.redirect(v.at("login") + "?next=" + url.QueryEscape(v.at("help", article, "feedback")))
}

// keptAnswer gives what was kept about this article.
func (v *visit) keptAnswer() (help.Opinion, bool) {
	c, err := v.r.Cookie(v.cookieName(keptCookie))
	if err != nil || len(c.Value) > mostKept {
		return help.Opinion{}, false
	}
	var k kept
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &k) != nil || k.Article != v.r.PathValue("article") {
		return help.Opinion{}, false
	}
	return help.Opinion{Reasons: k.Reasons, Remark: k.Remark}, true
}

// backToArticle is for who comes back to the address of an answer: after a login
// the form stands there as it was left.
func (d *Door) backToArticle(v *visit) error {
	o, ok := v.keptAnswer()
	if !ok || !v.signedIn() {
		return v.redirect(v.at("help", v.r.PathValue("article")))
	}
	f, err := d.feedback(v)
	if err != nil {
		return err
	}
	return d.article(v, http.StatusOK, v.helpPage(), v.whyNot(f, o))
}
