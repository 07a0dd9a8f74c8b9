package lockouts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/testkit"
)

const month = `(?:January|February|March|April|May|June|July|August|September|October|November|December)`

var (
	timeElement = regexp.MustCompile(`(?s)<time[^>]*>.*?</time>`)
	timeWritten = regexp.MustCompile(`(?:\d{1,2} ` + month + `(?: \d{4})?(?: at|,)? )?\d\d:\d\d [A-Z]{3,4}(?: on \d{1,2} ` + month + `)?`)
	caseWritten = regexp.MustCompile(`Case ([0-9A-HJKMNP-TV-Z]{6})\b`)
)

// stillCase is the case number of the document.
const stillCase = "4F7K2M"

// words are what a person reads on a page, with each time as TIME and the case
// number as one and the same, so that two runs read alike.
func words(p *testkit.Page) string {
	root, err := html.Parse(strings.NewReader(timeElement.ReplaceAllString(p.Body, " TIME ")))
	if err != nil {
		return ""
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "head" || n.Data == "script" || n.Data == "style" || n.Data == "svg") {
			return
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	return still(b.String())
}

func still(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = timeWritten.ReplaceAllString(text, "TIME")
	text = caseWritten.ReplaceAllString(text, "Case "+stillCase)
	return strings.NewReplacer(" .", ".", " ,", ",", " :", ":", " ;", ";").Replace(text)
}

// span writes how long something took by the clock.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	switch {
	case d == 0:
		return "none"
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + " days"
	case hours == 0:
		return fmt.Sprintf("%d min", minutes)
	case minutes == 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
}
