package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// helpRoutes are the addresses of help. Whoever is locked out reads too.
var helpRoutes = []Route{
	{http.MethodGet, "/{environment}/help", Anyone, false, (*Door).showHelp},
	{http.MethodGet, "/{environment}/help/{article}", Anyone, false, (*Door).showArticle},
	{http.MethodGet, "/{environment}/help/{article}/feedback", Anyone, false, (*Door).backToArticle},
	{http.MethodPost, "/{environment}/help/{article}/feedback", Anyone, false, (*Door).submitFeedback},
	{http.MethodGet, "/{environment}/help/challenge", Anyone, false, (*Door).helpChallenge},
	{http.MethodGet, "/{environment}/help-pictures/{name}", Anyone, false, (*Door).helpPicture},

	{http.MethodGet, "/{environment}/help/feedback", SignedIn, false, (*Door).showFeedback},
	{http.MethodGet, "/{environment}/help/feedback.csv", SignedIn, false, (*Door).exportFeedbackCSV},
	{http.MethodGet, "/{environment}/help/feedback.json", SignedIn, false, (*Door).exportFeedbackJSON},
	{http.MethodGet, "/{environment}/help-articles", SignedIn, false, (*Door).showOwnArticles},
	{http.MethodGet, "/{environment}/help-articles/new", SignedIn, false, (*Door).showNewArticle},
	{http.MethodPost, "/{environment}/help-articles/new", SignedIn, false, (*Door).submitArticle},
	{http.MethodGet, "/{environment}/help-articles/{article}", SignedIn, false, (*Door).showArticleForm},
	{http.MethodPost, "/{environment}/help-articles/{article}", SignedIn, false, (*Door).submitArticle},
}

// helpedCookie recognises a browser that has given feedback.
const (
	helpedCookie = "helped"
	helpedFor    = 365 * 24 * time.Hour
)

func (v *visit) helpPage() templates.Page {
	p := v.page()
	p.Nav.Current = "help"
	return p
}

// helpBase is what links in articles are relative to.
func (v *visit) helpBase() string { return v.at("help") + "/" }

// author names the environment where an article is its own.
func (v *visit) author(a help.Article) string {
	if a.Own {
		return v.env.Name
	}
	return ""
}

func (d *Door) showHelp(v *visit) error {
	query := cut(strings.TrimSpace(v.r.URL.Query().Get("q")), 100)
	found, err := d.Help.Articles(v.ctx(), v.actor(), v.env, query)
	if err != nil {
		return err
	}
	page := templates.Help{Page: v.helpPage(), Query: query, MayWrite: access.May(v.actor(), v.env.ID, access.WriteHelp)}
	page.Flash = v.takeFlash().Words
	for _, a := range found {
		page.Articles = append(page.Articles, templates.HelpItem{
			URL: v.at("help", a.Name), Title: a.Title, Summary: a.Summary, For: whom(a), From: v.author(a),
		})
	}
	return v.show(http.StatusOK, templates.HelpPage(page))
}

// whom an article speaks to, in words; nothing where it is everybody.
func whom(a help.Article) string {
	switch {
	case a.Own && a.Audience == help.Admins:
		return "administrators"
	case a.ForEverybody():
		return ""
	default:
		return a.For
	}
}

func (d *Door) showArticle(v *visit) error {
	f, err := d.feedback(v)
	if err != nil {
		return err
	}
	return d.article(v, http.StatusOK, v.helpPage(), f)
}

// article shows an article with the question under it in some state.
func (d *Door) article(v *visit, status int, p templates.Page, f templates.HelpFeedback) error {
	a, err := d.Help.Article(v.ctx(), v.actor(), v.env, v.r.PathValue("article"))
	if err != nil {
		return err
	}
	html, err := a.HTML(v.helpBase())
	if err != nil {
		return err
	}
	return v.show(status, templates.HelpArticlePage(templates.HelpArticle{
		Page: p, Name: a.Name, Title: a.Title, For: whom(a), From: v.author(a), HTML: html, ChangedAt: a.ChangedAt, Draft: a.Draft(),
		MayEdit: a.Own && access.May(v.actor(), v.env.ID, access.WriteHelp), Feedback: f,
	}))
}

