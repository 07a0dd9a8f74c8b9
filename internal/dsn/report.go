package dsn

import (
	"strings"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// readReport reads the machine part of a delivery report (RFC 3464 section 2),
// wherever it stands: in a part of its own, in one of the wrong type, or in the
// middle of the words for people.
func (m letter) readReport(r *Returned) bool {
	for _, text := range m.statusTexts() {
		all, more := groups(text)
		r.MoreRecipients = r.MoreRecipients || more
		for _, g := range all {
			if !isRecipient(g) {
				if r.Reporter == "" {
					r.Reporter = typed(g.get("Reporting-MTA")).value
				}
				continue
			}
			if len(r.Recipients) >= maxRecipients {
				r.MoreRecipients = true
				break
			}
			if r.Reporter == "" {
				r.Reporter = typed(g.get("Reporting-MTA")).value
			}
			r.Recipients = append(r.Recipients, m.recipient(g))
		}
	}
	if len(r.Recipients) == 0 {
		return false
	}
	m.share(r)
	for i := range r.Recipients {
		if rc := &r.Recipients[i]; rc.Action == Delayed && expired(*rc) {
			rc.Action = Failed
		}
	}
	r.Kind = kindOf(r.Recipients)
	return true
}

var embeddedStatus = lazyregexp.New(`(?im)^[ \t]*(?:Reporting-MTA|Final-Recipient)[ \t]*:`)

// statusTexts gives the texts that may hold the fields of a report.
func (m letter) statusTexts() []string {
	var texts []string
	for _, p := range m.parts {
		if p.role == status {
			texts = append(texts, toUTF8(p.body, p.kind.params["charset"]))
		}
	}
	if len(texts) > 0 {
		return texts
	}
	for _, p := range m.parts {
		if p.role != prose || p.kind.kind == "text/html" {
			continue
		}
		text := p.text()
		if at := embeddedStatus().FindStringIndex(text); at != nil {
			texts = append(texts, text[at[0]:])
		}
	}
	return texts
}

// groups cuts the text of a status part into its groups of fields: one about the
// message, one for each recipient (RFC 3464 section 2.1). Where the empty lines
// between them are missing, a field that comes again begins the next. More tells
// that some were not read.
func groups(text string) (all []header, more bool) {
	for b := []byte(text); len(b) > 0 && len(all) <= maxRecipients+1; {
		if b[0] == '\n' || b[0] == '\r' {
			b = b[1:]
			continue
		}
		h, rest, ok := readHeader(b)
		if !ok {
			_, b = cutLine(b)
			continue
		}
		all = append(all, apart(h)...)
		more = more || len(h) >= maxFields
		b = rest
	}
	return all, more
}

// apart cuts a group where a field of which a recipient has one comes again.
func apart(h header) []header {
	var all []header
	start := 0
	seen := map[string]bool{}
	for i, f := range h {
		switch f.name {
		case "original-recipient", "final-recipient", "action", "status":
			if seen[f.name] {
				all = append(all, h[start:i])
				start, seen = i, map[string]bool{}
			}
			seen[f.name] = true
		}
	}
	return append(all, h[start:])
}

func isRecipient(g header) bool {
	return g.has("Final-Recipient") || g.has("Original-Recipient") || g.has("Action")
}

// recipient reads one group.
func (m letter) recipient(g header) Recipient {
	final, original, code := typed(g.get("Final-Recipient")), typed(g.get("Original-Recipient")), typed(g.get("Diagnostic-Code"))
	if strings.HasPrefix(code.value, "=?") {
		code.value = decodedWords(code.value)
	}
	rc := Recipient{
		Address: final.address(), Original: original.address(),
		Action:     strings.Trim(firstWord(g.get("Action")), ".,()"),
		Status:     Enhanced(g.get("Status")),
		Diagnostic: code.value, DiagnosticType: code.kind,
		RemoteMTA: typed(g.get("Remote-MTA")).value,
	}
	if strings.HasPrefix(final.kind, "x-x400") || !strings.Contains(strings.Trim(rc.Address, "@"), "@") || strings.HasPrefix(rc.Address, "@") {
		if strings.Contains(rc.Original, "@") {
			rc.Address = rc.Original
		}
	}
	if rc.Action == "expired" && rc.Status == "" {
		rc.Status = "4.4.7"
	}
	rc.Action = m.action(rc)
	return rc
}

// action is what the report says was done, or, where it says nothing known, what
// its status says.
func (m letter) action(rc Recipient) string {
	switch rc.Action {
	case Failed, Delayed, Done, Relayed, Expanded:
		return rc.Action
	case "failure", "error", "bounced", "rejected", "expired":
		return Failed
	case "delay", "deferred", "warning":
		return Delayed
	}
	switch {
	case strings.HasPrefix(rc.Status, "2"):
		return Done
	case strings.HasPrefix(rc.Status, "4") && delaySubject.in(fold(m.header.text("Subject"))):
		return Delayed
	}
	return Failed
}

// expired: OpenSMTPD's last word about a mail is in the form of a delay notice.
func expired(rc Recipient) bool {
	return rc.Status == "4.4.7" && strings.Contains(fold(rc.Text+rc.Diagnostic), "envelope expired")
}

// kindOf: what failed outweighs what still waits, and that what arrived.
func kindOf(all []Recipient) Kind {
	kind := Delivered
	for _, rc := range all {
		switch rc.Action {
		case Failed:
			return Bounce
		case Delayed:
			kind = Delay
		}
	}
	return kind
}

// typedValue is a field of the form "type; value" (RFC 3464 section 2.1.2).
type typedValue struct {
	kind  string // lower case
	value string
}

var fieldType = lazyregexp.New(`^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,40})\s*;\s*`)

func typed(value string) typedValue {
	if found := fieldType().FindStringSubmatch(value); found != nil {
		return typedValue{strings.ToLower(found[1]), strings.TrimSpace(value[len(found[0]):])}
	}
	return typedValue{"", strings.TrimSpace(value)}
}

// address gives the mailbox of a typed value, its brackets and comments away.
func (t typedValue) address() string {
	value := unescaped(t.value)
	if strings.HasPrefix(value, "<") {
		if inside, _, closed := strings.Cut(value[1:], ">"); closed {
			value = inside
		}
	}
	if at := strings.Index(value, " ("); at > 0 {
		value = value[:at]
	}
	return strings.TrimSpace(strings.Trim(value, "<>;,"))
}

var escape = lazyregexp.New(`\\x\{([0-9A-Fa-f]{2,6})\}`)

// unescaped undoes the escapes of RFC 6533 section 3.
func unescaped(s string) string {
	return escape().ReplaceAllStringFunc(s, func(e string) string {
		var r rune
		for _, c := range e[3 : len(e)-1] {
			r = r<<4 | hexDigit(c)
		}
		if r < ' ' {
			return ""
		}
		return string(r)
	})
}

func hexDigit(c rune) rune {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

var enhancedCode = lazyregexp.New(`(?:^|[^0-9.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)`)

// Enhanced finds the first enhanced status code (RFC 3463) in a text, "" if there
// is none.
func Enhanced(text string) string {
	if found := enhancedCode().FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
