package mailevent

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
)

// sendGridOld: it tries for a day, and an event read twice does nothing twice.
const sendGridOld = 24 * time.Hour

// The headers of a signed request.
const (
	sendGridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendGridTime      = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// sendGrid reads the events of Twilio SendGrid, signed with ECDSA over the time
// and the body.
type sendGrid struct{ key *ecdsa.PublicKey }

func newSendGrid(proof string) (sendGrid, error) {
	der, err := base64.StdEncoding.DecodeString(proof)
	if err != nil {
		return sendGrid{}, fmt.Errorf("key of SendGrid: %w", err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return sendGrid{}, fmt.Errorf("key of SendGrid: %w", err)
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return sendGrid{}, errors.New("key of SendGrid: it is not an ECDSA key")
	}
	return sendGrid{key: public}, nil
}

func (s sendGrid) Read(_ context.Context, p Post, now time.Time) ([]Event, error) {
	stamp := p.Header.Get(sendGridTime)
	signature, err := base64.StdEncoding.DecodeString(p.Header.Get(sendGridSignature))
	at, wrong := strconv.ParseInt(stamp, 10, 64)
	if err != nil || wrong != nil || !fresh(time.Unix(at, 0), now, sendGridOld) {
		return nil, ErrUnproven
	}
	h := sha256.New()
	h.Write([]byte(stamp))
	h.Write(p.Body)
	if !ecdsa.VerifyASN1(s.key, h.Sum(nil), signature) {
		return nil, ErrUnproven
	}
	var all []sendGridNews
	if err := decode(p.Body, &all); err != nil {
		return nil, err
	}
	var events []Event
	for _, n := range all[:min(len(all), maxEvents)] {
		if e, ok := n.event(); ok {
			events = append(events, e)
		}
	}
	return events, nil
}

type sendGridNews struct {
	Event          string `json:"event"`
	Email          string `json:"email"`
	Timestamp      int64  `json:"timestamp"`
	SMTPID         string `json:"smtp-id"`
	ID             string `json:"sg_event_id"`
	Reason         string `json:"reason"`
	Response       string `json:"response"`
	Status         string `json:"status"`
	Type           string `json:"type"`
	Classification string `json:"bounce_classification"`
}

func (n sendGridNews) event() (Event, bool) {
	e := Event{
		ID: n.ID, At: time.Unix(n.Timestamp, 0), Recipient: n.Email, MessageIDs: bare(n.SMTPID),
		Enhanced: n.Status, Reply: strings.TrimSpace(n.Reason + " " + n.Response),
	}
	switch n.Event {
	case "delivered":
		e.Kind = dsn.Delivered
	case "deferred":
		e.Kind = dsn.Delay
	case "bounce":
		e.Kind, e.Class = dsn.Bounce, sendGridClasses[strings.ToLower(n.Classification)]
		e.Hard = e.Class == diagnosis.NoSuchMailbox && n.Type != "blocked"
	case "dropped":
		e.Kind, e.Class, e.Hard, e.Sure = dsn.Bounce, diagnosis.Suppressed, true, true
		if !sendGridList(n.Reason) {
			e.Class, e.Hard, e.Sure = diagnosis.OwnSetup, false, false
		}
	case "spamreport":
		e.Kind, e.Class, e.Sure = dsn.Complaint, diagnosis.Complaint, true
	default:
		return e, false
	}
	return e, true
}

// sendGridList tells which reasons for dropping a mail are its own lists.
func sendGridList(reason string) bool {
	reason = strings.ToLower(reason)
	for _, word := range []string{"bounced", "spam reporting", "unsubscribed", "invalid", "group unsubscribe"} {
		if strings.Contains(reason, word) && !strings.Contains(reason, "smtpapi") {
			return true
		}
	}
	return false
}

var sendGridClasses = map[string]diagnosis.Class{
	"invalid address": diagnosis.NoSuchMailbox, "technical": diagnosis.ReceiverTrouble, "content": diagnosis.RefusedContent,
	"reputation": diagnosis.RefusedReputation, "frequency or volume too high": diagnosis.RateLimited,
}
