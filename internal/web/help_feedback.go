package web

import (
	"bytes"
	"net/http"

	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/web/templates"
)

func (d *Door) showFeedback(v *visit) error {
	report, err := d.Help.Feedback(v.ctx(), v.actor(), v.env)
	if err != nil {
		return err
	}
	page := templates.HelpReport{Page: v.helpPage()}
	for _, t := range report.Tallies {
		tally := templates.HelpTally{URL: v.at("help", t.Article), Title: t.Title, Yes: t.Yes, No: t.No}
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
	return d.exportFeedback(v, help.CSV, "text/csv; charset=utf-8")
}

func (d *Door) exportFeedbackJSON(v *visit) error {
	return d.exportFeedback(v, help.JSON, "application/json")
}

// exportFeedback answers only once the whole file is there, so that nobody keeps
// half of one.
func (d *Door) exportFeedback(v *visit, f help.Format, kind string) error {
	var b bytes.Buffer
	if err := d.Help.Export(v.ctx(), v.actor(), v.env, &b, f); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", `attachment; filename="feedback-`+v.env.Slug+`.`+string(f)+`"`)
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(b.Bytes()) // the client may have left
	return nil
}
