package help

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
)

// The limits of own articles, in characters but for mostOwn.
const (
	MostTitle = 120
	MostText  = 20_000
	mostOwn   = 200
)

// Draft is what a Client Admin types.
type Draft struct {
	Title, Text string
	Audience    Audience
	Publish     bool
}

func (d *Draft) check() error {
	d.Title = strings.Join(strings.Fields(d.Title), " ")
	d.Text = strings.TrimSpace(strings.ReplaceAll(d.Text, "\r\n", "\n"))
	var fields []fault.Field
	refuse := func(name, reason string) { fields = append(fields, fault.Field{Name: name, Reason: reason}) }
	if n := utf8.RuneCountInString(d.Title); n == 0 || n > MostTitle || strings.ContainsFunc(d.Title, unicode.IsControl) {
		refuse("title", fmt.Sprintf("A title has 1 to %d characters.", MostTitle))
	}
	switch n := utf8.RuneCountInString(d.Text); {
	case n == 0:
		refuse("text", "An article needs a text.")
	case n > MostText:
		refuse("text", fmt.Sprintf("A text has at most %d characters; this one has %d. Make two articles of it.", MostText, n))
	}
	if d.Audience != Everyone && d.Audience != Admins {
		refuse("audience", "Choose who may read the article.")
	}
	if len(fields) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Sentence: "Nothing is saved yet.", Fields: fields}
}

// row is an article of an environment's own as it is stored.
type row struct {
	Name        string    `db:"name"`
	Title       string    `db:"title"`
	Text        string    `db:"text"`
	Audience    Audience  `db:"audience"`
	ChangedAt   time.Time `db:"changed_at"`
	ChangedBy   string    `db:"changed_by"`
	PublishedAt time.Time `db:"published_at"`
}

const columns = "name, title, text, audience, changed_at, changed_by, published_at"

func (r row) article() Article {
	return Article{
		Name: r.Name, Title: r.Title, Summary: firstSentence(r.Text), Text: r.Text, Audience: r.Audience, Own: true,
		ChangedAt: r.ChangedAt, ChangedBy: r.ChangedBy, PublishedAt: r.PublishedAt,
	}
}

var marks = regexp.MustCompile("^[ #>|]+|[*_`]+|!?\\[|\\]\\([^)]*\\)|\\]|<[^>]*>")

// firstSentence gives the beginning of a text without its marks, for the list.
func firstSentence(text string) string {
	for line := range strings.SplitSeq(text, "\n") {
		heading := strings.HasPrefix(line, "#")
		line = strings.Join(strings.Fields(marks.ReplaceAllString(line, "")), " ")
		if heading || line == "" {
			continue
		}
		if r := []rune(line); len(r) > 160 {
			return strings.TrimSpace(string(r[:159])) + "…"
		}
		return line
	}
	return ""
}

func find(tx *db.Tx, env id.Environment, name string) (Article, error) {
	r, err := db.One[row](tx, "SELECT "+columns+" FROM help_articles WHERE environment_id = $1 AND name = $2", env, name)
	if errors.Is(err, db.ErrNone) {
		return Article{}, noArticle()
	}
	return r.article(), err
}

// published gives the own articles that hold every word. Their number and size
// are bounded, so looking through them costs a few milliseconds.
func published(tx *db.Tx, env id.Environment, words []string) ([]row, error) {
	query := "SELECT " + columns + " FROM help_articles WHERE environment_id = $1 AND published_at IS NOT NULL"
	args := []any{env}
	for _, w := range words {
		args = append(args, db.Containing(w))
		query += fmt.Sprintf(` AND search_text LIKE $%d ESCAPE '\'`, len(args))
	}
	return db.All[row](tx, query+" ORDER BY title, name", args...)
}

// Own gives all articles of the environment's own, drafts too, to those who write them.
func (h *Help) Own(ctx context.Context, actor access.Actor, env environment.Environment) ([]Article, error) {
	if err := access.Check(actor, env.ID, access.WriteHelp); err != nil {
		return nil, err
	}
	var rows []row
	err := h.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = db.All[row](tx, "SELECT "+columns+" FROM help_articles WHERE environment_id = $1 ORDER BY title, name", env.ID)
		return err
	})
	all := make([]Article, len(rows))
	for i, r := range rows {
		all[i] = r.article()
	}
	return all, err
}

// Preview renders a draft that is not saved, under the base of HTML. Faults are
// those of Write.
func (h *Help) Preview(actor access.Actor, env environment.Environment, d Draft, base string) (string, error) {
	if err := access.Check(actor, env.ID, access.WriteHelp); err != nil {
		return "", err
	}
	if err := d.check(); err != nil {
		return "", err
	}
	return Article{Text: d.Text, Own: true}.HTML(base)
}

