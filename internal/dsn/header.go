package dsn

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"

	"github.com/emersion/go-message/charset"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// header is the fields of a mail or part, in order, unfolded but not decoded.
type header []field

type field struct {
	name  string // in lower case
	value string
}

// get gives the first field of a name, "" if there is none.
func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// all gives every field of these names.
func (h header) all(names ...string) []string {
	var values []string
	for _, f := range h {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.name) }) {
			values = append(values, f.value)
		}
	}
	return values
}

func (h header) has(name string) bool {
	return slices.ContainsFunc(h, func(f field) bool { return strings.EqualFold(f.name, name) })
}

var wordDecoder = mime.WordDecoder{CharsetReader: charset.Reader}

// text gives a field as people read it, in UTF-8.
func (h header) text(name string) string {
	return strings.TrimSpace(toUTF8([]byte(decodedWords(h.get(name))), ""))
}

// decodedWords undoes encoded words (RFC 2047) as far as they can be read.
func decodedWords(value string) string {
	if decoded, err := wordDecoder.DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}

// beginning skips what may stand before the header: empty lines, and the line
// that mailbox files put there.
func beginning(raw []byte) []byte {
	raw = bytes.TrimLeft(raw, "\r\n")
	for bytes.HasPrefix(raw, []byte("From ")) || bytes.HasPrefix(raw, []byte(">From ")) {
		_, raw = cutLine(raw)
	}
	return raw
}

// cutLine gives the first line without its end, and the rest.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	return bytes.TrimSuffix(b[:i], []byte("\r")), b[i+1:]
}

// nameLength gives how long the name of a field is that a line begins with, 0 if
// it begins with none (RFC 5322 section 3.6.8, a little less than the letter of
// it). It is called for every line of a mail, so it is no regular expression.
func nameLength[T string | []byte](line T) int {
	for i := 0; i < min(len(line), 77); i++ {
		switch c := line[i]; {
		case c == ':':
			return i
		case 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == ' ' || c == '\t'):
		default:
			return 0
		}
	}
	return 0
}

// readHeader reads fields up to the empty line; ok tells whether it began with
// one. A line that is no field is passed over: servers on the way break them.
func readHeader(b []byte) (h header, body []byte, ok bool) {
	var name string
	var value []byte
	keep := func() {
		if name != "" && len(h) < maxFields {
			h = append(h, field{name, string(bytes.TrimSpace(value))})
		}
		name, value = "", nil
	}
	for first := true; len(b) > 0; first = false {
		line, rest := cutLine(b)
		switch {
		case len(line) == 0:
			keep()
			return h, rest, !first
		case !first && (line[0] == ' ' || line[0] == '\t'):
			if name != "" && len(value)+len(line) < maxField {
				value = append(append(value, ' '), bytes.TrimSpace(line)...)
			}
		default:
			keep()
			end := nameLength(line)
			named := bytes.TrimRight(line[:end], " \t")
			switch {
			case end > 0 && !bytes.ContainsAny(named, " \t"):
				name = strings.ToLower(string(named))
				value = append([]byte(nil), line[end+1:min(len(line), end+1+maxField)]...)
			case first:
				return nil, b, false
			case bytes.HasPrefix(line, []byte("--")) && h.has("Content-Type"):
				return h, b, true // the empty line is missing, a boundary begins
			}
		}
		b = rest
	}
	keep()
	return h, nil, len(h) > 0
}

// content is a Content-Type.
type content struct {
	kind   string // lower case: "multipart/report"
	params map[string]string
}

var looseParam = lazyregexp.New(`(?i)\b(boundary|charset|report-type|name)\s*=\s*(?:"([^"]*)"?|([^\s;]+))`)

// contentType reads the field, also where its grammar is broken.
func (h header) contentType() content {
	value := h.get("Content-Type")
	if value == "" {
		return content{kind: "text/plain"}
	}
	if kind, params, err := mime.ParseMediaType(value); err == nil && (params["boundary"] != "" || !strings.HasPrefix(kind, "multipart/")) {
		return content{kind, params}
	}
	kind, _, _ := strings.Cut(value, ";")
	c := content{strings.ToLower(strings.TrimSpace(kind)), map[string]string{}}
	for _, found := range looseParam().FindAllStringSubmatch(value, 20) {
		if name := strings.ToLower(found[1]); c.params[name] == "" {
			c.params[name] = found[2] + found[3]
		}
	}
	return c
}

// addresses finds the mailboxes in a field, whatever its form.
func addresses(value string) []string {
	if list, err := mail.ParseAddressList(value); err == nil {
		var found []string
		for _, a := range list {
			found = append(found, a.Address)
		}
		return found
	}
	return mailboxes(value)
}

// looseMailbox is an address in running text. The length of a local part is
// bounded so that no text makes it slow.
var looseMailbox = lazyregexp.New(`[^\s<>"'(),;:\[\]{}|]{1,100}@[\pL\pN](?:[\pL\pN.-]{0,250}[\pL\pN])?`)

func mailboxes(text string) []string {
	if !strings.Contains(text, "@") {
		return nil
	}
	return looseMailbox().FindAllString(text, 50)
}

// sentTo gives the addresses the mail was sent to, each once.
func (m letter) sentTo() []string {
	var to []string
	for _, value := range m.header.all("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "X-Apparently-To", "Apparently-To", "To", "Cc") {
		for _, a := range addresses(value) {
			if len(to) < 50 && !slices.ContainsFunc(to, func(t string) bool { return strings.EqualFold(t, a) }) {
				to = append(to, a)
			}
		}
	}
	return to
}

// returnPath gives the envelope sender the header names: "<>" for the empty one.
func (m letter) returnPath() string {
	if !m.header.has("Return-Path") {
		return ""
	}
	value := strings.Trim(m.header.get("Return-Path"), "<> \t")
	if value == "" {
		return "<>"
	}
	return value
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), ";")
	word, _, _ = strings.Cut(strings.TrimSpace(word), " ")
	return strings.ToLower(word)
}
