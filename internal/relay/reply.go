package relay

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const (
	// maxLine is the longest reply line read, eight times what RFC 5321 section
	// 4.5.3.1.5 allows.
	maxLine = 4096
	// maxLines is how many lines of a reply are kept: the first, and the last, which
	// says what the others lead up to.
	maxLines = 100
	// maxBytes is how much of a reply is read.
	maxBytes = 8 << 20
)

// reply is a server's answer to one command.
type reply struct {
	code  int
	lines []string // without the code
}

var (
	enhancedCode = regexp.MustCompile(`^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ :]|$)`)

	errNotSMTP  = errors.New("the server does not answer as a mail server does")
	errTooLong  = errors.New("the server's reply is too long")
	errTooEarly = errors.New("the server sent more than it was asked for")
)

// readReply reads one reply, whose last line decides (RFC 5321 section 4.2.1).
// What was read is in the result even if there is an error.
func readReply(in *bufio.Reader, said func(line string)) (reply, error) {
	var r reply
	for read := 0; read < maxBytes; {
		slice, err := in.ReadSlice('\n')
		read += len(slice)
		line := strings.TrimRight(string(slice), "\r\n")
		if len(line) > 0 {
			said(line)
		}
		if len(r.lines) == maxLines {
			r.lines = r.lines[:maxLines-1]
		}
		code, text, last, ok := splitReply(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.code, r.lines = code, append(r.lines, text)
			return r, errTooLong
		case err != nil:
			return r, err
		case !ok:
			r.code, r.lines = 0, append(r.lines, line)
			return r, errNotSMTP
		}
		r.code, r.lines = code, append(r.lines, text)
		if last {
			return r, nil
		}
	}
	return r, errTooLong
}

// splitReply takes "250-text" apart.
func splitReply(line string) (int, string, bool, bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, line, false, false
	}
	code := 0
	for _, digit := range []byte(line[:3]) {
		if digit < '0' || digit > '9' {
			return 0, line, false, false
		}
		code = code*10 + int(digit-'0')
	}
	if len(line) == 3 {
		return code, "", true, true
	}
	return code, line[4:], line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

func (r reply) class() int { return r.code / 100 }

// enhanced gives the RFC 3463 code the text begins with, or "".
func (r reply) enhanced() string {
	if len(r.lines) == 0 {
		return ""
	}
	if m := enhancedCode.FindStringSubmatch(r.lines[0]); m != nil {
		return m[1]
	}
	return ""
}

// text gives the reply on one line. The enhanced code, which RFC 2034 repeats
// on each line, stays on the first only.
func (r reply) text() string {
	if len(r.lines) == 0 {
		return ""
	}
	parts := make([]string, 0, len(r.lines)+1)
	if r.code != 0 {
		parts = append(parts, fmt.Sprint(r.code))
	}
	prefix := r.enhanced()
	for i, line := range r.lines {
		if i > 0 && prefix != "" {
			line = strings.TrimPrefix(line, prefix)
		}
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return shorten(clean(strings.Join(parts, " ")))
}

// shorten cuts a long reply in the middle: how it ends says the most.
func shorten(s string) string {
	const end = maxReply / 4
	if len(s) <= maxReply {
		return s
	}
	return clip(s, maxReply-end) + strings.ToValidUTF8(s[len(s)-end:], "")
}