// Edit gives an article of the environment's own to somebody who writes them.
func (h *Help) Edit(ctx context.Context, actor access.Actor, env environment.Environment, name string) (Article, error) {
	if err := access.Check(actor, env.ID, access.WriteHelp); err != nil {
		return Article{}, err
	}
	a, err := h.Article(ctx, actor, env, name)
	if err == nil && !a.Own {
		err = fault.New(fault.NotFound, "This article comes with the program and cannot be changed. Write one of your own.")
	}
	return a, err
}

// Write saves an article; an empty name makes a new one, whose name comes from
// its title. Faults are about the fields "title", "text" and "audience".
func (h *Help) Write(ctx context.Context, actor access.Actor, env environment.Environment, name string, d Draft) (Article, error) {
	if err := access.Check(actor, env.ID, access.WriteHelp); err != nil {
		return Article{}, err
	}
	if err := d.check(); err != nil {
		return Article{}, err
	}
	var a Article
	err := h.DB.Update(ctx, func(tx *db.Tx) (err error) {
		if name == "" {
			a, err = add(tx, env.ID, d, actor)
		} else {
			a, err = change(tx, env.ID, name, d, actor)
		}
		if err != nil {
			return err
		}
		state := "draft"
		if d.Publish {
			state = "published"
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.HelpWritten, Actor: actor, Detail: audit.Detail{"article": a.Name, "state": state}})
	})
	return a, err
}

func add(tx *db.Tx, env id.Environment, d Draft, by access.Actor) (Article, error) {
	n, err := db.One[int](tx, "SELECT count(*) FROM help_articles WHERE environment_id = $1", env)
	if err != nil {
		return Article{}, err
	}
	if n >= mostOwn {
		return Article{}, fault.New(fault.Conflict, "There are %d articles already, as many as an environment may have. Delete one first.", mostOwn)
	}
	for try := 1; try <= mostOwn+len(order)+1; try++ {
		name := nameOf(d.Title, try)
		if _, taken := builtInNamed(name); taken {
			continue
		}
		n, err := tx.Exec(`INSERT INTO help_articles (environment_id, name, title, text, search_text, audience, made_at, changed_at, changed_by, published_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9) ON CONFLICT (environment_id, name) DO NOTHING`,
			env, name, d.Title, d.Text, folded(d), d.Audience, tx.Now(), by.Name, publishedAt(tx, d))
		if err != nil {
			return Article{}, err
		}
		if n == 1 {
			return find(tx, env, name)
		}
	}
	return Article{}, fault.InvalidField("title", "There are many articles of this title already. Choose another.")
}

func change(tx *db.Tx, env id.Environment, name string, d Draft, by access.Actor) (Article, error) {
	n, err := tx.Exec(`UPDATE help_articles SET title = $3, text = $4, search_text = $5, audience = $6, changed_at = $7, changed_by = $8,
		published_at = CASE WHEN $9 THEN COALESCE(published_at, $7) END WHERE environment_id = $1 AND name = $2`,
		env, name, d.Title, d.Text, folded(d), d.Audience, tx.Now(), by.Name, d.Publish)
	if err != nil {
		return Article{}, err
	}
	if n == 0 {
		return Article{}, noArticle()
	}
	return find(tx, env, name)
}

func folded(d Draft) string { return folding.Findable(d.Title + " " + d.Text) }

func publishedAt(tx *db.Tx, d Draft) time.Time {
	if d.Publish {
		return tx.Now()
	}
	return time.Time{}
}

// mostName bounds the name that a title gives.
const mostName = 60

// nameOf makes a name of a title: small letters, digits and hyphens. Titles in
// other scripts get a plain one.
func nameOf(title string, try int) string {
	var b strings.Builder
	for _, c := range folding.Fold(title) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= mostName {
			break
		}
	}
	name := strings.Trim(b.String(), "-")
	if name == "" || reserved[name] {
		name = strings.TrimSuffix("article-"+name, "-")
	}
	if try > 1 {
		name += fmt.Sprintf("-%d", try)
	}
	return name
}

// reserved are the addresses beside the articles.
var reserved = map[string]bool{"feedback": true, "challenge": true}

// Delete removes an article of the environment's own, with what readers said of it.
func (h *Help) Delete(ctx context.Context, actor access.Actor, env environment.Environment, name string) error {
	if err := access.Check(actor, env.ID, access.WriteHelp); err != nil {
		return err
	}
	return h.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("DELETE FROM help_articles WHERE environment_id = $1 AND name = $2", env.ID, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return noArticle()
		}
		if _, err := tx.Exec("DELETE FROM help_feedback WHERE environment_id = $1 AND article = $2", env.ID, name); err != nil {
			return err
		}
		return audit.Record(tx, env.ID, audit.Event{Kind: audit.HelpDeleted, Actor: actor, Detail: audit.Detail{"article": name}})
	})
}
