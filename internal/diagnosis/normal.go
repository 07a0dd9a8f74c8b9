package diagnosis

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// What is read of a text: its head, and its tail for the last line of a long
// answer. Nobody hides a cause in the middle of megabytes.
const (
	readHead = 12 << 10
	readTail = 2 << 10
	// maxReply is how much of an answer is kept for showing.
	maxReply = 2 << 10
)

// prose is a text as the rules see it.
type prose struct {
	// words: lower case, accents folded, white space collapsed, without repeated
	// codes; addresses are "@" and links are gone, for their words name no cause.
	words string
	// links are the web addresses that stood in it.
	links string
}

// clip bounds a text to what is read of it, at whole characters.
func clip(s string) string {
	if len(s) > readHead+readTail {
		s = s[:readHead] + "\n" + s[len(s)-readTail:]
	}
	return s
}

var (
	lineCode = lazyregexp.New(`(?m)^\s*[245]\d\d[- ](?:#?[245]\.\d{1,3}\.\d{1,3}[:,]?(?:\s|$))?`)
	// A server that joins its lines itself leaves the code of each in the text.
	joinedCode = lazyregexp.New(`\s[245]\d\d[- ][245]\.\d{1,3}\.\d{1,3}\s`)
	webAddress = lazyregexp.New(`(?:https?://|\bwww\.)[^\s<>"'\])]+`)
	mailbox    = lazyregexp.New(`[^\s<>"'(),;:\[\]{}]+@[^\s<>"'(),;:\[\]{}]*[^\s<>"'(),;:\[\]{}.!?]`)
	spaces     = lazyregexp.New(`\s+`)
)

// normal makes a text comparable: any script, any form of letters, any line breaks.
func normal(s string) prose {
	s = lineCode().ReplaceAllString(s, " ")
	s = joinedCode().ReplaceAllString(s, " ")
	s = folding.Letters(s)
	links := strings.Join(webAddress().FindAllString(s, -1), " ")
	s = webAddress().ReplaceAllString(s, " ")
	s = mailbox().ReplaceAllString(s, "@")
	return prose{words: strings.TrimSpace(spaces().ReplaceAllString(s, " ")), links: links}
}

// showable is an answer as it is kept and shown: valid, without control
// characters, bounded.
func showable(s string) string {
	s = strings.ToValidUTF8(clip(s), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r): // also what turns the direction of writing
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	s = strings.TrimSpace(s)
	if len(s) > maxReply {
		cut := maxReply - len("…")
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = strings.TrimSpace(s[:cut]) + "…"
	}
	return s
}

// isIP tells whether a word is a network address, in brackets or not.
func isIP(word string) bool {
	_, err := netip.ParseAddr(strings.Trim(word, "[]()"))
	return err == nil
}
