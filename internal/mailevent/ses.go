package mailevent

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS signature version 1; version 2 is SHA-256
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// snsOld is how long Amazon SNS tries to deliver by itself.
const snsOld = time.Hour

// ses reads the events of Amazon SES, which come through a topic of Amazon SNS.
type ses struct {
	topic string
	fetch Fetch

	mu           sync.Mutex
	certificates map[string]*x509.Certificate
}

func newSES(topic string, fetch Fetch) *ses {
	return &ses{topic: topic, fetch: fetch, certificates: map[string]*x509.Certificate{}}
}

// notification is a message of SNS.
type notification struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicArn         string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
	Token            string
}

func (s *ses) Read(ctx context.Context, p Post, now time.Time) ([]Event, error) {
	var n notification
	if err := json.Unmarshal(p.Body, &n); err != nil || n.TopicArn != s.topic {
		return nil, ErrUnproven
	}
	at, err := time.Parse(time.RFC3339, n.Timestamp)
	if err != nil || !fresh(at, now, snsOld) {
		return nil, ErrUnproven
	}
	if err := s.prove(ctx, n, now); err != nil {
		return nil, err
	}
	switch n.Type {
	case "SubscriptionConfirmation":
		if !ofSNS(n.SubscribeURL) {
			return nil, ErrUnproven
		}
		_, err := s.fetch(ctx, n.SubscribeURL)
		return nil, err
	case "Notification":
		return sesEvents(n)
	}
	return nil, nil
}

// signed is the text that SNS signs: names and values, each on a line.
func (n notification) signed() string {
	var b strings.Builder
	add := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	add("Message", n.Message)
	add("MessageId", n.MessageID)
	if n.Type == "Notification" {
		if n.Subject != nil {
			add("Subject", *n.Subject)
		}
		add("Timestamp", n.Timestamp)
	} else {
		add("SubscribeURL", n.SubscribeURL)
		add("Timestamp", n.Timestamp)
		add("Token", n.Token)
	}
	add("TopicArn", n.TopicArn)
	add("Type", n.Type)
	return b.String()
}

func (s *ses) prove(ctx context.Context, n notification, now time.Time) error {
	signature, err := base64.StdEncoding.DecodeString(n.Signature)
	if err != nil || !ofSNS(n.SigningCertURL) || !strings.HasSuffix(n.SigningCertURL, ".pem") {
		return ErrUnproven
	}
	certificate, err := s.certificate(ctx, n.SigningCertURL)
	if err != nil {
		return err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok || now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return ErrUnproven
	}
	var wrong error
	switch n.SignatureVersion {
	case "1":
		sum := sha1.Sum([]byte(n.signed())) //nolint:gosec // what SNS signs unless the topic asks for version 2
		wrong = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256([]byte(n.signed()))
		wrong = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		return ErrUnproven
	}
	if wrong != nil {
		return ErrUnproven
	}
	return nil
}

// snsHost is where certificates and confirmations of SNS live, and nothing else.
var snsHost = lazyregexp.New(`^sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?$`)

func ofSNS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.User == nil && u.Port() == "" && snsHost().MatchString(u.Host) && len(address) < 4096
}

// maxCertificates bounds the cache: SNS has one certificate a region at a time.
const maxCertificates = 16

func (s *ses) certificate(ctx context.Context, address string) (*x509.Certificate, error) {
	s.mu.Lock()
	known := s.certificates[address]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	text, err := s.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of Amazon SNS: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ErrUnproven
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, ErrUnproven
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.certificates) >= maxCertificates {
		clear(s.certificates)
	}
	s.certificates[address] = c
	return c, nil
}

// sesNews is a notification of SES, in either of its two forms: of an identity,
// or of a configuration set.
type sesNews struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Mail             struct {
		Source  string `json:"source"`
		Headers []struct{ Name, Value string }
		Common  struct {
			MessageID string `json:"messageId"`
		} `json:"commonHeaders"`
		Destination []string
		Timestamp   time.Time
	} `json:"mail"`
	Bounce struct {
		Type         string         `json:"bounceType"`
		SubType      string         `json:"bounceSubType"`
		Recipients   []sesRecipient `json:"bouncedRecipients"`
		Timestamp    time.Time      `json:"timestamp"`
		ReportingMTA string         `json:"reportingMTA"`
	} `json:"bounce"`
	Complaint struct {
		Recipients   []sesRecipient `json:"complainedRecipients"`
		Timestamp    time.Time      `json:"timestamp"`
		SubType      string         `json:"complaintSubType"`
		FeedbackType string         `json:"complaintFeedbackType"`
	} `json:"complaint"`
	Delivery struct {
		Recipients   []string  `json:"recipients"`
		Timestamp    time.Time `json:"timestamp"`
		Reply        string    `json:"smtpResponse"`
		ReportingMTA string    `json:"reportingMTA"`
	} `json:"delivery"`
	Delay struct {
		Type         string         `json:"delayType"`
		Recipients   []sesRecipient `json:"delayedRecipients"`
		Timestamp    time.Time      `json:"timestamp"`
		ReportingMTA string         `json:"reportingMTA"`
	} `json:"deliveryDelay"`
	Reject struct {
		Reason string `json:"reason"`
	} `json:"reject"`
}

