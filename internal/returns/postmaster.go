package returns

import (
	"bytes"
	"net"
)

// local is a connection on which a recipient may be named without a domain.
// RFC 5321 section 4.5.1 wants mail for <Postmaster> taken, which the library
// calls a mistake of syntax and refuses before it asks us.
type local struct{ net.Conn }

// Read turns <postmaster> after RCPT TO: into postmaster@. of the same length, so
// that no count of bytes goes wrong; split takes the dot off again. A mail may
// hold such a line, too: nothing is read from it. A command that comes in pieces
// is left to the library.
func (l local) Read(p []byte) (int, error) {
	const command = "RCPT TO:"
	n, err := l.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		if len(line) <= len(command) || !bytes.EqualFold(line[:len(command)], []byte(command)) {
			continue
		}
		path := bytes.TrimLeft(line[len(command):], " ")
		end := bytes.IndexByte(path, '>')
		if end < 2 || path[0] != '<' || bytes.IndexByte(path[:end], '@') >= 0 {
			continue
		}
		copy(path, path[1:end])
		copy(path[end-1:], "@.")
	}
	return n, err
}
