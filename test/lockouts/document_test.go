package lockouts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository, seen from here.
const root = "../.."

// compare holds the document of this run against the committed one, or writes it
// where SPAREKEY_LOCKOUTS says.
func compare(t *testing.T, text string) {
	t.Helper()
	if to := os.Getenv("SPAREKEY_LOCKOUTS"); to != "" {
		if !filepath.IsAbs(to) {
			to = filepath.Join(root, to)
		}
		require.NoError(t, os.WriteFile(to, []byte(text), 0o644))
		return
	}
	committed, err := os.ReadFile(filepath.Join(root, "docs", "lockouts.md"))
	require.NoError(t, err)
	require.Equal(t, string(committed), text, "the document is not what the run tells: SPAREKEY_LOCKOUTS=docs/lockouts.md go test ./test/lockouts")
}

const preface = `# Lock-outs, and how they end

The ways people are locked out of an account, each played from outside over SMTP and HTTP by ` + "`go test ./test/lockouts`" + `, which also writes this page. In each the person ends logged in, or is refused and told why; an administrator needs at most three clicks.

A click is a link followed, something chosen in a dropdown, or a button pressed. The administrator starts signed in, in the User Manager; typing into the search field is none. What the two read is the run's own text; TIME stands for a time of day, and the case number is always the same here. *Waited* is time that had to pass by the server's clock. Where the administrator reads and presses nothing, nobody had to help.
`

// document tells all lock-outs in the order of the table.
func document(told map[string]record) string {
	var b strings.Builder
	b.WriteString(preface)
	n, alone, helped, refusals := 0, 0, 0, 0
	var body strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&body, "\n## %s\n\n| | Cause | The person reads | The administrator reads | and presses | Clicks | Waited | The person is |\n| --: | --- | --- | --- | --- | --: | --- | --- |\n", g.Title)
		for _, l := range g.LockOuts {
			r := told[l.Cause]
			n++
			switch {
			case r.end == refused:
				refusals++
			case r.clicks == 0:
				alone++
			default:
				helped++
			}
			fmt.Fprintf(&body, "| %d | %s | %s | %s | %s | %d | %s | %s |\n", n, l.Cause, cell(r.user, "“", "”", "<br>"), cell(r.admin, "“", "”", "<br>"),
				cell(r.presses, "**", "**", " → "), r.clicks, span(r.waited), r.end)
		}
	}
	fmt.Fprintf(&b, "\n%d lock-outs: in %d the person gets in without anybody's help, in %d with an administrator's, and %d are rightly refused.\n", n, alone, helped, refusals)
	b.WriteString(body.String())
	return b.String()
}

func cell(parts []string, open, end, between string) string {
	if len(parts) == 0 {
		return ""
	}
	var all []string
	for _, p := range parts {
		all = append(all, open+strings.ReplaceAll(p, "|", "\\|")+end)
	}
	return strings.Join(all, between)
}
