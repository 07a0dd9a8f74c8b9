package dsn

import (
	"encoding/json"
	"strings"
)

// sesEvent is the JSON in which Amazon SES tells what became of a mail. Those who
// have it sent to a mailbox get it as the text of a mail.
type sesEvent struct {
	Message          string `json:"Message"` // the event itself, where SNS wraps it
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Bounce           struct {
		Recipients []struct {
			Address    string `json:"emailAddress"`
			Status     string `json:"status"`
			Diagnostic string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
		Type      string `json:"bounceType"`
		SubType   string `json:"bounceSubType"`
		Reporting string `json:"reportingMTA"`
	} `json:"bounce"`
	Complaint struct {
		Recipients []struct {
			Address string `json:"emailAddress"`
		} `json:"complainedRecipients"`
		Type string `json:"complaintFeedbackType"`
	} `json:"complaint"`
	Delivery struct {
		Recipients []string `json:"recipients"`
		Response   string   `json:"smtpResponse"`
		Reporting  string   `json:"reportingMTA"`
	} `json:"delivery"`
	Mail struct {
		Headers struct {
			MessageID string `json:"messageId"`
		} `json:"commonHeaders"`
	} `json:"mail"`
}

// readEvent reads a mail whose text is such an event.
func (m letter) readEvent(r *Returned) bool {
	start := strings.IndexByte(r.Text, '{')
	if start < 0 || !strings.Contains(r.Text, "notificationType") && !strings.Contains(r.Text, "eventType") {
		return false
	}
	var e sesEvent
	if !decodeEvent(r.Text[start:], &e) {
		return false
	}
	if e.Message != "" {
		wrapped := e.Message
		if e = (sesEvent{}); !decodeEvent(wrapped, &e) {
			return false
		}
	}
	switch strings.ToLower(e.NotificationType + e.EventType) {
	case "bounce":
		r.Kind, r.Reporter = Bounce, typed(e.Bounce.Reporting).value
		for _, b := range e.Bounce.Recipients {
			code := typed(b.Diagnostic)
			if code.value == "" {
				code.value = strings.TrimSpace(e.Bounce.Type + " " + e.Bounce.SubType)
			}
			r.keep(Recipient{Address: b.Address, Action: Failed, Status: Enhanced(b.Status), Diagnostic: code.value, DiagnosticType: code.kind})
		}
	case "complaint":
		r.Kind, r.FeedbackType = Complaint, firstWord(e.Complaint.Type)
		for _, c := range e.Complaint.Recipients {
			r.keep(Recipient{Address: c.Address, Action: Failed})
		}
	case "delivery":
		r.Kind, r.Reporter = Delivered, e.Delivery.Reporting
		for _, address := range e.Delivery.Recipients {
			r.keep(Recipient{Address: address, Action: Done, Status: Enhanced(e.Delivery.Response), Diagnostic: e.Delivery.Response})
		}
	}
	if id := strings.Trim(e.Mail.Headers.MessageID, "<> "); id != "" {
		r.Original.MessageID = id
	}
	return len(r.Recipients) > 0
}

// decodeEvent reads the first JSON value of a text, also where a mailer broke its
// lines.
func decodeEvent(text string, into *sesEvent) bool {
	if json.NewDecoder(strings.NewReader(text)).Decode(into) == nil {
		return true
	}
	*into = sesEvent{}
	return json.NewDecoder(strings.NewReader(strings.NewReplacer("\r", "", "\n", "").Replace(text))).Decode(into) == nil
}

// keep adds a recipient as long as there is room.
func (r *Returned) keep(rc Recipient) {
	if len(r.Recipients) >= maxRecipients {
		r.MoreRecipients = true
		return
	}
	r.Recipients = append(r.Recipients, rc)
}
