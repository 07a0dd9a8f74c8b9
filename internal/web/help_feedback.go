package web

import (
	"bytes"
	"net/http"
	"net/url"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showFeedback(v *visit) error {
	feedback := v.at("help", "feedback")
	return d.feedbackOf(v, v.env, templates.HelpReport{
		Page: v.helpPage(), BackURL: v.at("help"), Back: "Help", CSVURL: feedback + ".csv", JSONURL: feedback + ".json",
	})
}

func (d *Door) feedbackOf(v *visit, env environment.Environment, page templates.HelpReport) error {
	report, err := d.Help.Feedback(v.ctx(), v.actor(), env)
	if err != nil {
		return err
	}
	articles := (&url.URL{Path: "/"}).JoinPath(env.Slug, "help")
	for _, t := range report.Tallies {
		tally := templates.HelpTally{URL: articles.JoinPath(t.Article).EscapedPath(), Title: t.Title, Yes: t.Yes, No: t.No}
		for _, r := range help.Reasons {
			if n := t.Reasons[r.Reason]; n > 0 {
				tally.Reasons = append(tally.Reasons, templates.HelpCount{Words: r.Words, N: n})
			}
		}
		page.Tallies = append(page.Tallies, tally)
	}
	for _, s := range report.Newest {
		said := templates.HelpSaid{Title: s.Title, At: s.At, Remark: s.Remark, SignedIn: s.SignedIn}
		for _, r := range s.Reasons {
			said.Reasons = append(said.Reasons, r.Words())
		}
		page.Said = append(page.Said, said)
	}
	return v.show(http.StatusOK, templates.HelpReportPage(page))
}

func (d *Door) exportFeedbackCSV(v *visit) error {
	return d.exportFeedback(v, v.env, help.CSV)
}

func (d *Door) exportFeedbackJSON(v *visit) error {
	return d.exportFeedback(v, v.env, help.JSON)
}

// exportFeedback answers only once the whole file is there, so that nobody keeps
// half of one.
func (d *Door) exportFeedback(v *visit, env environment.Environment, f help.Format) error {
	var b bytes.Buffer
	if err := d.Help.Export(v.ctx(), v.actor(), env, &b, f); err != nil {
		return err
	}
	kinds := map[help.Format]string{help.CSV: "text/csv; charset=utf-8", help.JSON: "application/json"}
	v.w.Header().Set("Content-Type", kinds[f])
	v.w.Header().Set("Content-Disposition", `attachment; filename="feedback-`+env.Slug+`.`+string(f)+`"`)
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(b.Bytes()) // the client may have left
	return nil
}
