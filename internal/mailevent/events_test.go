package mailevent

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/dsn"
)

// said is what a test wants to hear of an event.
type said struct {
	kind  dsn.Kind
	class diagnosis.Class
	hard  bool
	sure  bool
}

func saidBy(events []Event) []said {
	var all []said
	for _, e := range events {
		all = append(all, said{e.Kind, e.Class, e.Hard, e.Sure})
	}
	return all
}

func one(kind dsn.Kind, class diagnosis.Class, hard, sure bool) []said {
	return []said{{kind, class, hard, sure}}
}

func TestWhatSESTells(t *testing.T) {
	t.Parallel()
	bounce := func(kind, sub string) string {
		return fmt.Sprintf(`{"eventType":"Bounce","mail":{"headers":[{"name":"Message-ID","value":"<a@b>"}]},"bounce":{"bounceType":%q,"bounceSubType":%q,"bouncedRecipients":[{"emailAddress":"jane@acme.example","diagnosticCode":"smtp; 550 no"}]}}`, kind, sub)
	}
	complaint := func(sub, feedback string) string {
		return fmt.Sprintf(`{"notificationType":"Complaint","complaint":{"complaintSubType":%q,"complaintFeedbackType":%q,"complainedRecipients":[{"emailAddress":"jane@acme.example"}]}}`, sub, feedback)
	}
	for text, want := range map[string][]said{
		bounce("Permanent", "General"):                  one(dsn.Bounce, "", false, false),
		bounce("Permanent", "NoEmail"):                  one(dsn.Bounce, diagnosis.NoSuchMailbox, true, false),
		bounce("Permanent", "Suppressed"):               one(dsn.Bounce, diagnosis.Suppressed, true, true),
		bounce("Permanent", "OnAccountSuppressionList"): one(dsn.Bounce, diagnosis.Suppressed, true, true),
		bounce("Transient", "MailboxFull"):              one(dsn.Bounce, diagnosis.MailboxFull, false, false),
		bounce("Transient", "MessageTooLarge"):          one(dsn.Bounce, diagnosis.TooLarge, false, false),
		bounce("Transient", "ContentRejected"):          one(dsn.Bounce, diagnosis.RefusedContent, false, false),
		bounce("Transient", "CustomTimeoutExceeded"):    one(dsn.Bounce, diagnosis.GaveUp, false, false),
		bounce("Undetermined", "Undetermined"):          one(dsn.Bounce, "", false, false),
		complaint("", "abuse"):                          one(dsn.Complaint, diagnosis.Complaint, false, true),
		complaint("", ""):                               one(dsn.Complaint, diagnosis.Complaint, false, true),
		complaint("", "not-spam"):                       nil,
		complaint("", "auth-failure"):                   one(dsn.Bounce, diagnosis.RefusedAuthentication, false, true),
		complaint("OnAccountSuppressionList", ""):       one(dsn.Bounce, diagnosis.Suppressed, true, true),
		`{"eventType":"Delivery","delivery":{"recipients":["jane@acme.example"],"smtpResponse":"250 ok"}}`:                                     one(dsn.Delivered, "", false, false),
		`{"eventType":"DeliveryDelay","deliveryDelay":{"delayType":"MailboxFull","delayedRecipients":[{"emailAddress":"jane@acme.example"}]}}`: one(dsn.Delay, diagnosis.MailboxFull, false, false),
		`{"eventType":"Reject","mail":{"destination":["jane@acme.example"]},"reject":{"reason":"Bad content"}}`:                                one(dsn.Bounce, diagnosis.RefusedContent, false, true),
		`{"eventType":"Open","open":{}}`: nil,
		`{}`:                             nil,
	} {
		events, err := sesEvents(notification{MessageID: "m", Message: text})
		require.NoError(t, err, text)
		require.Equal(t, want, saidBy(events), text)
	}
	_, err := sesEvents(notification{Message: "Successfully validated SNS topic for Amazon SES event publishing."})
	require.ErrorIs(t, err, ErrMalformed)
}

func TestEachRecipientOfSESHasItsOwnEvent(t *testing.T) {
	t.Parallel()
	events, err := sesEvents(notification{MessageID: "m", Message: `{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"a@x.test"},{"emailAddress":"b@x.test"}]}}`})
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.NotEqual(t, events[0].ID, events[1].ID)
}

