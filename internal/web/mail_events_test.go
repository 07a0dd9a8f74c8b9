package web_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/testkit"
)

// post posts as a mail provider does: without cookies, from its own network.
func post(w *testkit.World, provider, body string, header ...string) (int, string) {
	w.T.Helper()
	r, err := http.NewRequestWithContext(w.Ctx(), http.MethodPost, w.URL+"/mail-events/"+provider, bytes.NewReader([]byte(body)))
	require.NoError(w.T, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "https://provider.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(w.T, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(w.T, err)
	require.NoError(w.T, answer.Body.Close())
	return answer.StatusCode, string(text)
}

func gun(w *testkit.World, token, event string) string {
	stamp := strconv.FormatInt(w.Clock.Now().Unix(), 10)
	h := hmac.New(sha256.New, []byte("gun-key"))
	h.Write([]byte(stamp + token))
	return fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, stamp, token, hex.EncodeToString(h.Sum(nil)), event)
}

func events(c *config.Config) {
	c.MailEvents = []config.MailEvent{{Provider: "mailgun", Proof: "gun-key"}, {Provider: "postmark", Proof: "pm-token"}}
}

// kept counts what the events left behind.
func kept(w *testkit.World, table string) int {
	w.T.Helper()
	n := 0
	w.View(func(tx *db.Tx) (err error) {
		n, err = db.One[int](tx, "SELECT count(*) FROM "+table)
		return err
	})
	return n
}

func askedAndMailed(w *testkit.World) (messageID string) {
	w.T.Helper()
	w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
	id := w.Mail(w.Jane.Email, "Reset your password").MessageID
	require.Eventually(w.T, func() bool { return kept(w, "messages WHERE state = 'sent'") == 1 }, 20*time.Second, 10*time.Millisecond)
	return id
}

func TestAProviderReportsABounce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		id := askedAndMailed(w)
		failed := fmt.Sprintf(`{"event":"failed","id":"e1","timestamp":%d,"severity":"permanent","reason":"bounce","recipient":"jane@acme.example",
			"delivery-status":{"code":550,"message":"5.1.1 <jane@acme.example>: User unknown"},"message":{"headers":{"message-id":%q}}}`, w.Clock.Now().Unix(), id)
		status, text := post(w, "mailgun", gun(w, "t1", failed))
		require.Equal(t, http.StatusOK, status, text)
		require.Equal(t, 1, kept(w, "reports WHERE source = 'mailgun' AND kind = 'bounce' AND class = 'no-such-mailbox'"))
		require.Equal(t, 1, kept(w, "suppressions"))
		require.Equal(t, 1, kept(w, "cases"))

		// The same again, and again in a new request: nothing twice, and no complaint.
		for _, token := range []string{"t1", "t2"} {
			status, _ = post(w, "mailgun", gun(w, token, failed))
			require.Equal(t, http.StatusOK, status)
		}
		status, _ = post(w, "mailgun", gun(w, "t1", strings.Replace(failed, "e1", "e9", 1)))
		require.Equal(t, http.StatusForbidden, status, "a replayed token with other words")
		require.Equal(t, 1, kept(w, "reports"))

		// Another node knows the token too, and a new one is taken there.
		other, err := app.New(w.Ctx(), w.Config, testkit.Options(w.Clock))
		require.NoError(t, err)
		t.Cleanup(func() { _ = other.Close() })
		here := *w
		node := httptest.NewServer(other.Handler())
		t.Cleanup(node.Close)
		here.URL = node.URL
		status, _ = post(&here, "mailgun", gun(w, "t1", strings.Replace(failed, "e1", "e9", 1)))
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, 1, kept(w, "reports"), "used at another node")
		status, _ = post(&here, "mailgun", gun(w, "t3", strings.Replace(failed, "e1", "e9", 1)))
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 2, kept(w, "reports"))

		require.Equal(t, 3, kept(w, "used_once"))
		w.Clock.Advance(31 * time.Minute)
		require.NoError(t, w.App.Tidy(w.Ctx()))
		require.Zero(t, kept(w, "used_once"), "too old to be believed anyway")
	}, events)
}

