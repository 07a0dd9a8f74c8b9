package web

import (
	"net/http"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showOwnArticles(v *visit) error {
	all, err := d.Help.Own(v.ctx(), v.actor(), v.env)
	if err != nil {
		return err
	}
	page := templates.HelpOwn{Page: v.helpPage()}
	page.Flash = v.takeFlash().Words
	for _, a := range all {
		page.Articles = append(page.Articles, templates.HelpOwnItem{
			Name: a.Name, Title: a.Title, Draft: a.Draft(), Admins: a.Audience == help.Admins, ChangedAt: a.ChangedAt, ChangedBy: a.ChangedBy,
		})
	}
	return v.show(http.StatusOK, templates.HelpOwnPage(page))
}

func (v *visit) articleForm(p templates.Page, d help.Draft) templates.HelpWrite {
	p.Nav.Current = "help"
	return templates.HelpWrite{
		Page: p, TitleOf: d.Title, Text: d.Text, Audience: string(d.Audience), Published: d.Publish, MostTitle: help.MostTitle, MostText: help.MostText,
	}
}

func (d *Door) showNewArticle(v *visit) error {
	if err := access.Check(v.actor(), v.env.ID, access.WriteHelp); err != nil {
		return err
	}
	return v.show(http.StatusOK, templates.HelpWritePage(v.articleForm(v.page(), help.Draft{Audience: help.Everyone})))
}

func (d *Door) showArticleForm(v *visit) error {
	a, err := d.Help.Edit(v.ctx(), v.actor(), v.env, v.r.PathValue("article"))
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, templates.HelpWritePage(v.formOf(v.page(), a, help.Draft{Title: a.Title, Text: a.Text, Audience: a.Audience})))
}

// formOf is the form of an article that is stored, filled in with a draft.
func (v *visit) formOf(p templates.Page, a help.Article, d help.Draft) templates.HelpWrite {
	f := v.articleForm(p, d)
	if a.Name != "" {
		f.Name, f.ArticleTo, f.Published = a.Name, v.at("help", a.Name), !a.Draft()
	}
	return f
}

// submitArticle previews, saves or deletes an article; a new one has no name yet.
func (d *Door) submitArticle(v *visit) error {
	var a help.Article
	if name := v.r.PathValue("article"); name != "" {
		var err error
		if a, err = d.Help.Edit(v.ctx(), v.actor(), v.env, name); err != nil {
			return err
		}
	}
	draft := help.Draft{Title: v.form.Get("title"), Text: v.form.Get("text"), Audience: help.Audience(v.form.Get("audience")), Publish: v.form.Get("do") == "publish"}
	switch v.form.Get("do") {
	case "delete":
		return d.deleteArticle(v, a)
	case "preview":
		html, err := d.Help.Preview(v.actor(), v.env, draft, v.helpBase())
		if err != nil {
			return d.refuseArticle(v, a, draft, err)
		}
		f := v.formOf(v.page(), a, draft)
		f.Preview = html
		return v.show(http.StatusOK, templates.HelpWritePage(f))
	}
	saved, err := d.Help.Write(v.ctx(), v.actor(), v.env, a.Name, draft)
	if err != nil {
		return d.refuseArticle(v, a, draft, err)
	}
	words := "“" + saved.Title + "” is published."
	if !draft.Publish {
		words = "“" + saved.Title + "” is saved as a draft. Only Client Admins see it."
	}
	v.flash(flash{Words: words})
	return v.redirect(v.at("help-articles"))
}

// refuseArticle shows the form as it was filled in, with what is wrong.
func (d *Door) refuseArticle(v *visit, a help.Article, draft help.Draft, err error) error {
	f := fault.As(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	return v.show(statuses[f.Kind], templates.HelpWritePage(v.formOf(v.refused(f), a, draft)))
}

func (d *Door) deleteArticle(v *visit, a help.Article) error {
	if a.Name == "" {
		return fault.New(fault.Conflict, "This article is not saved yet, so there is nothing to delete.")
	}
	if v.form.Get("confirm") != "yes" {
		p := v.helpPage()
		return v.show(http.StatusOK, templates.ConfirmPage(templates.Confirm{
			Page: p, Heading: "Delete “" + a.Title + "”", Sentence: "The article goes, with what readers said of it.",
			What:   []string{"It cannot be brought back. To hide it for now, take it back into draft."},
			Action: v.at("help-articles", a.Name), Fields: []templates.Hidden{{Name: "do", Value: "delete"}, {Name: "confirm", Value: "yes"}},
			Button: "Delete the article", CancelURL: v.at("help-articles", a.Name), UpWords: a.Title,
		}))
	}
	if err := d.Help.Delete(v.ctx(), v.actor(), v.env, a.Name); err != nil {
		return err
	}
	v.flash(flash{Words: "“" + a.Title + "” is deleted."})
	return v.redirect(v.at("help-articles"))
}
