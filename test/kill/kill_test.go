package kill

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit"
)

// kills is how often TestAnsweredMeansSent kills; SPAREKEY_KILLS says otherwise.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SPAREKEY_KILLS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "SPAREKEY_KILLS")
	return n
}

// TestAnsweredMeansSent kills the server right after the answer to an asking,
// again and again. Every asking that was answered becomes a mail; a copy has the
// Message-ID and every octet of the first.
func TestAnsweredMeansSent(t *testing.T) {
	eachDB(t, func(w *world) {
		n := kills(w.t)
		for i := range n {
			w.serve()
			w.ask()
			// From at once to a little later: before, while and after the job is
			// resolved and the mail handed over.
			time.Sleep(time.Duration(i%5) * 2 * time.Millisecond)
			w.kill()
		}
		w.serve()
		w.until(n)
		mails, copies := w.arrived(), 0
		require.Len(w.t, mails, n, "one mail for each asking")
		link := ""
		for _, same := range mails {
			copies += len(same) - 1
			for _, m := range same {
				require.Equal(w.t, []string{jane}, m.To)
				require.Equal(w.t, same[0].Raw, m.Raw, "a copy is the same mail")
			}
			link = same[0].LinkTo("/reset-password/")
			status, err := w.get(strings.TrimPrefix(link, w.url))
			require.NoError(w.t, err)
			require.Equal(w.t, http.StatusOK, status, "and its link works")
		}
		w.t.Logf("%d kills: %d mails, %d copies", n, len(mails), copies)
		require.NotContains(w.t, w.log.String(), link[strings.LastIndexByte(link, '/')+1:], "no link is in the log")
	})
}

// TestAKillInTheMiddleOfAMail: the next run sends it once the lease is over.
func TestAKillInTheMiddleOfAMail(t *testing.T) {
	eachDB(t, func(w *world) {
		reached, release := make(chan struct{}), make(chan struct{})
		w.inbox.SetFate(func(string, string, []byte) error {
			close(reached)
			<-release
			return errors.New("the connection broke")
		})
		w.serve()
		w.ask()
		<-reached
		w.kill()
		killed := time.Now()
		w.inbox.SetFate(nil)
		close(release)
		w.serve()
		w.until(1)
		took := time.Since(killed)
		w.t.Logf("sent %.1f s after the kill", took.Seconds())
		require.Less(w.t, took, 14*time.Second) // a lease of 10, a look each second, and a busy machine
		require.Len(w.t, w.inbox.Mails(), 1)
	})
}

// TestEndingAnswersWhoIsThere: requests under way when SIGTERM comes are
// answered, new ones are not taken, and the status is 0.
func TestEndingAnswersWhoIsThere(t *testing.T) {
	eachDB(t, func(w *world) {
		w.serve()
		var visitors []*visitor
		for range 8 {
			visitors = append(visitors, w.visit("/acme/login", url.Values{"email": {jane}, "password": {testkit.Passphrase}}))
			visitors = append(visitors, w.visit("/acme/forgot-password", url.Values{"email": {jane}}))
		}
		w.terminate()
		require.Eventually(w.t, func() bool {
			_, err := w.get("/livez")
			return err != nil
		}, patience, 10*time.Millisecond, "it still takes new requests")
		for _, v := range visitors {
			v.finish(map[string]int{"/acme/login": http.StatusSeeOther, "/acme/forgot-password": http.StatusOK}[v.path])
		}
		require.NoError(w.t, w.wait())

		w.serve()
		w.until(8)
		require.Len(w.t, w.arrived(), 8, "what was answered at the last moment is sent")
	})
}

// visitor has sent the head of a request, and the server waits for the rest.
type visitor struct {
	w    *world
	path string
	conn net.Conn
	in   *bufio.Reader
	rest string
}

func (w *world) visit(path string, form url.Values) *visitor {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(patience)))
	v := &visitor{w: w, path: path, conn: conn, in: bufio.NewReader(conn), rest: form.Encode()}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: sparekey\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, len(v.rest))
	require.NoError(w.t, err)
	line, err := v.in.ReadString('\n') // it comes when the server asks for the body
	require.NoError(w.t, err)
	require.Contains(w.t, line, "100 Continue")
	_, err = v.in.ReadString('\n')
	require.NoError(w.t, err)
	return v
}

func (v *visitor) finish(want int) {
	v.w.t.Helper()
	_, err := io.WriteString(v.conn, v.rest)
	require.NoError(v.w.t, err)
	res, err := http.ReadResponse(v.in, nil)
	require.NoError(v.w.t, err, v.path)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(v.w.t, errors.Join(err, res.Body.Close()))
	require.Equal(v.w.t, want, res.StatusCode, v.path)
}

// TestEndingFinishesTheMail under way, and writes down that it is sent.
func TestEndingFinishesTheMail(t *testing.T) {
	eachDB(t, func(w *world) {
		reached, release := make(chan struct{}), make(chan struct{})
		w.inbox.SetFate(func(string, string, []byte) error {
			close(reached)
			<-release
			return nil
		})
		w.serve()
		w.ask()
		<-reached
		w.terminate()
		w.inbox.SetFate(nil)
		close(release)
		require.NoError(w.t, w.wait())
		require.Len(w.t, w.inbox.Mails(), 1)
		shown := w.command("", "user", "show", "--environment", "acme", "--email", jane, "--json")
		require.Contains(w.t, shown, `"sent"`)

		w.serve()
		w.ask()
		w.until(2)
		require.Len(w.t, w.inbox.Mails(), 2, "no copy of the first")
	})
}