type sesRecipient struct {
	Address string `json:"emailAddress"`
	Status  string `json:"status"`
	Reply   string `json:"diagnosticCode"`
}

func sesEvents(n notification) ([]Event, error) {
	var s sesNews
	if err := decode([]byte(n.Message), &s); err != nil {
		return nil, err
	}
	base := Event{ID: n.MessageID, At: s.Mail.Timestamp, ReturnPath: s.Mail.Source}
	ids := []string{s.Mail.Common.MessageID}
	for _, h := range s.Mail.Headers {
		if strings.EqualFold(h.Name, "Message-ID") {
			ids = append(ids, h.Value)
		}
	}
	base.MessageIDs = bare(ids...)
	switch s.NotificationType + s.EventType {
	case "Bounce":
		base.Kind, base.At, base.Reporter = dsn.Bounce, s.Bounce.Timestamp, afterSemicolon(s.Bounce.ReportingMTA)
		base.Class, base.Hard, base.Sure = sesBounce(s.Bounce.Type, s.Bounce.SubType)
		return forEach(base, s.Bounce.Recipients), nil
	case "Complaint":
		if s.Complaint.SubType == "OnAccountSuppressionList" { // SES did not even try
			base.Kind, base.Class, base.Hard, base.Sure = dsn.Bounce, diagnosis.Suppressed, true, true
		} else if base.Kind, base.Class = complaintOf(s.Complaint.FeedbackType); base.Kind == "" {
			return nil, nil
		}
		base.At, base.Sure = s.Complaint.Timestamp, true
		return forEach(base, s.Complaint.Recipients), nil
	case "Delivery":
		base.Kind, base.At, base.Reporter, base.Reply = dsn.Delivered, s.Delivery.Timestamp, s.Delivery.ReportingMTA, s.Delivery.Reply
		var all []sesRecipient
		for _, a := range s.Delivery.Recipients {
			all = append(all, sesRecipient{Address: a})
		}
		return forEach(base, all), nil
	case "DeliveryDelay":
		base.Kind, base.At, base.Reporter = dsn.Delay, s.Delay.Timestamp, s.Delay.ReportingMTA
		base.Class = sesDelays[s.Delay.Type]
		return forEach(base, s.Delay.Recipients), nil
	case "Reject":
		base.Kind, base.Class, base.Reply, base.Sure = dsn.Bounce, diagnosis.RefusedContent, "rejected by Amazon SES: "+s.Reject.Reason, true
		var all []sesRecipient
		for _, a := range s.Mail.Destination {
			all = append(all, sesRecipient{Address: a})
		}
		return forEach(base, all), nil
	}
	return nil, nil
}

// sesBounce reads the types of a bounce: the class, whether for good, and
// whether that is no guess.
func sesBounce(kind, sub string) (diagnosis.Class, bool, bool) {
	switch sub {
	case "Suppressed", "OnAccountSuppressionList":
		return diagnosis.Suppressed, true, true
	case "NoEmail":
		return diagnosis.NoSuchMailbox, kind == "Permanent", false
	case "MailboxFull":
		return diagnosis.MailboxFull, false, false
	case "MessageTooLarge":
		return diagnosis.TooLarge, false, false
	case "ContentRejected", "AttachmentRejected":
		return diagnosis.RefusedContent, false, false
	case "CustomTimeoutExceeded":
		return diagnosis.GaveUp, false, false
	}
	return "", false, false
}

var sesDelays = map[string]diagnosis.Class{
	"InternalFailure": diagnosis.OwnSetup, "General": "", "MailboxFull": diagnosis.MailboxFull, "SpamDetected": diagnosis.RefusedContent,
	"RecipientServerError": diagnosis.ReceiverTrouble, "IPFailure": diagnosis.RefusedReputation, "TransientCommunicationFailure": diagnosis.Unreachable,
}

// complaintOf reads the type of a feedback report (RFC 5965 section 7.3); not
// every one is a complaint.
func complaintOf(feedback string) (dsn.Kind, diagnosis.Class) {
	switch strings.ToLower(feedback) {
	case "not-spam":
		return "", ""
	case "auth-failure", "dmarc":
		return dsn.Bounce, diagnosis.RefusedAuthentication
	default:
		return dsn.Complaint, diagnosis.Complaint
	}
}

func forEach(base Event, recipients []sesRecipient) []Event {
	var all []Event
	for i, r := range recipients[:min(len(recipients), maxEvents)] {
		e := base
		e.Recipient, e.Enhanced = r.Address, r.Status
		if r.Reply != "" {
			e.Reply = afterSemicolon(r.Reply)
		}
		if i > 0 {
			e.ID = fmt.Sprintf("%s/%d", base.ID, i)
		}
		all = append(all, e)
	}
	return all
}

// afterSemicolon takes the type off "smtp; 550 no" and "dns; mx.example" (RFC 3464).
func afterSemicolon(s string) string {
	if kind, rest, ok := strings.Cut(s, ";"); ok && len(kind) < 12 && !strings.Contains(strings.TrimSpace(kind), " ") {
		return strings.TrimSpace(rest)
	}
	return s
}
