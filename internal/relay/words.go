package relay

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

const (
	maxReply        = 2 << 10
	maxConversation = 8 << 10
)

var (
	// A server may quote our mail back at us. Long runs of letters and digits are
	// our links; queue ids and Message-IDs are shorter or have hyphens.
	linkLike = regexp.MustCompile(`(?i)(/(?:reset-password|not-me|invitation|confirm|account)/)[^\s<>"'\])]+|[0-9a-z]{26,}`)
	// The number of a SIZE parameter (RFC 1870) is as long as a code of ours may be.
	codeLike = regexp.MustCompile(`(250[- ]SIZE |\bSIZE=)?\b[0-9]{8}\b`)
)

const removed = "[removed]"

// clean makes a server's words fit for storing and showing: valid UTF-8, one
// line, nothing invisible, no links or codes of ours.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = linkLike.ReplaceAllString(s, "${1}"+removed)
	s = codeLike.ReplaceAllStringFunc(s, func(found string) string {
		if len(found) > 8 {
			return found
		}
		return removed
	})
	return strings.TrimRight(s, " ")
}

// hiding gives what takes secrets out of a server's words, in the forms in which
// servers quote them: plain, with percent signs, in base64, in hexadecimal digits.
// Of secrets shorter than three bytes a word might be made by chance; they stay.
func hiding(secrets ...string) func(string) string {
	var forms []string
	for _, s := range secrets {
		if len(s) < 3 {
			continue
		}
		var quoted, digits strings.Builder
		for _, r := range s {
			percent := strings.Builder{}
			for _, b := range []byte(string(r)) {
				fmt.Fprintf(&percent, "%%%02x", b)
				fmt.Fprintf(&digits, "%02x[ :-]?", b)
			}
			fmt.Fprintf(&quoted, "(?:%s|%s)", regexp.QuoteMeta(string(r)), percent.String())
		}
		forms = append(forms, quoted.String(), strings.TrimSuffix(digits.String(), "[ :-]?"), regexp.QuoteMeta(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="))+"=*")
	}
	if len(forms) == 0 {
		return func(words string) string { return words }
	}
	found := regexp.MustCompile("(?i)" + strings.Join(forms, "|"))
	return func(words string) string { return found.ReplaceAllLiteralString(words, removed) }
}

// Clean makes another server's words fit for storing and showing, at most 2 kB of
// them: a returned mail may quote ours too.
func Clean(s string) string { return clip(clean(s), maxReply) }

// clip cuts s to at most n bytes between characters and marks the cut.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

// talk is the record of a conversation.
type talk struct {
	lines strings.Builder
	full  bool
}

func (t *talk) client(line string) { t.add("C: " + line) }

func (t *talk) server(line string) { t.add("S: " + line) }

// add takes a line. The last bytes are kept for the mark that some are missing.
func (t *talk) add(line string) {
	if t.full {
		return
	}
	line = clip(clean(line), 600)
	if t.lines.Len()+len(line)+1 > maxConversation-8 {
		t.full = true
		line = "…"
	}
	t.lines.WriteString(line)
	t.lines.WriteByte('\n')
}

func (t *talk) String() string { return t.lines.String() }
