package dsn

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// toUTF8 reads bytes in the charset they claim. Bytes that do not fit it, or
// claim nothing, are read as what they look like.
func toUTF8(b []byte, claimed string) string {
	if bytes.IndexByte(b, 0) >= 0 {
		b = bytes.ReplaceAll(b, []byte{0}, nil)
	}
	claimed = strings.ToLower(strings.Trim(strings.TrimSpace(claimed), `"'`))
	if !has8bit(b) && !bytes.Contains(b, []byte("\x1b$")) {
		return string(b) // ASCII, or a seven-bit form of it that only Asia escapes
	}
	switch claimed {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "unicode-1-1-utf-7", "iso-2022-jp", "binary":
		return guessed(b)
	}
	if s, ok := in(claimed, b); ok {
		return s
	}
	return guessed(b)
}

// guessed tries the charsets that mail servers use without saying so, the most
// telling first.
func guessed(b []byte) string {
	if bytes.Contains(b, []byte("\x1b$")) {
		if s, ok := in("iso-2022-jp", b); ok {
			return s
		}
	}
	if whole := withoutHalf(b); utf8.Valid(whole) {
		return string(whole)
	}
	if mostly8bit(b) { // two bytes a character: Japan, China
		for _, name := range []string{"euc-jp", "shift_jis", "gb18030"} {
			if s, ok := in(name, b); ok {
				return s
			}
		}
	}
	if s, ok := in("windows-1252", b); ok {
		return s
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// withoutHalf drops what a cut left of the last character.
func withoutHalf(b []byte) []byte {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}

// in reads bytes in a charset; false if it is not known or they do not fit.
func in(name string, b []byte) (string, bool) {
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return "", false
	}
	s, err := io.ReadAll(r)
	s = bytes.TrimSuffix(s, []byte("\uFFFD")) // half a character where the text was cut
	if err != nil || bytes.Contains(s, []byte("\uFFFD")) {
		return "", false
	}
	return string(s), true
}

func has8bit(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// mostly8bit: pairs of high bytes are Asian text, single ones accents.
func mostly8bit(b []byte) bool {
	pairs, singles := 0, 0
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] < utf8.RuneSelf:
		case i+1 < len(b) && b[i+1] >= 0x40 && b[i+1] != ' ' && (b[i+1] >= utf8.RuneSelf || b[i] < 0xa0):
			pairs++
			i++
		default:
			singles++
		}
	}
	return pairs > singles
}

// plainText gives the words of a page as lines, without styles and scripts.
func plainText(page string) string {
	var b strings.Builder
	skip := 0
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if skip == 0 {
				b.WriteString(strings.Join(strings.FieldsFunc(string(z.Text()), isBreak), " "))
			}
		case html.SelfClosingTagToken:
			name, _ := z.TagName()
			lineAt(&b, name)
		case html.StartTagToken:
			name, _ := z.TagName()
			skip += hidden(name, 1)
			lineAt(&b, name)
		case html.EndTagToken:
			name, _ := z.TagName()
			skip = max(0, skip+hidden(name, -1))
			lineAt(&b, name)
		}
	}
}

func isBreak(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }

func hidden(name []byte, by int) int {
	switch atom.Lookup(name) {
	case atom.Style, atom.Script, atom.Title:
		return by
	}
	return 0
}

func lineAt(b *strings.Builder, name []byte) {
	switch atom.Lookup(name) {
	case atom.P, atom.Div, atom.Br, atom.Tr, atom.Td, atom.Li, atom.Table, atom.H1, atom.H2, atom.H3, atom.H4, atom.Pre, atom.Ul, atom.Body, atom.Head, atom.Blockquote:
		b.WriteByte('\n')
	}
}
