package help

import (
	"bytes"
	"embed"
	"fmt"
	"image/png"
	"path"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/folding"
)

//go:embed articles/*.md
var articleFiles embed.FS

// The pictures are made from the running product by the command that
// docs/screenshots/README.md names, light and dark.
//
//go:embed pictures/*.png
var pictureFiles embed.FS

type ours struct {
	Article
	text   *template.Template // of what is true under a policy
	folded string             // title and text, for searching
}

// rules are what our articles say of an environment's policy.
type rules struct {
	LinkLife, InvitationLife string // in words
	LinksOff, Mint           bool   // see environment.AdminLinks
}

// under gives the text as it is true under a policy.
func (a ours) under(p environment.Policy) (string, error) {
	var b strings.Builder
	err := a.text.Execute(&b, rules{
		LinkLife: spanWords(p.LinkLife), InvitationLife: spanWords(p.InvitationLife),
		LinksOff: p.AdminLinks == environment.Off, Mint: p.AdminLinks == environment.Mint,
	})
	return b.String(), err
}

func spanWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "a day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d == time.Hour:
		return "an hour"
	case d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	default:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
}

// order is how the list shows our articles.
var order = []string{"cannot-reset-password", "mail-did-not-arrive", "no-mail", "link-does-not-work", "code", "choose-a-password"}

var (
	builtIn  = readArticles()
	pictures = readPictures()
)

func readArticles() []ours {
	all := make([]ours, len(order))
	for i, name := range order {
		text, err := articleFiles.ReadFile("articles/" + name + ".md")
		if err != nil {
			panic(err) // the program was built without it
		}
		all[i] = readArticle(name, string(text))
	}
	return all
}

// readArticle reads a file: lines "name: value", an empty line, Markdown with
// what depends on the policy.
func readArticle(name, file string) ours {
	head, text, _ := strings.Cut(file, "\n\n")
	a := ours{Article: Article{Name: name, Audience: Everyone}, text: template.Must(template.New(name).Parse(text))}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "title":
			a.Title = value
		case "summary":
			a.Summary = value
		case "for":
			a.For = value
		case "modified":
			day, err := time.Parse(time.DateOnly, value)
			if err != nil {
				panic(fmt.Sprintf("help article %s: %v", name, err))
			}
			a.ChangedAt = day
		default:
			panic(fmt.Sprintf("help article %s: %q in its head", name, line))
		}
	}
	usual, err := a.under(environment.Standard())
	if err != nil {
		panic(err)
	}
	a.folded = folding.Fold(a.Title + " " + a.Summary + " " + usual)
	return a
}

func builtInNamed(name string) (ours, bool) {
	i := slices.IndexFunc(builtIn, func(a ours) bool { return a.Name == name })
	if i < 0 {
		return ours{}, false
	}
	return builtIn[i], true
}

// picture is one of ours, with its size on the page so that nothing jumps while
// it loads; the file has two pixels for one.
type picture struct {
	data          []byte
	width, height int
}

func readPictures() map[string]picture {
	all := map[string]picture{}
	entries, err := pictureFiles.ReadDir("pictures")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		data, err := pictureFiles.ReadFile(path.Join("pictures", e.Name()))
		if err != nil {
			panic(err)
		}
		size, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			panic(fmt.Sprintf("help picture %s: %v", e.Name(), err))
		}
		all[e.Name()] = picture{data, size.Width / 2, size.Height / 2}
	}
	return all
}

// Picture gives the PNG of that name.
func Picture(name string) ([]byte, bool) {
	p, ok := pictures[name]
	return p.data, ok
}
