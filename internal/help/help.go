// Package help is about the articles that help people who are stuck: ours, which
// are in the program, and those that an environment's Client Admins write; and
// about what readers say of them.
//
// All articles are Markdown and go one way to the page: markdown.go renders and
// sanitises. Whoever is locked out may read, so reading needs no session.
package help

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/keyring"
)

// Help holds what its verbs need.
type Help struct {
	DB   *db.DB
	Ring *keyring.Ring
	// NoLimits lifts the limit of feedback from one network, for load tests.
	NoLimits bool
}

// Audience is who may read an article of an environment's own.
type Audience string

// The audiences.
const (
	Everyone Audience = "everyone" // also without a session: people who are locked out
	Admins   Audience = "admins"   // the help desk and Client Admins
)

// Article is one article.
type Article struct {
	Name      string // its place in addresses
	Title     string
	Summary   string // one sentence
	Text      string // Markdown
	For       string // whom it speaks to, in words; may be empty
	Audience  Audience
	Own       bool // written by the environment's Client Admins
	ChangedAt time.Time
	// Of own articles only.
	ChangedBy   string
	PublishedAt time.Time // zero: a draft
}

// Draft tells whether only those who write articles see it.
func (a Article) Draft() bool { return a.Own && a.PublishedAt.IsZero() }

// ForEverybody tells whether it speaks to all, and not to administrators alone.
func (a Article) ForEverybody() bool { return a.For == "" || a.For == "everybody" }

// mostWords bounds the words of a search.
const mostWords = 6

// Articles gives the articles that the viewer may read and that hold every word,
// those first that have them in the title; administrators' articles come last for
// others. Viewer is zero for somebody who is not
// signed in. Texts are left out.
func (h *Help) Articles(ctx context.Context, viewer access.Actor, env environment.Environment, search string) ([]Article, error) {
	words := wordsOf(search)
	var found []Article
	for _, a := range builtIn {
		if holds(a.folded, words) {
			found = append(found, a.Article)
		}
	}
	var own []row
	err := h.DB.View(ctx, func(tx *db.Tx) (err error) {
		own, err = published(tx, env.ID, words)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range own {
		if a := r.article(); mayRead(viewer, env, a) {
			found = append(found, a)
		}
	}
	for i := range found {
		found[i].Text = ""
	}
	if !access.May(viewer, env.ID, access.OpenUserManager) { // who is locked out first finds what is for them
		slices.SortStableFunc(found, func(a, b Article) int {
			switch {
			case a.ForEverybody() == b.ForEverybody():
				return 0
			case a.ForEverybody():
				return -1
			default:
				return 1
			}
		})
	}
	if len(words) > 0 {
		slices.SortStableFunc(found, func(a, b Article) int { return cmp.Compare(inTitle(b, words), inTitle(a, words)) })
	}
	return found, nil
}

// wordsOf splits what somebody searches for; the signs around a word, such as
// quotes and a question mark, are not part of it.
func wordsOf(search string) []string {
	words := strings.Fields(folding.Fold(search))
	for i, w := range words {
		bare := strings.TrimFunc(w, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsNumber(c) })
		if bare != "" {
			words[i] = bare
		}
	}
	return words[:min(len(words), mostWords)]
}

func holds(folded string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(folded, w) })
}

// inTitle is how many of the words the title has.
func inTitle(a Article, words []string) int {
	n, title := 0, folding.Fold(a.Title)
	for _, w := range words {
		if strings.Contains(title, w) {
			n++
		}
	}
	return n
}

// Article gives one article to read; NotFound if there is none, or none that the
// viewer may read. Who writes articles also reads drafts.
func (h *Help) Article(ctx context.Context, viewer access.Actor, env environment.Environment, name string) (Article, error) {
	if a, ok := builtInNamed(name); ok {
		text, err := a.under(env.Policy)
		a.Text = text
		return a.Article, err
	}
	var a Article
	err := h.DB.View(ctx, func(tx *db.Tx) (err error) {
		a, err = find(tx, env.ID, name)
		return err
	})
	if err == nil && !mayRead(viewer, env, a) {
		err = noArticle()
	}
	return a, err
}

func mayRead(viewer access.Actor, env environment.Environment, a Article) bool {
	switch {
	case !a.Own:
		return true
	case a.Draft():
		return access.May(viewer, env.ID, access.WriteHelp)
	default:
		return a.Audience == Everyone || access.May(viewer, env.ID, access.OpenUserManager)
	}
}

func noArticle() error {
	return fault.New(fault.NotFound, "There is no such help article. Search for what you need, or look at the list.")
}
