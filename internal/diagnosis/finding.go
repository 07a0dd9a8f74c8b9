package diagnosis

import "time"

// Heard is one answer of a mail server, or what took its place: the error of a
// connection, the text of a returned mail, the words of a provider.
type Heard struct {
	// Stage is the step it came in: connect, hello, tls, auth, mail, rcpt or data;
	// "" if nobody tells.
	Stage    string
	Code     int    // 0 if there was none
	Enhanced string // RFC 3463, "" if there was none
	Text     string // the reply as it came, with or without its codes, lines joined or not
	Server   string // who spoke, as a name; "" if nobody tells
	Domain   string // of the recipient
	// OwnRelay: a server of ours said it, one we log in to, not the recipient's.
	OwnRelay bool
	// First: it is the first try of this message there.
	First bool
}

// Finding is what one piece of evidence says.
type Finding struct {
	Class    Class
	Hard     bool   // writing to this address again can never work
	Code     int    // as far as the evidence tells
	Enhanced string // the same
	Reply    string // the literal answer, cleaned for showing, at most 2 kB
	// MovedTo is the new address that a server named; we never write to it by ourselves.
	MovedTo string
	// List is the block list that a server named.
	List string
	// ComeBack is how long the server asked us to wait; 0 if it did not say.
	ComeBack time.Duration
}