func TestWhatPostmarkTells(t *testing.T) {
	t.Parallel()
	bounce := func(kind string) string {
		return fmt.Sprintf(`{"RecordType":"Bounce","ID":1,"Type":%q,"Email":"jane@acme.example","Details":"550 no"}`, kind)
	}
	for text, want := range map[string][]said{
		bounce("HardBounce"):          one(dsn.Bounce, diagnosis.NoSuchMailbox, true, false),
		bounce("SoftBounce"):          one(dsn.Bounce, "", false, false),
		bounce("ManuallyDeactivated"): one(dsn.Bounce, diagnosis.Suppressed, true, true),
		bounce("Blocked"):             one(dsn.Bounce, diagnosis.RefusedReputation, false, false),
		bounce("SpamNotification"):    one(dsn.Bounce, diagnosis.RefusedContent, false, false),
		bounce("AutoResponder"):       one(dsn.AutoReply, diagnosis.AutoReply, false, true),
		bounce("Transient"):           one(dsn.Delay, "", false, false),
		bounce("Subscribe"):           nil,
		bounce("SomethingNew"):        one(dsn.Bounce, "", false, false),
		`{"RecordType":"SpamComplaint","Email":"jane@acme.example"}`:                   one(dsn.Complaint, diagnosis.Complaint, false, true),
		`{"RecordType":"Delivery","Recipient":"jane@acme.example","Details":"250 ok"}`: one(dsn.Delivered, "", false, false),
		`{"RecordType":"Open","Recipient":"jane@acme.example"}`:                        nil,
		`{"RecordType":"SubscriptionChange","Recipient":"jane@acme.example","SuppressSending":true,"SuppressionReason":"HardBounce","ChangedAt":"2026-11-25T11:59:00Z"}`:    one(dsn.Bounce, diagnosis.Suppressed, true, true),
		`{"RecordType":"SubscriptionChange","Recipient":"jane@acme.example","SuppressSending":true,"SuppressionReason":"SpamComplaint","ChangedAt":"2026-11-25T11:59:00Z"}`: one(dsn.Complaint, diagnosis.Complaint, false, true),
		`{"RecordType":"SubscriptionChange","Recipient":"jane@acme.example","SuppressSending":false,"SuppressionReason":null,"ChangedAt":"2026-11-25T11:59:00Z"}`:           nil,
	} {
		events, err := postmarkEvents([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, saidBy(events), text)
	}
	events, err := postmarkEvents([]byte(`{"RecordType":"Bounce","Type":"HardBounce","Content":"Subject: x\r\nMessage-ID: <one@acme.example>\r\n\r\nhello"}`))
	require.NoError(t, err)
	require.Equal(t, []string{"one@acme.example"}, events[0].MessageIDs)
}

func TestWhatSendGridTells(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]said{
		`{"event":"bounce","type":"bounce","bounce_classification":"Invalid Address"}`: {dsn.Bounce, diagnosis.NoSuchMailbox, true, false},
		`{"event":"bounce","type":"blocked","bounce_classification":"Reputation"}`:     {dsn.Bounce, diagnosis.RefusedReputation, false, false},
		`{"event":"bounce","type":"bounce","bounce_classification":"Unclassified"}`:    {dsn.Bounce, "", false, false},
		`{"event":"dropped","reason":"Bounced Address"}`:                               {dsn.Bounce, diagnosis.Suppressed, true, true},
		`{"event":"dropped","reason":"Spam Reporting Address"}`:                        {dsn.Bounce, diagnosis.Suppressed, true, true},
		`{"event":"dropped","reason":"Invalid SMTPAPI header"}`:                        {dsn.Bounce, diagnosis.OwnSetup, false, false},
		`{"event":"deferred","response":"451 4.7.1 greylisted"}`:                       {dsn.Delay, "", false, false},
		`{"event":"delivered","response":"250 ok"}`:                                    {dsn.Delivered, "", false, false},
		`{"event":"spamreport"}`:                                                       {dsn.Complaint, diagnosis.Complaint, false, true},
	} {
		var n sendGridNews
		require.NoError(t, json.Unmarshal([]byte(text), &n))
		e, ok := n.event()
		require.True(t, ok, text)
		require.Equal(t, []said{want}, saidBy([]Event{e}), text)
	}
	for _, quiet := range []string{"processed", "open", "click", "unsubscribe", "group_resubscribe", ""} {
		_, ok := sendGridNews{Event: quiet}.event()
		require.False(t, ok, quiet)
	}
}