// TestAProvidersOwnListIsMirrored with its name, so that the operator knows where
// to clear it; matched by what we gave along, or by the address alone.
func TestAProvidersOwnListIsMirrored(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askedAndMailed(w)
		status, text := post(w, "postmark", `{"RecordType":"Bounce","ID":9,"Type":"ManuallyDeactivated","Email":"JANE@acme.example","Details":"","BouncedAt":"2026-01-01T00:00:00Z"}`, "X-Postmark-Token", "pm-token")
		require.Equal(t, http.StatusOK, status, text)
		require.Equal(t, 1, kept(w, "suppressions WHERE provider = 'postmark' AND class = 'suppressed'"))
		// Nobody's mail: taken without a word, kept nowhere.
		status, _ = post(w, "postmark", `{"RecordType":"Delivery","Recipient":"nobody@elsewhere.example"}`, "X-Postmark-Token", "pm-token")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 1, kept(w, "reports"))
	}, events)
}

// TestTheMailOfOthersIsNotOurs: an account with a provider may be shared, and what
// befell a newsletter keeps nobody from a reset mail.
func TestTheMailOfOthersIsNotOurs(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askedAndMailed(w)
		for token, of := range map[string]string{
			"t1": `"message":{"headers":{"message-id":"newsletter-4711@marketing.other.example"}},"envelope":{"sender":"news@marketing.other.example"}`,
			"t2": `"message":{"headers":{"message-id":"newsletter-4711@marketing.other.example"}}`,
			"t3": `"message":{"headers":{}},"envelope":{"sender":"news@marketing.other.example"}`,
			"t4": `"message":{"headers":{"message-id":"0198c1d2-1111-7000-8000-00000000000a@sparekey.example"}}`,
		} {
			status, text := post(w, "mailgun", gun(w, token, fmt.Sprintf(`{"event":"complained","id":%q,"timestamp":%d,"recipient":"jane@acme.example",%s}`, token, w.Clock.Now().Unix(), of)))
			require.Equal(t, http.StatusOK, status, text)
		}
		status, _ := post(w, "postmark", `{"RecordType":"SpamComplaint","ID":9,"Email":"jane@acme.example","Metadata":{"sparekey":"of another installation"}}`, "X-Postmark-Token", "pm-token")
		require.Equal(t, http.StatusOK, status)
		require.Zero(t, kept(w, "reports"))
		require.Zero(t, kept(w, "suppressions"))
	}, events, func(c *config.Config) { c.BounceListen, c.BounceDomain = "127.0.0.1:0", "bounce.sparekey.example" })
}

func TestPostmarkGivesBackWhichMailItWas(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"), events)
	askedAndMailed(w)
	raw := string(w.Inbox.Mails()[0].Raw)
	_, rest, ok := strings.Cut(raw, "X-PM-Metadata-sparekey: ")
	require.True(t, ok, raw)
	reference, _, _ := strings.Cut(rest, "\r\n")
	status, _ := post(w, "postmark", fmt.Sprintf(`{"RecordType":"Delivery","Recipient":"jane.doe@forward.example","MessageID":"pm","Metadata":{"sparekey":%q}}`, reference), "X-Postmark-Token", "pm-token")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, kept(w, "reports WHERE kind = 'delivered'"))
}

func TestOnlyProvenEventsOfProvidersThatAreSetUp(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		askedAndMailed(w)
		bounce := `{"RecordType":"Bounce","ID":9,"Type":"HardBounce","Email":"jane@acme.example","Details":"550 5.1.1 user unknown"}`
		for _, provider := range []string{"ses", "sendgrid", "sparkpost", "x%2Fy"} {
			status, _ := post(w, provider, bounce)
			require.Equal(t, http.StatusNotFound, status, provider)
		}
		status, text := post(w, "postmark", bounce)
		require.Equal(t, http.StatusForbidden, status)
		require.NotContains(t, text, "pm-token")
		status, _ = post(w, "postmark", bounce, "X-Postmark-Token", "pm-tokem")
		require.Equal(t, http.StatusForbidden, status)
		status, _ = post(w, "mailgun", strings.Replace(gun(w, "t1", `{"event":"failed"}`), `"timestamp":"`, `"timestamp":"1`, 1))
		require.Equal(t, http.StatusForbidden, status)
		status, _ = post(w, "postmark", "{", "X-Postmark-Token", "pm-token")
		require.Equal(t, http.StatusBadRequest, status)
		status, _ = post(w, "postmark", `{"x":"`+strings.Repeat("x", 2<<20)+`"}`, "X-Postmark-Token", "pm-token")
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
		require.Zero(t, kept(w, "reports"))
		require.Zero(t, kept(w, "suppressions"))

		page := w.Browser().Get("/mail-events/postmark")
		require.Equal(t, http.StatusNotFound, page.Status)
	}, events)
}
