package mailevent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // SNS signature version 1
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/dsn"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	topic    = "arn:aws:sns:eu-west-1:123456789012:bounces"
	certURL  = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"
	visitURL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
)

// amazon signs as SNS does, and remembers who was visited.
type amazon struct {
	key     *rsa.PrivateKey
	pem     []byte
	visited []string
}

func newAmazon(t testing.TB, until time.Time) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &amazon{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *amazon) fetch(_ context.Context, url string) ([]byte, error) {
	a.visited = append(a.visited, url)
	if url == certURL {
		return a.pem, nil
	}
	return []byte("<ok/>"), nil
}

func (a *amazon) note(message string) map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": message,
		"Timestamp": now.Add(-time.Minute).Format(time.RFC3339Nano), "SignatureVersion": "2", "SigningCertURL": certURL,
	}
}

// sign signs the fields in the order that the documentation of SNS gives.
func (a *amazon) sign(t testing.TB, n map[string]string) []byte {
	t.Helper()
	fields := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if n["Type"] != "Notification" {
		fields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, name := range fields {
		if value, ok := n[name]; ok {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	kind, sum := crypto.SHA256, sha256.New()
	if n["SignatureVersion"] == "1" {
		kind, sum = crypto.SHA1, sha1.New()
	}
	sum.Write([]byte(text.String()))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, kind, sum.Sum(nil))
	require.NoError(t, err)
	n["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return marshal(t, n)
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

const sesBounced = `{"notificationType":"Bounce","mail":{"timestamp":"2026-11-25T11:58:00Z","source":"r-x@bounce.acme.example","messageId":"ses1"},
	"bounce":{"bounceType":"Permanent","bounceSubType":"General","timestamp":"2026-11-25T11:59:00Z","feedbackId":"f1","reportingMTA":"dns; mta.amazonses.com",
	"bouncedRecipients":[{"emailAddress":"jane@acme.example","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]}}`

func TestSNSProvesItself(t *testing.T) {
	t.Parallel()
	a := newAmazon(t, now.Add(time.Hour))
	s := newSES(topic, a.fetch)
	for _, version := range []string{"1", "2"} {
		for _, subject := range []string{"", "Amazon SES"} {
			n := a.note(sesBounced)
			n["SignatureVersion"] = version
			if subject != "" {
				n["Subject"] = subject
			}
			events, err := s.Read(t.Context(), Post{Body: a.sign(t, n)}, now)
			require.NoError(t, err, version)
			require.Len(t, events, 1)
			require.Equal(t, "jane@acme.example", events[0].Recipient)
			require.Equal(t, "550 5.1.1 user unknown", events[0].Reply)
			require.Equal(t, "r-x@bounce.acme.example", events[0].ReturnPath)
			require.Equal(t, "mta.amazonses.com", events[0].Reporter)
			require.Equal(t, time.Date(2026, 11, 25, 11, 59, 0, 0, time.UTC), events[0].At)
		}
	}
	require.Equal(t, []string{certURL}, a.visited, "the certificate is fetched once")
}

func TestSNSSubscriptionIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	a := newAmazon(t, now.Add(time.Hour))
	s := newSES(topic, a.fetch)
	n := a.note("please confirm")
	n["Type"], n["Token"], n["SubscribeURL"] = "SubscriptionConfirmation", "t", visitURL
	events, err := s.Read(t.Context(), Post{Body: a.sign(t, n)}, now)
	require.NoError(t, err)
	require.Empty(t, events)
	require.Equal(t, []string{certURL, visitURL}, a.visited)

	for _, hostile := range []string{"http://sns.eu-west-1.amazonaws.com/", "https://evil.test/", "https://sns.eu-west-1.amazonaws.com.evil.test/", "https://169.254.169.254/latest", "https://x@sns.eu-west-1.amazonaws.com/"} {
		n["SubscribeURL"] = hostile
		_, err = s.Read(t.Context(), Post{Body: a.sign(t, n)}, now)
		require.ErrorIs(t, err, ErrUnproven, hostile)
	}
	require.Len(t, a.visited, 2, "nobody else is visited")
}

func TestWhatOnlyLooksLikeSNSIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(n map[string]string){
		"another topic":     func(n map[string]string) { n["TopicArn"] = topic + "2" },
		"too old":           func(n map[string]string) { n["Timestamp"] = now.Add(-2 * time.Hour).Format(time.RFC3339) },
		"from tomorrow":     func(n map[string]string) { n["Timestamp"] = now.Add(24 * time.Hour).Format(time.RFC3339) },
		"no time":           func(n map[string]string) { n["Timestamp"] = "soon" },
		"certificate of …":  func(n map[string]string) { n["SigningCertURL"] = "https://evil.test/a.pem" },
		"… a look-alike":    func(n map[string]string) { n["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com.evil.test/a.pem" },
		"… a port":          func(n map[string]string) { n["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com:444/a.pem" },
		"… clear text":      func(n map[string]string) { n["SigningCertURL"] = strings.Replace(certURL, "https", "http", 1) },
		"… something else":  func(n map[string]string) { n["SigningCertURL"] = strings.TrimSuffix(certURL, ".pem") },
		"unknown version":   func(n map[string]string) { n["SignatureVersion"] = "3" },
		"version downgrade": func(n map[string]string) { n["SignatureVersion"] = "1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAmazon(t, now.Add(time.Hour))
			s := newSES(topic, a.fetch)
			n := a.note(sesBounced)
			if strings.HasPrefix(name, "version") {
				a.sign(t, n)
				spoil(n)
				_, err := s.Read(t.Context(), Post{Body: marshal(t, n)}, now)
				require.ErrorIs(t, err, ErrUnproven)
				return
			}
			spoil(n)
			_, err := s.Read(t.Context(), Post{Body: a.sign(t, n)}, now)
			require.ErrorIs(t, err, ErrUnproven)
			for _, url := range a.visited {
				require.Equal(t, certURL, url)
			}
		})
	}
	a := newAmazon(t, now.Add(time.Hour))
	s := newSES(topic, a.fetch)
	for field, value := range map[string]string{"Message": strings.Replace(sesBounced, "jane", "mary", 1), "MessageId": "other", "Signature": "AAAA", "Subject": "added"} {
		n := a.note(sesBounced)
		a.sign(t, n)
		n[field] = value
		_, err := s.Read(t.Context(), Post{Body: marshal(t, n)}, now)
		require.ErrorIs(t, err, ErrUnproven, field)
	}
	expired := newAmazon(t, now.Add(-time.Minute))
	_, err := newSES(topic, expired.fetch).Read(t.Context(), Post{Body: expired.sign(t, expired.note(sesBounced))}, now)
	require.ErrorIs(t, err, ErrUnproven, "an expired certificate")
	down := newSES(topic, func(context.Context, string) ([]byte, error) { return nil, errors.New("no network") })
	_, err = down.Read(t.Context(), Post{Body: a.sign(t, a.note(sesBounced))}, now)
	require.ErrorContains(t, err, "no network")
	require.NotErrorIs(t, err, ErrUnproven, "then it is to come again")
}

func TestSendGridProvesItself(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	s, err := New(SendGrid, base64.StdEncoding.EncodeToString(der), nil, nil)
	require.NoError(t, err)
	body := []byte(`[{"event":"bounce","email":"jane@acme.example","timestamp":1795608000,"smtp-id":"<id@acme.example>","sg_event_id":"e1","reason":"550 5.1.1 no","status":"5.1.1","type":"bounce"},
		{"event":"open","email":"jane@acme.example","timestamp":1795608000,"sg_event_id":"e2"}]`)
	signed := func(at time.Time, body []byte) Post {
		stamp := strconv.FormatInt(at.Unix(), 10)
		sum := sha256.Sum256(append([]byte(stamp), body...))
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		require.NoError(t, err)
		h := http.Header{}
		h.Set("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature))
		h.Set("X-Twilio-Email-Event-Webhook-Timestamp", stamp)
		return Post{Header: h, Body: body}
	}
	events, err := s.Read(t.Context(), signed(now, body), now)
	require.NoError(t, err)
	require.Len(t, events, 1, "an opening is no news")
	require.Equal(t, dsn.Bounce, events[0].Kind)
	require.Equal(t, []string{"id@acme.example"}, events[0].MessageIDs)

	altered := signed(now, body)
	altered.Body = []byte(strings.Replace(string(body), "jane", "mary", 1))
	moved := signed(now.Add(-30*time.Hour), body)
	for name, p := range map[string]Post{
		"altered": altered, "two days old": moved, "no signature": {Header: http.Header{}, Body: body}, "nothing": {},
	} {
		_, err := s.Read(t.Context(), p, now)
		require.ErrorIs(t, err, ErrUnproven, name)
	}
	moved.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	_, err = s.Read(t.Context(), moved, now)
	require.ErrorIs(t, err, ErrUnproven, "the time is signed too")
	_, err = s.Read(t.Context(), signed(now, []byte(`{"event":"bounce"}`)), now)
	require.ErrorIs(t, err, ErrMalformed)
}

// gunPost is a request of Mailgun, signed with a key.
func gunPost(t testing.TB, key, token string, at time.Time, event string) Post {
	t.Helper()
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(stamp + token))
	return Post{Body: fmt.Appendf(nil, `{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, stamp, token, hex.EncodeToString(h.Sum(nil)), event)}
}

const gunFailed = `{"event":"failed","id":"e1","timestamp":1795608000.5,"severity":"permanent","reason":"bounce","recipient":"jane@acme.example",
	"delivery-status":{"code":550,"enhanced-code":"5.1.1","message":"5.1.1 user unknown","mx-host":"mx.acme.example"},
	"message":{"headers":{"message-id":"id@acme.example"}},"envelope":{"sender":"r-x@bounce.acme.example"}}`

func TestMailgunProvesItself(t *testing.T) {
	t.Parallel()
	m := mailgun{key: []byte("signing-key"), once: memory(now)}
	first := gunPost(t, "signing-key", "token1", now, gunFailed)
	for range 2 { // also after an answer that got lost
		events, err := m.Read(t.Context(), first, now)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, []string{"id@acme.example"}, events[0].MessageIDs)
		require.Equal(t, "r-x@bounce.acme.example", events[0].ReturnPath)
		require.EqualValues(t, 550, events[0].Code)
		require.Equal(t, int64(1795608000500), events[0].At.UnixMilli())
	}
	_, err := m.Read(t.Context(), gunPost(t, "signing-key", "token1", now, strings.Replace(gunFailed, "jane", "mary", 1)), now)
	require.ErrorIs(t, err, ErrUnproven, "the signature does not cover what it says")

	for name, p := range map[string]Post{
		"another key": gunPost(t, "guess", "token2", now, gunFailed), "old": gunPost(t, "signing-key", "token3", now.Add(-time.Hour), gunFailed),
		"from tomorrow": gunPost(t, "signing-key", "token4", now.Add(24*time.Hour), gunFailed), "no token": gunPost(t, "signing-key", "", now, gunFailed), "nothing": {}, "text": {Body: []byte("hello")},
	} {
		_, err := m.Read(t.Context(), p, now)
		require.ErrorIs(t, err, ErrUnproven, name)
	}
}

// memory remembers as the database does.
func memory(now time.Time) Once {
	used := map[string]string{}
	return func(_ context.Context, proof, words string, until time.Time) (bool, error) {
		if until.Sub(now) < mailgunOld {
			return false, errors.New("forgotten while the proof still counts")
		}
		before, ok := used[proof]
		if !ok {
			used[proof] = words
		}
		return !ok || before == words, nil
	}
}

func TestWithoutAMemoryMailgunIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	away := errors.New("the database is away")
	m := mailgun{key: []byte("k"), once: func(context.Context, string, string, time.Time) (bool, error) { return false, away }}
	_, err := m.Read(t.Context(), gunPost(t, "k", "token", now, gunFailed), now)
	require.ErrorIs(t, err, away)
}

func TestPostmarkProvesItself(t *testing.T) {
	t.Parallel()
	p := postmark{token: "s3cret"}
	body := []byte(`{"RecordType":"Bounce","ID":7,"Type":"HardBounce","MessageID":"pm","Email":"jane@acme.example","Details":"smtp;550 5.1.1 no such user","BouncedAt":"2026-11-25T11:59:00Z","Metadata":{"sparekey":"0198c1d2-1111-7000-8000-00000000000a"}}`)
	header := func(name, value string) http.Header { h := http.Header{}; h.Set(name, value); return h }
	basic := func(user, password string) http.Header {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header
	}
	for name, h := range map[string]http.Header{
		"password": basic("postmark", "s3cret"), "its header": header("X-Postmark-Token", "s3cret"), "bearer": header("Authorization", "Bearer s3cret"),
	} {
		events, err := p.Read(t.Context(), Post{Header: h, Body: body}, now)
		require.NoError(t, err, name)
		require.Len(t, events, 1)
		require.Equal(t, "0198c1d2-1111-7000-8000-00000000000a", events[0].Reference)
	}
	for name, h := range map[string]http.Header{
		"nothing": {}, "wrong password": basic("postmark", "s3cre"), "as user": basic("s3cret", ""), "empty": basic("", ""), "empty header": header("X-Postmark-Token", ""), "longer": header("X-Postmark-Token", "s3cret2"),
	} {
		_, err := p.Read(t.Context(), Post{Header: h, Body: body}, now)
		require.ErrorIs(t, err, ErrUnproven, name)
	}
	_, err := p.Read(t.Context(), Post{Header: basic("x", "s3cret"), Body: []byte("{")}, now)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestOnlyKnownProviders(t *testing.T) {
	t.Parallel()
	_, err := New("sparkpost", "x", nil, nil)
	require.Error(t, err)
	_, err = New(SendGrid, "bm8ga2V5", nil, nil)
	require.Error(t, err)
}