func TestWhatMailgunTells(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]said{
		`{"event":"failed","severity":"permanent","reason":"bounce","delivery-status":{"code":550,"message":"no"}}`: {dsn.Bounce, "", false, false},
		`{"event":"failed","severity":"temporary","reason":"greylisted"}`:                                           {dsn.Delay, diagnosis.Greylisted, false, false},
		`{"event":"failed","severity":"permanent","reason":"suppress-bounce","delivery-status":{"code":605}}`:       {dsn.Bounce, diagnosis.Suppressed, true, true},
		`{"event":"failed","severity":"permanent","reason":"generic","delivery-status":{"code":605}}`:               {dsn.Bounce, diagnosis.Suppressed, true, true},
		`{"event":"failed","severity":"permanent","reason":"espblock"}`:                                             {dsn.Bounce, diagnosis.RefusedReputation, false, false},
		`{"event":"failed","severity":"permanent","reason":"old"}`:                                                  {dsn.Bounce, diagnosis.GaveUp, false, false},
		`{"event":"complained"}`: {dsn.Complaint, diagnosis.Complaint, false, true},
		`{"event":"delivered"}`:  {dsn.Delivered, "", false, false},
	} {
		var n mailgunNews
		require.NoError(t, json.Unmarshal([]byte(text), &n))
		e, ok := n.event()
		require.True(t, ok, text)
		require.Equal(t, []said{want}, saidBy([]Event{e}), text)
	}
	for _, quiet := range []string{"accepted", "opened", "clicked", "unsubscribed", "stored", ""} {
		_, ok := mailgunNews{Event: quiet}.event()
		require.False(t, ok, quiet)
	}
}

// FuzzEvents: whatever a proven request says, its events are few and have a kind.
func FuzzEvents(f *testing.F) {
	f.Add(sesBounced)
	f.Add(gunFailed)
	f.Add(`{"RecordType":"Bounce","Type":"HardBounce","ID":1e999,"Content":"Message-ID: <x>"}`)
	f.Add(`[{"event":"bounce","timestamp":-1}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var all []Event
		for _, read := range []func() ([]Event, error){
			func() ([]Event, error) { return sesEvents(notification{Message: text}) },
			func() ([]Event, error) { return postmarkEvents([]byte(text)) },
			func() ([]Event, error) {
				p := postmark{token: "t"}
				return p.Read(t.Context(), Post{Header: map[string][]string{PostmarkToken: {"t"}}, Body: []byte(text)}, now)
			},
			func() ([]Event, error) {
				return mailgun{key: []byte("k"), once: memory(now)}.Read(t.Context(), gunPost(t, "k", "token", now, text), now)
			},
		} {
			events, err := read()
			if err == nil {
				all = append(all, events...)
			}
		}
		var grid []sendGridNews
		if json.Unmarshal([]byte(text), &grid) == nil {
			for _, n := range grid {
				if e, ok := n.event(); ok {
					all = append(all, e)
				}
			}
		}
		for _, e := range all {
			switch e.Kind {
			case dsn.Bounce, dsn.Delay, dsn.Complaint, dsn.Delivered, dsn.AutoReply:
			default:
				t.Fatalf("kind %q", e.Kind)
			}
			if e.Hard && e.Class == "" {
				t.Fatal("hard without a class")
			}
			_ = e.At.Format(time.RFC3339)
		}
		if len(all) > len(text)+5 {
			t.Fatalf("%d events out of %d bytes", len(all), len(text))
		}
	})
}

// FuzzSNS: nothing but a signature of Amazon's makes a message believed.
func FuzzSNS(f *testing.F) {
	a := newAmazon(f, now.Add(time.Hour))
	f.Add(string(a.sign(f, a.note(sesBounced)))[:100])
	f.Add(`{"TopicArn":"` + topic + `","Timestamp":"2026-11-25T12:00:00Z","SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"` + certURL + `"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if events, err := newSES(topic, a.fetch).Read(t.Context(), Post{Body: []byte(text)}, now); err == nil {
			t.Fatalf("believed: %v", events)
		}
	})
}
