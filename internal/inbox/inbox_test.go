package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/inbox"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/relay"
)

const resetLink = "http://localhost:8080/acme/reset-password/0V3G7T4K8Q2ZC9M5N1B6HX0R4D7W8Y3F5J2K9P1A"

func start(t testing.TB) *inbox.Inbox {
	t.Helper()
	b, err := inbox.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// post sends with the standard library's client, which is not the code under test.
func post(t testing.TB, b *inbox.Inbox, to, message string) error {
	t.Helper()
	message = strings.ReplaceAll(message, "\n", "\r\n")
	return smtp.SendMail(b.Addr(), nil, "no-reply@login.example.com", []string{to}, []byte(message))
}

func any1(inbox.Mail) bool { return true }

func TestReceivesWhatWeSend(t *testing.T) {
	t.Parallel()
	b := start(t)
	now := time.Now()
	raw, err := mail.Render(mail.Reset, mail.Data{
		Environment: "Żółw & Söhne", From: mail.Party{Name: "Żółw", Address: "no-reply@login.example.com"},
		To: mail.Party{Name: "Jane", Address: "jane@acme.example"}, MessageID: "1@login.example.com", Date: now,
		Link: resetLink, Code: "04711815", Until: now, NotMe: "http://localhost:8080/acme/not-me/X", NotMeUntil: now,
	})
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(b.Addr())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	r := relay.New(relay.Options{Servers: []relay.Server{{Host: host, Port: number, TLS: relay.None}}, Clock: time.Now})
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	for _, a := range r.Send(t.Context(), relay.Envelope{From: "bounce@login.example.com", To: "jane@acme.example"}, raw) {
		require.NoError(t, a.Err)
	}

	m, err := b.Wait(t.Context(), any1)
	require.NoError(t, err)
	require.Equal(t, 1, m.ID)
	require.WithinDuration(t, now, m.At, time.Minute)
	require.Equal(t, "bounce@login.example.com", m.From)
	require.Equal(t, []string{"jane@acme.example"}, m.To)
	require.Equal(t, "Reset your password · Żółw & Söhne", m.Subject)
	require.Equal(t, "1@login.example.com", m.MessageID)
	require.Equal(t, resetLink, m.LinkTo("/reset-password/"))
	require.Equal(t, "http://localhost:8080/acme/not-me/X", m.LinkTo("/not-me/"))
	require.Empty(t, m.LinkTo("/invitation/"))
	require.Equal(t, "04711815", m.Code())
	require.Contains(t, m.HTML, "Żółw &amp; Söhne")
	require.Equal(t, string(raw), string(m.Raw))
	require.Len(t, b.Mails(), 1)
	b.Clear()
	require.Empty(t, b.Mails())
}

func TestTakesWhatIsNoProperMessage(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, message := range []string{
		"no header at all", "\n\n", "Content-Type: multipart/mixed; boundary=x\n\n--x\n", "Content-Type: text/plain; charset=none\n\nhi\n",
		"Content-Transfer-Encoding: base64\n\n%%%\n", "Subject: =?x?y?z?=\n\nbody\n",
	} {
		require.NoError(t, post(t, b, "jane@acme.example", message), message)
	}
	require.Len(t, b.Mails(), 6)
	require.NoError(t, post(t, b, "jane@acme.example", "Subject: one part\n\nhttp://x/y z\nhttp://x/y\n123456789\n12345678\n"))
	m := b.Mails()[6]
	require.Equal(t, "http://x/y", m.LinkTo("/y"), "only a link alone on its line")
	require.Equal(t, "12345678", m.Code())
}

func TestWaitWakesForTheRightMail(t *testing.T) {
	t.Parallel()
	b := start(t)
	got := make(chan inbox.Mail, 1)
	go func() {
		m, err := b.Wait(context.Background(), func(m inbox.Mail) bool { return m.Subject == "second" })
		if err == nil {
			got <- m
		}
	}()
	require.NoError(t, post(t, b, "a@x.test", "Subject: first\n\n"))
	require.NoError(t, post(t, b, "b@x.test", "Subject: second\n\n"))
	require.Equal(t, []string{"b@x.test"}, (<-got).To)
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	b, err := inbox.Listen("127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Wait(ctx, any1)
	require.ErrorIs(t, err, context.Canceled)

	ended := make(chan error, 1)
	go func() {
		_, err := b.Wait(context.Background(), any1)
		ended <- err
	}()
	require.NoError(t, b.Close())
	require.ErrorIs(t, <-ended, inbox.ErrClosed)
	require.NoError(t, b.Close(), "closing twice is fine")
}

func TestKeepsTheNewest(t *testing.T) {
	t.Parallel()
	b := start(t)
	client, err := smtp.Dial(b.Addr())
	require.NoError(t, err)
	for i := range inbox.Keep + 5 {
		require.NoError(t, client.Mail("a@x.test"))
		require.NoError(t, client.Rcpt("b@x.test"))
		w, err := client.Data()
		require.NoError(t, err)
		_, err = fmt.Fprintf(w, "Subject: %d\r\n\r\n", i+1)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	require.NoError(t, client.Quit())
	mails := b.Mails()
	require.Len(t, mails, inbox.Keep)
	require.Equal(t, "6", mails[0].Subject)
	require.Equal(t, inbox.Keep+5, mails[inbox.Keep-1].ID)
}

func TestFate(t *testing.T) {
	t.Parallel()
	b := start(t)
	free := make(chan struct{})
	b.SetFate(func(_, to string, data []byte) error {
		switch to {
		case "nobody@x.test":
			return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
		case "slow@x.test":
			<-free
		}
		if strings.Contains(string(data), "spam") {
			return errors.New("no")
		}
		return nil
	})
	require.ErrorContains(t, post(t, b, "nobody@x.test", "Subject: a\n\n"), "5.1.1 No such user")
	require.ErrorContains(t, post(t, b, "jane@x.test", "Subject: spam\n\n"), "554")
	require.Empty(t, b.Mails())

	var slow sync.WaitGroup
	slow.Go(func() {
		if err := post(t, b, "slow@x.test", "Subject: slow\n\n"); err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, post(t, b, "jane@x.test", "Subject: quick\n\n"), "a slow mail holds up no other")
	close(free)
	slow.Wait()
	b.SetFate(nil)
	require.NoError(t, post(t, b, "nobody@x.test", "Subject: a\n\n"))
	require.Len(t, b.Mails(), 3)
}

func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	_, err := inbox.Listen("0.0.0.0:0")
	require.ErrorContains(t, err, "loopback")
	_, err = inbox.Listen(":0")
	require.Error(t, err)
	_, err = inbox.Listen("nonsense")
	require.Error(t, err)
}

func get(t testing.TB, h http.Handler, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := w.Result()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer, string(body)
}

const hostile = `Subject: <script>alert(1)</script>
From: <x@y.test>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

<img src=x onerror=alert(1)> see http://x.test/?a=1&b="><script>alert(2)</script> and
http://localhost/acme/reset-password/ABC.
--b
Content-Type: text/html

</iframe><script>alert(3)</script>"><p style="color: red">hi
--b--
`

func TestPages(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, prefix := range []string{"/inbox", "/inbox/", ""} {
		b.Clear()
		h := b.Handler(prefix)
		at := "/" + strings.Trim(prefix, "/")
		at = strings.TrimSuffix(at, "/")

		answer, body := get(t, h, "GET", at+"/")
		require.Equal(t, 200, answer.StatusCode)
		require.Contains(t, body, "Nothing has arrived yet.")
		require.Contains(t, body, at+"/inbox.css")

		require.NoError(t, post(t, b, "jane@acme.example", "Subject: older\n\nhello\n"))
		require.NoError(t, post(t, b, "jane@acme.example", hostile))
		_, body = get(t, h, "GET", at+"/")
		require.Less(t, strings.Index(body, "alert(1)"), strings.Index(body, "older"), "newest first")
		require.NotContains(t, body, "<script")
		id := b.Mails()[1].ID

		answer, body = get(t, h, "GET", fmt.Sprintf("%s/mails/%d", at, id))
		require.Equal(t, 200, answer.StatusCode)
		require.NotContains(t, body, "<script")
		require.NotContains(t, body, "<img")
		require.Equal(t, 1, strings.Count(body, "</iframe>"), "the mail does not leave its frame")
		require.Contains(t, body, `sandbox="allow-popups allow-popups-to-escape-sandbox"`)
		require.Contains(t, body, `<a rel="noreferrer noopener" href="http://localhost/acme/reset-password/ABC">http://localhost/acme/reset-password/ABC</a>.`)
		require.Contains(t, body, `href="http://x.test/?a=1&amp;b=`)
		require.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, answer.Header.Get("Content-Security-Policy"), "script-src")
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", answer.Header.Get("Referrer-Policy"))

		answer, body = get(t, h, "GET", fmt.Sprintf("%s/mails/%d/raw", at, id))
		require.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		require.Equal(t, string(b.Mails()[1].Raw), body)

		answer, body = get(t, h, "GET", at+"/api/mails")
		require.Equal(t, "application/json", answer.Header.Get("Content-Type"))
		var list []map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		require.Len(t, list, 2)
		require.Equal(t, "<script>alert(1)</script>", list[0]["subject"])
		require.Equal(t, "older", list[1]["subject"])
		require.Equal(t, "hello\n", list[1]["text"])

		answer, _ = get(t, h, "GET", at+"/inbox.css")
		require.Equal(t, 200, answer.StatusCode)
		require.Contains(t, answer.Header.Get("Content-Type"), "text/css")

		for _, path := range []string{"/mails/99999", "/mails/x", "/mails/-1"} {
			answer, _ = get(t, h, "GET", at+path)
			require.Equal(t, 404, answer.StatusCode, path)
		}
		answer, _ = get(t, h, "POST", at+"/clear", "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site")
		require.Equal(t, 403, answer.StatusCode)
		require.Len(t, b.Mails(), 2)
		answer, _ = get(t, h, "POST", at+"/clear", "Sec-Fetch-Site", "same-origin")
		require.Equal(t, 303, answer.StatusCode)
		require.Empty(t, b.Mails())
	}
}

func TestEmptyListIsAnArray(t *testing.T) {
	t.Parallel()
	_, body := get(t, start(t).Handler("/inbox"), "GET", "/inbox/api/mails")
	require.Equal(t, "[]\n", body)
}

func BenchmarkTake(b *testing.B) {
	box := start(b)
	host, port, err := net.SplitHostPort(box.Addr())
	require.NoError(b, err)
	number, err := strconv.Atoi(port)
	require.NoError(b, err)
	r := relay.New(relay.Options{Servers: []relay.Server{{Host: host, Port: number, TLS: relay.None}}, Clock: time.Now})
	b.Cleanup(func() { _ = r.Close() })
	raw := []byte(strings.ReplaceAll(hostile, "\n", "\r\n"))
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			for _, a := range r.Send(b.Context(), relay.Envelope{From: "a@x.test", To: "b@x.test"}, raw) {
				if a.Err != nil {
					b.Error(a.Err)
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
