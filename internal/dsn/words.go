package dsn

import (
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// words gives what the mail says to people, and what follows of the mail it
// returns where that stands in the same text.
func (m letter) words() (said, quoted string) {
	var plain, page strings.Builder
	for _, p := range m.parts {
		if p.role == status || p.role == enclosed || p.role == feedback || p.role == disposition {
			if plain.Len() > 0 || page.Len() > 0 {
				break // what comes later belongs to the returned mail
			}
			continue
		}
		if p.role != prose {
			continue
		}
		to := &plain
		if p.kind.kind == "text/html" {
			to = &page
		}
		if to.Len() < maxProse {
			to.WriteString(p.text())
			to.WriteByte('\n')
		}
	}
	text := plain.String()
	if strings.TrimSpace(text) == "" {
		text = page.String()
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	said, quoted = cutOriginal(text)
	return bounded(strings.TrimSpace(said), maxWords), bounded(quoted, maxWords)
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// The lines that servers write above the mail they return. What stands below
// must not be taken for their own words.
var originalBelow = lazyregexp.New(`(?im)^[ \t>*=_-]*(?:` + strings.Join([]string{
	`below (?:this line )?is (?:a|the) copy`, `this is a copy of (?:the|your) message`, `enclosed is a copy`,
	`included is a copy`, `original message(?: follows| headers?)?[ \t:.=_-]*$`, `the original message follows`, `original headers? follow`,
	`message headers? follow`, `unsent message (?:follows|below)`, `undelivered message follows`, `returned message follows`,
	`(?:text of )?(?:the )?message follows`, `the message (?:header|that)[^\n]{0,40} (?:follows|attached)`, `returned mail follows`,
	`original mail(?: message)?[ \t:.=_-]*$`, `begin (?:forwarded|returned) message`, `message header[s]?[ \t:.=_-]*$`,
	`(?:ursprungliche|urspruengliche|ursprüngliche) nachricht`, `ursprüngliche nachrichtenkopfzeilen`,
	`message d'origine`, `en-t[eê]tes du message`, `mensaje original`, `encabezados (?:del mensaje )?originales`, `messaggio originale`, `oorspronkelijk bericht`, //nolint:misspell // Spanish
	`исходное сообщение`, `копия сообщения`, `元のメッセージ`, `原始邮件`, `原始郵件`,
	`original text follows`, `first \d+ (?:lines|bytes) of (?:the )?(?:original|message)`, `the header of the original message`,
}, `|`) + `)[^\n]*$`)

// mailFields are fields that the header of a mail has and few other lists.
var mailFields = []string{
	"received", "return-path", "message-id", "from", "to", "subject", "date", "mime-version", "content-type", "reply-to",
	"delivered-to", "dkim-signature", "x-mailer", "x-originating-ip", "content-transfer-encoding",
}

// cutOriginal cuts a text where the returned mail begins: at the line that says
// so, or where three lines of a header stand together.
func cutOriginal(text string) (said, quoted string) {
	end := len(text)
	if at := originalBelow().FindStringIndex(text); at != nil && strings.TrimSpace(text[:at[0]]) != "" {
		end = at[0]
	}
	if at := headerBlock(text[:end]); at > 0 {
		end = at
	}
	return text[:end], text[end:]
}

// headerBlock gives where a header stands in a text, -1 if none does.
func headerBlock(text string) int {
	start, fields := 0, 0
	for at := 0; at < len(text); {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at
		}
		line := text[at : at+end]
		name := nameLength(line)
		switch {
		case name > 0 && slices.Contains(mailFields, strings.ToLower(line[:name])):
			if fields == 0 {
				start = at
			}
			if fields++; fields == 3 {
				return start
			}
		case fields > 0 && (name > 1 || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")):
		default:
			fields = 0
		}
		at += end + 1
	}
	return -1
}

// enclosedHeaders gives the headers of the mails it encloses.
func (m letter) enclosedHeaders() []header {
	var all []header
	for _, p := range m.parts {
		if p.role == enclosed {
			if h, _, ok := readHeader(beginning(p.body)); ok {
				all = append(all, h)
			}
		}
	}
	return all
}

// original reads the header of the returned mail, in its part or in the text.
func (m letter) original(quoted string) Original {
	all := m.enclosedHeaders()
	if at := headerBlock(quoted); at >= 0 {
		if h, _, ok := readHeader([]byte(quoted[at:])); ok {
			all = append(all, h)
		}
	}
	for _, h := range all {
		o := Original{
			MessageID:  strings.Trim(h.get("Message-ID"), "<> "),
			ReturnPath: strings.Trim(h.get("Return-Path"), "<> "),
			From:       h.text("From"),
		}
		for _, value := range h.all("To", "X-Envelope-To") {
			for _, a := range addresses(value) {
				if !slices.Contains(o.To, a) && len(o.To) < 50 {
					o.To = append(o.To, a)
				}
			}
		}
		if o.MessageID != "" || o.From != "" || len(o.To) > 0 {
			return o
		}
	}
	// A report may name the mail only as its own header or in a field of its own.
	id := m.header.get("X-Original-Message-ID")
	if id == "" {
		id = m.header.get("In-Reply-To")
	}
	return Original{MessageID: strings.Trim(id, "<> ")}
}

// share gives each recipient the words that speak of it: from where it is named
// to where the next one is. A report about one speaks of it alone.
func (m letter) share(r *Returned) {
	if len(r.Recipients) == 1 {
		rc := &r.Recipients[0]
		rc.Text = r.Text
		if !strings.Contains(strings.TrimPrefix(rc.Address, "@"), "@") {
			if named := m.named(r); len(named) == 1 {
				rc.Address = named[0]
			}
		}
		return
	}
	owner := map[string]int{}
	for i, rc := range r.Recipients {
		for _, a := range []string{rc.Address, rc.Original} {
			if _, taken := owner[strings.ToLower(a)]; a != "" && !taken {
				owner[strings.ToLower(a)] = i
			}
		}
	}
	texts := make([]strings.Builder, len(r.Recipients))
	current := -1
	talk := "" // of two servers; the recipient it was about is named below it
	for line := range strings.Lines(r.Text) {
		if strings.HasPrefix(line, ">>>") || strings.HasPrefix(line, "<<<") {
			talk += line
			continue
		}
		for _, a := range mailboxes(line) {
			if i, ok := owner[strings.ToLower(a)]; ok {
				current = i
				break
			}
		}
		if current >= 0 {
			texts[current].WriteString(talk + line)
			talk = ""
		}
	}
	if current >= 0 {
		texts[current].WriteString(talk)
	}
	for i := range r.Recipients {
		r.Recipients[i].Text = strings.TrimSpace(texts[i].String())
	}
}
