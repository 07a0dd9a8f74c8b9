package help

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/spreadsheet"
)

// Said is why an article did not help one reader. It names nobody.
type Said struct {
	Title    string // of the article; its name where it is no more
	At       time.Time
	Reasons  []Reason
	Remark   string
	SignedIn bool
}

// Tally is what all readers of an article say.
type Tally struct {
	Article, Title string
	Yes, No        int
	Reasons        map[Reason]int
}

// Report is the feedback of an environment.
type Report struct {
	Tallies []Tally // of every article that has feedback, most No first
	Newest  []Said  // that say No, newest first
}

// shown is how many remarks the page has; the export has all.
const shown = 50

type saidRow struct {
	Article  string    `db:"article"`
	At       time.Time `db:"at"`
	Helpful  bool      `db:"helpful"`
	Reasons  string    `db:"reasons"`
	Remark   string    `db:"remark"`
	SignedIn bool      `db:"signed_in"`
}

const saidColumns = "article, at, helpful, reasons, remark, signed_in"

// Feedback gives what readers say, to those who may see it. What has no reasons
// and no remark is only counted, so the page costs as much as there are articles
// and kinds of answer.
func (h *Help) Feedback(ctx context.Context, actor access.Actor, env environment.Environment) (Report, error) {
	if err := access.Check(actor, env.ID, access.SeeFeedback); err != nil {
		return Report{}, err
	}
	var report Report
	err := h.DB.View(ctx, func(tx *db.Tx) error {
		titles, err := titles(tx, env.ID)
		if err != nil {
			return err
		}
		if report.Tallies, err = tallies(tx, env.ID, titles); err != nil {
			return err
		}
		newest, err := db.All[saidRow](tx, "SELECT "+saidColumns+` FROM help_feedback
			WHERE environment_id = $1 AND helpful = FALSE ORDER BY at DESC, article, reader LIMIT $2`, env.ID, shown)
		report.Newest = nil
		for _, r := range newest {
			report.Newest = append(report.Newest, r.said(titles))
		}
		return err
	})
	return report, err
}

func (r saidRow) said(titles map[string]string) Said {
	return Said{
		Title: titleOf(titles, r.Article), At: r.At, Reasons: split(r.Reasons), Remark: r.Remark, SignedIn: r.SignedIn,
	}
}

func split(names string) []Reason {
	all := []Reason{} // in JSON a list, also an empty one
	for name := range strings.SplitSeq(names, ",") {
		if name != "" {
			all = append(all, Reason(name))
		}
	}
	return all
}

func titleOf(titles map[string]string, name string) string {
	if t := titles[name]; t != "" {
		return t
	}
	return name
}

func titles(tx *db.Tx, env id.Environment) (map[string]string, error) {
	all := map[string]string{}
	for _, a := range builtIn {
		all[a.Name] = a.Title
	}
	type named struct {
		Name  string `db:"name"`
		Title string `db:"title"`
	}
	own, err := db.All[named](tx, "SELECT name, title FROM help_articles WHERE environment_id = $1", env)
	for _, a := range own {
		all[a.Name] = a.Title
	}
	return all, err
}

func tallies(tx *db.Tx, env id.Environment, titles map[string]string) ([]Tally, error) {
	type group struct {
		Article string `db:"article"`
		Helpful bool   `db:"helpful"`
		Reasons string `db:"reasons"`
		N       int    `db:"n"`
	}
	groups, err := db.All[group](tx, `SELECT article, helpful, reasons, count(*) AS n FROM help_feedback
		WHERE environment_id = $1 GROUP BY article, helpful, reasons ORDER BY article`, env)
	var all []Tally
	for _, g := range groups {
		if len(all) == 0 || all[len(all)-1].Article != g.Article {
			all = append(all, Tally{Article: g.Article, Title: titleOf(titles, g.Article), Reasons: map[Reason]int{}})
		}
		t := &all[len(all)-1]
		if g.Helpful {
			t.Yes += g.N
			continue
		}
		t.No += g.N
		for _, r := range split(g.Reasons) {
			t.Reasons[r] += g.N
		}
	}
	return all, err
}

// Format is how feedback is exported.
type Format string

// The formats of Export.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// Answer is one reader's feedback in an export; docs/reference.md names the fields.
type Answer struct {
	Environment string    `json:"environment"`
	Article     string    `json:"article"`
	At          time.Time `json:"at"`
	Helpful     bool      `json:"helpful"`
	Reasons     []Reason  `json:"reasons"`
	Remark      string    `json:"remark"`
	SignedIn    bool      `json:"signed_in"`
}

// Answers gives every answer of an environment in the order of time. Visit runs
// inside a read transaction, which holds nobody up.
func (h *Help) Answers(ctx context.Context, actor access.Actor, env environment.Environment, visit func(Answer) error) error {
	if err := access.Check(actor, env.ID, access.SeeFeedback); err != nil {
		return err
	}
	return h.DB.View(ctx, func(tx *db.Tx) error {
		for r, err := range db.Each[saidRow](tx, "SELECT "+saidColumns+" FROM help_feedback WHERE environment_id = $1 ORDER BY at, article, reader", env.ID) {
			if err != nil {
				return err
			}
			if err := visit(Answer{env.Slug, r.Article, r.At.UTC(), r.Helpful, split(r.Reasons), r.Remark, r.SignedIn}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Export writes the answers: CSV with a head, or a JSON list.
func (h *Help) Export(ctx context.Context, actor access.Actor, env environment.Environment, w io.Writer, f Format) error {
	if f == CSV {
		return h.exportCSV(ctx, actor, env, w)
	}
	out := bufio.NewWriter(w)
	before := "["
	err := h.Answers(ctx, actor, env, func(a Answer) error {
		text, err := json.Marshal(a)
		if err == nil {
			_, err = out.WriteString(before + "\n" + string(text))
		}
		before = ","
		return err
	})
	if err != nil {
		return err
	}
	if before == "[" {
		_, err = out.WriteString("[")
	}
	_, more := out.WriteString("\n]\n")
	return errors.Join(err, more, out.Flush())
}

func (h *Help) exportCSV(ctx context.Context, actor access.Actor, env environment.Environment, w io.Writer) error {
	table := csv.NewWriter(w)
	if err := table.Write([]string{"environment", "article", "at", "helpful", "reasons", "remark", "signed_in"}); err != nil {
		return err
	}
	err := h.Answers(ctx, actor, env, func(a Answer) error {
		return table.Write([]string{
			a.Environment, a.Article, a.At.Format(time.RFC3339), strconv.FormatBool(a.Helpful), joined(a.Reasons),
			spreadsheet.Guard(a.Remark), strconv.FormatBool(a.SignedIn),
		})
	})
	table.Flush()
	return errors.Join(err, table.Error())
}
