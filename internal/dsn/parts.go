package dsn

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
)

// role is what a part is for.
type role int

const (
	other       role = iota
	prose            // words for people
	status           // message/delivery-status
	feedback         // message/feedback-report
	disposition      // message/disposition-notification
	enclosed         // the returned mail, or its header
)

// part is a leaf of a mail, its transfer encoding undone.
type part struct {
	role   role
	header header
	kind   content
	body   []byte
	depth  int
}

func walk(h header, body []byte) []part { return walkFrom(h, body, 0) }

// walkFrom gives the leaves of a mail in their order.
func walkFrom(h header, body []byte, depth int) []part {
	var w walker
	w.walk(h, body, depth)
	return w.parts
}

type walker struct{ parts []part }

func (w *walker) walk(h header, body []byte, depth int) {
	if len(w.parts) >= maxParts {
		return
	}
	kind := h.contentType()
	if strings.HasPrefix(kind.kind, "multipart/") && depth < maxDepth {
		pieces := split(body, kind.params["boundary"])
		for _, piece := range pieces {
			inner, rest, ok := readHeader(piece)
			if !ok { // a part may have no header, only an empty line or not even that
				inner, rest = nil, piece
			}
			w.walk(inner, rest, depth+1)
		}
		if len(pieces) > 0 {
			return
		}
		kind = content{kind: "text/plain"} // without any boundary it is what it is
	}
	w.parts = append(w.parts, part{
		role: roleOf(kind), header: h, kind: kind, depth: depth,
		body: decoded(body, h.get("Content-Transfer-Encoding")),
	})
}

func roleOf(kind content) role {
	switch kind.kind {
	case "text/plain", "text/html", "text", "":
		if strings.HasPrefix(strings.ToLower(kind.params["name"]), "mailheaders") {
			return enclosed
		}
		return prose
	case "message/delivery-status", "message/global-delivery-status":
		return status
	case "message/feedback-report":
		return feedback
	case "message/disposition-notification", "message/global-disposition-notification":
		return disposition
	case "message/rfc822", "message/global", "message/global-headers", "message/partial",
		"text/rfc822-headers", "text/rfc822-header", "text/rfc822", "message/rfc822-headers":
		return enclosed
	}
	return other
}

// split cuts a body at its boundary. Where the boundary named in the header
// never comes, it takes the one that does; a missing last boundary is no matter.
func split(body []byte, boundary string) [][]byte {
	mark := []byte("--" + strings.TrimSpace(boundary))
	if len(mark) == 2 || !bytes.Contains(body, mark) {
		if mark = guessBoundary(body); mark == nil {
			return nil
		}
	}
	var pieces [][]byte
	start := -1 // of the piece that is open
	for at := 0; at < len(body); {
		line, rest := cutLine(body[at:])
		next := len(body) - len(rest)
		if bytes.HasPrefix(line, mark) {
			tail := bytes.TrimRight(line[len(mark):], " \t")
			if last := string(tail) == "--"; last || len(tail) == 0 {
				if start >= 0 {
					pieces = append(pieces, body[start:at])
				}
				if start = next; last {
					return pieces
				}
				if len(pieces) >= maxParts {
					return pieces
				}
			}
		}
		at = next
	}
	if start >= 0 && start < len(body) {
		pieces = append(pieces, body[start:])
	}
	return pieces
}

// guessBoundary finds a line that looks like a boundary: two dashes, and a field
// of a part's header in the next line.
func guessBoundary(body []byte) []byte {
	for rest := body; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if len(line) > 4 && len(line) < 200 && bytes.HasPrefix(line, []byte("--")) {
			following, _ := cutLine(rest)
			if len(following) > 8 && strings.EqualFold(string(following[:8]), "content-") {
				return bytes.TrimRight(line, " \t")
			}
		}
	}
	return nil
}

// decoded undoes a transfer encoding as far as it can be undone.
func decoded(body []byte, encoding string) []byte {
	switch firstWord(encoding) {
	case "base64":
		clean := make([]byte, 0, len(body))
		for _, c := range body {
			if isBase64(c) {
				clean = append(clean, c)
			}
		}
		plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
		n, _ := base64.RawStdEncoding.Decode(plain, clean) // what came before a fault counts
		return plain[:n]
	case "quoted-printable":
		plain, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
		if err != nil { // it is not what it says
			return body
		}
		return plain
	}
	return body
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// text gives the beginning of a part in UTF-8; HTML as the words a reader sees.
func (p part) text() string {
	text := toUTF8(p.body[:min(len(p.body), maxProse)], p.kind.params["charset"])
	if p.kind.kind == "text/html" {
		return plainText(text)
	}
	return text
}
