package dsn

import (
	"slices"
	"strings"
)

// readFeedback reads an abuse report (RFC 5965 section 3), or what one large
// receiver sends instead of it.
func (m letter) readFeedback(r *Returned) bool {
	for _, p := range m.parts {
		if p.role != feedback {
			continue
		}
		g := p.fields()
		r.FeedbackType = firstWord(g.get("Feedback-Type"))
		if r.FeedbackType == "" {
			r.FeedbackType = "abuse"
		}
		r.Reporter = typed(g.get("Reporting-MTA")).value
		m.complain(r, g.all("Original-Rcpt-To", "Removal-Recipient"), g.get("Auth-Failure"))
		return true
	}
	// The Junk Mail Reporting Program encloses the mail and adds one field to it.
	for _, h := range m.enclosedHeaders() {
		if who := h.all("X-HmXmrOriginalRecipient"); len(who) > 0 {
			r.FeedbackType = "abuse"
			m.complain(r, who, "")
			return true
		}
	}
	return false
}

// fields gives all fields of a part for machines.
func (p part) fields() header {
	all, _ := groups(toUTF8(p.body, p.kind.params["charset"]))
	return slices.Concat(all...)
}

func (m letter) complain(r *Returned, who []string, failed string) {
	switch r.FeedbackType {
	case "not-spam":
		r.Kind = None
		return
	case "auth-failure", "dmarc":
		r.Kind = Bounce
	default:
		r.Kind = Complaint
	}
	for _, value := range who {
		for _, a := range addresses(value) {
			if len(r.Recipients) < maxRecipients {
				r.Recipients = append(r.Recipients, Recipient{Address: a})
			}
		}
	}
	if len(r.Recipients) == 0 {
		r.Recipients = []Recipient{{Address: first(r.Original.To)}}
	}
	for i := range r.Recipients {
		r.Recipients[i].Action, r.Recipients[i].Text = Failed, r.Text
		if r.Kind == Bounce {
			r.Recipients[i].Diagnostic = strings.TrimSpace("authentication failed: " + failed)
		}
	}
}

// readDisposition reads a notice about what became of a mail (RFC 8098). Most
// say that somebody opened it. The filters of a mailbox refuse mail with one
// (RFC 5429 section 2.1), and that is a bounce.
func (m letter) readDisposition(r *Returned) bool {
	for _, p := range m.parts {
		if p.role != disposition {
			continue
		}
		g := p.fields()
		rc := Recipient{
			Address: typed(g.text("Final-Recipient")).address(), Original: typed(g.text("Original-Recipient")).address(),
			Action: Done, Text: r.Text,
		}
		if id := g.get("Original-Message-ID"); r.Original.MessageID == "" {
			r.Original.MessageID = strings.Trim(id, "<> ")
		}
		r.Reporter, _, _ = strings.Cut(g.get("Reporting-UA"), ";")
		r.Kind = AutoReply
		if m.refused(g, r) {
			r.Kind, rc.Action = Bounce, Failed
			rc.Diagnostic, rc.DiagnosticType = afterRejected(r.Text), "x-sieve"
		}
		r.Recipients = []Recipient{rc}
		return true
	}
	return false
}

// refused tells a refusal from "deleted without being read": a program did it,
// and the words or the header say so.
func (m letter) refused(g header, r *Returned) bool {
	done := strings.ToLower(g.get("Disposition"))
	if !strings.Contains(done, "automatic-action") && !strings.Contains(done, "sent-automatically") {
		return false
	}
	if strings.Contains(done, "denied") || strings.Contains(done, "failed") {
		return true
	}
	if !strings.Contains(done, "deleted") && !strings.Contains(done, "dispatched") {
		return false
	}
	said := strings.ToLower(r.Subject + "\n" + m.header.get("Auto-Submitted") + "\n" + r.Text)
	return strings.Contains(said, "reject") || strings.Contains(said, "refuse")
}

// afterRejected gives the owner's own words: what follows the line that says so.
func afterRejected(text string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if strings.HasSuffix(strings.TrimSpace(line), ":") && strings.TrimSpace(rest) != "" {
		return strings.TrimSpace(rest)
	}
	return strings.TrimSpace(text)
}

func first(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
