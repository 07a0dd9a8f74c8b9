package mailevent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
)

const (
	// mailgunOld is how old a request may be. Its signature does not cover what
	// it says, so a token that was seen must not come again within that time.
	mailgunOld = 15 * time.Minute
	// mailgunKept is how long a token is remembered; clocks differ.
	mailgunKept = 2 * mailgunOld
)

// mailgun reads the events of Mailgun, signed with an HMAC over a time and a token.
type mailgun struct {
	key  []byte
	once Once
}

type mailgunPost struct {
	Signature struct {
		Timestamp string `json:"timestamp"`
		Token     string `json:"token"`
		Signature string `json:"signature"`
	} `json:"signature"`
	Event json.RawMessage `json:"event-data"`
}

func (m mailgun) Read(ctx context.Context, p Post, now time.Time) ([]Event, error) {
	var post mailgunPost
	if err := json.Unmarshal(p.Body, &post); err != nil {
		return nil, ErrUnproven
	}
	s := post.Signature
	given, err := hex.DecodeString(s.Signature)
	at, wrong := strconv.ParseInt(s.Timestamp, 10, 64)
	if err != nil || wrong != nil || s.Token == "" || !fresh(time.Unix(at, 0), now, mailgunOld) {
		return nil, ErrUnproven
	}
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(s.Timestamp + s.Token))
	if !hmac.Equal(h.Sum(nil), given) {
		return nil, ErrUnproven
	}
	token, words := sha256.Sum256([]byte(s.Token)), sha256.Sum256(post.Event)
	switch first, err := m.once(ctx, Mailgun+":"+hex.EncodeToString(token[:]), hex.EncodeToString(words[:]), now.Add(mailgunKept)); {
	case err != nil:
		return nil, err
	case !first:
		return nil, ErrUnproven // somebody saw the token, and writes words of their own
	}
	var news mailgunNews
	if err := json.Unmarshal(post.Event, &news); err != nil {
		return nil, ErrMalformed
	}
	if e, ok := news.event(); ok {
		return []Event{e}, nil
	}
	return nil, nil
}

type mailgunNews struct {
	Event     string  `json:"event"`
	ID        string  `json:"id"`
	Timestamp float64 `json:"timestamp"`
	Severity  string  `json:"severity"`
	Reason    string  `json:"reason"`
	Recipient string  `json:"recipient"`
	Status    struct {
		Code        int    `json:"code"`
		Enhanced    string `json:"enhanced-code"`
		Message     string `json:"message"`
		Description string `json:"description"`
		Host        string `json:"mx-host"`
	} `json:"delivery-status"`
	Message struct {
		Headers struct {
			MessageID string `json:"message-id"`
		} `json:"headers"`
	} `json:"message"`
	Envelope struct {
		Sender string `json:"sender"`
	} `json:"envelope"`
}

func (n mailgunNews) event() (Event, bool) {
	e := Event{
		ID: n.ID, At: unixFloat(n.Timestamp), Recipient: n.Recipient, MessageIDs: bare(n.Message.Headers.MessageID),
		ReturnPath: n.Envelope.Sender, Reporter: n.Status.Host, Code: n.Status.Code, Enhanced: n.Status.Enhanced,
		Reply: strings.TrimSpace(n.Status.Message),
	}
	if d := strings.TrimSpace(n.Status.Description); d != "" && !strings.Contains(e.Reply, d) {
		e.Reply = strings.TrimSpace(e.Reply + " " + d)
	}
	switch n.Event {
	case "delivered":
		e.Kind = dsn.Delivered
	case "complained":
		e.Kind, e.Class, e.Sure = dsn.Complaint, diagnosis.Complaint, true
	case "failed":
		e.Kind = dsn.Bounce
		if n.Severity == "temporary" {
			e.Kind = dsn.Delay
		}
		e.Class, e.Hard, e.Sure = mailgunReason(n)
	default:
		return e, false
	}
	return e, true
}

// mailgunReason: codes of its own (605, 607) and reasons say that it did not
// even try.
func mailgunReason(n mailgunNews) (diagnosis.Class, bool, bool) {
	switch n.Reason {
	case "suppress-bounce", "suppress-complaint", "suppress-unsubscribe":
		return diagnosis.Suppressed, true, true
	case "greylisted":
		return diagnosis.Greylisted, false, false
	case "espblock":
		return diagnosis.RefusedReputation, false, false
	case "old":
		return diagnosis.GaveUp, false, false
	}
	if n.Status.Code == 605 || n.Status.Code == 607 {
		return diagnosis.Suppressed, true, true
	}
	return "", false, false
}

// unixFloat reads seconds with a fraction; the zero time if they are none.
func unixFloat(s float64) time.Time {
	if math.IsNaN(s) || s <= 0 || s > 1e11 {
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9))
}
