package mailevent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// postmark reads the events of Postmark, which signs nothing: a password in the
// address it posts to, or a header it is told to send, is all its proof.
type postmark struct{ token string }

// PostmarkToken is the header in which Postmark may be told to send the token.
const PostmarkToken = "X-Postmark-Token"

// ReferenceHeader makes Postmark give a value back with each event: it replaces
// the return path, and its events do not name the Message-ID.
const ReferenceHeader = "X-PM-Metadata-sparekey"

const reference = "sparekey" // as it comes back

func (p postmark) Read(_ context.Context, post Post, _ time.Time) ([]Event, error) {
	if !p.proves(post.Header) {
		return nil, ErrUnproven
	}
	body := bytes.TrimSpace(post.Body)
	if len(body) > 0 && body[0] == '[' { // bounces may come in batches
		var all []json.RawMessage
		if err := decode(body, &all); err != nil {
			return nil, err
		}
		var events []Event
		for _, one := range all[:min(len(all), maxEvents)] {
			e, err := postmarkEvents(one)
			if err != nil {
				return nil, err
			}
			events = append(events, e...)
		}
		return events, nil
	}
	return postmarkEvents(body)
}

func (p postmark) proves(h http.Header) bool {
	r := http.Request{Header: h}
	_, password, _ := r.BasicAuth()
	bearer, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	proven := 0
	for _, given := range []string{password, bearer, h.Get(PostmarkToken)} {
		// Over hashes, so that the time tells not even the length.
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(p.token))
		proven |= subtle.ConstantTimeCompare(a[:], b[:])
	}
	return proven == 1
}

// postmarkNews is an event of any type.
type postmarkNews struct {
	RecordType  string
	ID          json.Number
	Type        string
	MessageID   string
	Metadata    map[string]string
	Description string
	Details     string
	Email       string
	Recipient   string
	Content     string

	BouncedAt   time.Time
	DeliveredAt time.Time
	ChangedAt   time.Time

	SuppressSending   bool
	SuppressionReason string
}

func postmarkEvents(raw []byte) ([]Event, error) {
	var n postmarkNews
	if err := decode(raw, &n); err != nil {
		return nil, err
	}
	e := Event{Recipient: n.Email, Reference: n.Metadata[reference], Reply: n.Details, MessageIDs: messageIDIn(n.Content)}
	if e.Reply == "" {
		e.Reply = n.Description
	}
	switch n.RecordType {
	case "Bounce", "":
		kind, ok := postmarkBounces[n.Type]
		if !ok {
			kind.kind = dsn.Bounce
		}
		if kind.kind == "" {
			return nil, nil
		}
		e.Kind, e.Class, e.Hard, e.Sure, e.At = kind.kind, kind.class, kind.hard, kind.sure, n.BouncedAt
	case "SpamComplaint":
		e.Kind, e.Class, e.Sure, e.At = dsn.Complaint, diagnosis.Complaint, true, n.BouncedAt
	case "Delivery":
		e.Kind, e.At, e.Recipient = dsn.Delivered, n.DeliveredAt, n.Recipient
	case "SubscriptionChange":
		return postmarkChange(n, e), nil
	default:
		return nil, nil
	}
	e.ID = fmt.Sprintf("%s %s %s %s", n.RecordType, n.ID, n.MessageID, n.Type)
	return []Event{e}, nil
}

// postmarkChange: an address went onto the list of those it no longer writes to.
func postmarkChange(n postmarkNews, e Event) []Event {
	if !n.SuppressSending {
		return nil
	}
	e.Kind, e.Class, e.Hard, e.Sure = dsn.Bounce, diagnosis.Suppressed, true, true
	if n.SuppressionReason == "SpamComplaint" {
		e.Kind, e.Class, e.Hard = dsn.Complaint, diagnosis.Complaint, false
	}
	e.ID = fmt.Sprintf("%s %s %s", n.RecordType, n.MessageID, n.ChangedAt.UTC().Format(time.RFC3339Nano))
	e.Recipient, e.At, e.Reply = n.Recipient, n.ChangedAt, "suppressed by Postmark: "+n.SuppressionReason
	return []Event{e}
}

// postmarkBounces are Postmark's types of bounce; those missing are bounces that
// their words explain.
var postmarkBounces = map[string]struct {
	kind  dsn.Kind
	class diagnosis.Class
	hard  bool
	sure  bool
}{
	"HardBounce":            {kind: dsn.Bounce, class: diagnosis.NoSuchMailbox, hard: true},
	"BadEmailAddress":       {kind: dsn.Bounce, class: diagnosis.NoSuchMailbox, hard: true},
	"ManuallyDeactivated":   {kind: dsn.Bounce, class: diagnosis.Suppressed, hard: true, sure: true},
	"SpamComplaint":         {kind: dsn.Complaint, class: diagnosis.Complaint, sure: true},
	"SpamNotification":      {kind: dsn.Bounce, class: diagnosis.RefusedContent},
	"VirusNotification":     {kind: dsn.Bounce, class: diagnosis.RefusedContent},
	"Blocked":               {kind: dsn.Bounce, class: diagnosis.RefusedReputation},
	"DMARCPolicy":           {kind: dsn.Bounce, class: diagnosis.RefusedAuthentication},
	"DnsError":              {kind: dsn.Bounce, class: diagnosis.Unreachable},
	"Transient":             {kind: dsn.Delay},
	"AutoResponder":         {kind: dsn.AutoReply, class: diagnosis.AutoReply, sure: true},
	"ChallengeVerification": {kind: dsn.AutoReply, class: diagnosis.AutoReply, sure: true},
	"AddressChange":         {kind: dsn.Bounce, class: diagnosis.MailboxMoved, hard: true},
	"Subscribe":             {},
	"Unsubscribe":           {},
	"OpenRelayTest":         {},
	"InboundError":          {},
}

var messageIDLine = lazyregexp.New(`(?mi)^(?:X-)?Message-ID:[ \t]*(?:\r?\n[ \t]+)?<([^<>\s]{1,998})>`)

// messageIDIn finds the Message-IDs of a mail that came back.
func messageIDIn(content string) []string {
	var ids []string
	for _, m := range messageIDLine().FindAllStringSubmatch(content, 5) {
		ids = append(ids, m[1])
	}
	return bare(ids...)
}
