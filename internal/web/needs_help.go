package web

import (
	"net/http"

	"github.com/sparekey/sparekey/internal/web/templates"
)

// showNeedsHelp is the queue of those whose recovery is stuck.
func (d *Door) showNeedsHelp(v *visit) error {
	rows, err := d.UserManager.NeedsHelp(v.ctx(), v.actor(), v.env)
	if err != nil {
		return err
	}
	page := templates.NeedsHelp{Page: v.page()}
	page.Flash = v.takeFlash().Words
	page.Nav.Current = "needs-help"
	for _, r := range rows {
		row := v.row(r)
		if row.Why.Words == "" {
			row.Why = sentenceOf(r)
		}
		if row.Why.Words == "" {
			row.Why.Words = "Asked for help: " + string(r.Case.Why) + "."
		}
		page.People = append(page.People, templates.Stuck{UserRow: row, Since: r.Case.Since, Opened: string(r.Case.Why)})
	}
	return v.show(http.StatusOK, templates.NeedsHelpPage(page))
}