// submitFeedback takes Yes, No, and the reasons that follow No.
func (d *Door) submitFeedback(v *visit) error {
	if err := v.env.Paused(); err != nil {
		return err
	}
	o := help.Opinion{Helpful: v.form.Get("helpful") == "yes", Remark: v.form.Get("remark"), Proof: v.form.Get("altcha")}
	for _, r := range help.Reasons {
		if v.form.Get(reasonField(r.Reason)) != "" {
			o.Reasons = append(o.Reasons, r.Reason)
		}
	}
	feedback, err := d.feedback(v)
	if err != nil {
		return err
	}
	if !o.Helpful && v.form.Get("step") != "send" {
		return d.article(v, http.StatusOK, v.helpPage(), v.whyNot(feedback, o))
	}
	var browser string
	login := !o.Helpful && v.form.Get("login") != "" && !v.signedIn()
	if login {
		err = v.loginFirst(o)
	} else {
		browser, err = d.Help.Say(v.ctx(), v.helped(), v.env, v.r.PathValue("article"), o)
	}
	if f := fault.As(err); f != nil && len(f.Fields) > 0 {
		p := v.refused(f)
		p.Nav.Current = "help"
		if len(f.Fields) > 1 {
			p.Problem = "Nothing is sent yet."
		}
		return d.article(v, statuses[f.Kind], p, v.whyNot(feedback, o))
	}
	if err != nil || login {
		return err
	}
	if _, ok := v.keptAnswer(); ok {
		v.setCookie(keptCookie, "", 0)
	}
	v.setCookie(helpedCookie, browser, helpedFor)
	feedback.State = templates.FeedbackSent
	if o.Helpful {
		feedback.State = templates.FeedbackYes
	}
	return d.article(v, http.StatusOK, v.helpPage(), feedback)
}

// feedback is the question as it stands for this reader, who may have answered it before.
func (d *Door) feedback(v *visit) (templates.HelpFeedback, error) {
	e, err := d.Help.Earlier(v.ctx(), v.helped(), v.env, v.r.PathValue("article"))
	return templates.HelpFeedback{Answered: e.Answered, Remarked: e.Remarked}, err
}

func (v *visit) helped() help.Reader {
	return help.Reader{Actor: v.reader(), Browser: v.cookie(helpedCookie)}
}

// reader is the actor, with the network also of somebody who is not signed in.
func (v *visit) reader() access.Actor {
	a := v.actor()
	a.From = v.from()
	return a
}

func reasonField(r help.Reason) string { return "reason_" + string(r) }

// whyNot is the form after No, as far as it is filled in.
func (v *visit) whyNot(f templates.HelpFeedback, o help.Opinion) templates.HelpFeedback {
	f.State, f.Remark, f.Proof = templates.FeedbackReason, cut(o.Remark, help.MostRemark), !v.signedIn()
	for _, r := range help.Reasons {
		field := reasonField(r.Reason)
		f.Reasons = append(f.Reasons, templates.HelpReason{Field: field, Words: r.Words, Checked: slices.Contains(o.Reasons, r.Reason)})
	}
	return f
}

// helpChallenge gives the work that the widget asks its browser to do.
func (d *Door) helpChallenge(v *visit) error {
	c, err := d.Help.Challenge(v.env)
	if err != nil {
		return err
	}
	answerJSON(v.w, http.StatusOK, c)
	return nil
}

func (d *Door) helpPicture(v *visit) error {
	data, ok := help.Picture(v.r.PathValue("name"))
	if !ok {
		return fault.New(fault.NotFound, "There is no such picture.")
	}
	v.w.Header().Set("Content-Type", "image/png")
	v.w.Header().Set("Cache-Control", "public, max-age=86400")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(data) // the client may have left
	return nil
}
