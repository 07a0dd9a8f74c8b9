package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inBurst is how many people ask at once; bench -only flapping asks with more.
const inBurst = 300

// TestABurstWithAFlappingServer: many ask at once while the first of two mail
// servers goes down and up and breaks off in the middle, and the program is
// killed. Everybody gets the mail, once, but for what was under way at the kill.
func TestABurstWithAFlappingServer(t *testing.T) {
	eachDB(t, func(w *world) {
		f := newFlapper(w.t, 150*time.Millisecond, 100*time.Millisecond)
		metrics := freeAddress(w.t)
		w.environ = append(w.environ, "SPAREKEY_SMTP=smtp://"+f.addr+"?tls=none,smtp://"+w.inbox.Addr()+"?tls=none", "SPAREKEY_METRICS_LISTEN="+metrics)
		people := w.people(inBurst)
		w.serve()
		w.askAll(people[:inBurst/2])
		w.kill()
		w.serve()
		w.askAll(people[inBurst/2:])
		require.Eventually(w.t, func() bool { return waiting(w.t, metrics) == 0 }, 2*patience, 50*time.Millisecond, "the queue does not drain")

		mails := w.everywhere(f)
		ids := map[string]string{}
		copies := 0
		for to, all := range mails {
			for _, m := range all {
				require.True(w.t, all[0] == m, "the copy of %s is another mail", m.messageID)
				require.Contains(w.t, []string{"", to}, ids[m.messageID], "a mail of somebody else")
				ids[m.messageID] = to
			}
			copies += len(all) - 1
		}
		require.Len(w.t, mails, inBurst, "nobody is forgotten")
		require.LessOrEqual(w.t, copies, 12, "only what was under way at the kill can come twice")
		_, broken := f.letters()
		fromFlapper, _ := f.letters()
		w.t.Logf("%d mails, %d of them by the flapping server, which broke off %d conversations; %d copies", len(mails), len(fromFlapper), broken, copies)
		require.Positive(w.t, broken)
		for i := 0; i < inBurst; i += inBurst / 6 {
			w.timelineIsRight(people[i], f.addr)
		}
	})
}

// people imports so many users.
func (w *world) people(n int) []string {
	w.t.Helper()
	var file strings.Builder
	file.WriteString("email,name,password_hash\n")
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("p%04d@acme.example", i)
		fmt.Fprintf(&file, "%s,Person %d,\"$argon2id$v=19$m=19456,t=2,p=1$bm90c2VjcmV0MTIzNDU2$qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo\"\n", all[i], i)
	}
	path := filepath.Join(w.folder, "people.csv")
	require.NoError(w.t, os.WriteFile(path, []byte(file.String()), 0o600))
	w.command("", "user", "import", "--environment", "acme", path)
	return all
}

// askAll lets everybody ask, sixteen at a time.
func (w *world) askAll(people []string) {
	w.t.Helper()
	todo := make(chan string)
	var askers sync.WaitGroup
	for range 16 {
		askers.Go(func() {
			for email := range todo {
				r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/acme/forgot-password", strings.NewReader(url.Values{"email": {email}}.Encode()))
				if err != nil {
					w.t.Error(err)
					continue
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if status, err := do(r); err != nil || status != http.StatusOK {
					w.t.Errorf("asking for %s: %d %v", email, status, err)
				}
			}
		})
	}
	for _, p := range people {
		todo <- p
	}
	close(todo)
	askers.Wait()
}

var waitingJobs = regexp.MustCompile(`(?m)^sparekey_jobs_waiting\{kind="[a-z]+"\} (\S+)$`)

// waiting is how many jobs of all kinds are not done yet.
func waiting(t *testing.T, metrics string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+metrics+"/metrics", nil)
	require.NoError(t, err)
	res, err := client.Do(r)
	if err != nil {
		return -1
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return -1
	}
	sum := 0
	found := waitingJobs.FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		n, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		sum += int(n)
	}
	if len(found) == 0 {
		return -1
	}
	return sum
}

// everywhere gives what both servers took, by recipient.
func (w *world) everywhere(f *flapper) map[string][]letter {
	w.t.Helper()
	all, _ := f.letters()
	for _, m := range w.inbox.Mails() {
		require.Len(w.t, m.To, 1)
		all = append(all, letter{m.To[0], m.MessageID, string(m.Raw)})
	}
	mails := map[string][]letter{}
	for _, m := range all {
		mails[m.to] = append(mails[m.to], m)
	}
	return mails
}

// timelineIsRight: what scripts read of a person ends with the acceptance, and
// was not paid for with many attempts.
func (w *world) timelineIsRight(email, flapping string) {
	w.t.Helper()
	var shown struct {
		Messages []struct {
			State    string
			Attempts []struct {
				Server, Stage string
				Code          int
			}
		}
	}
	require.NoError(w.t, json.Unmarshal([]byte(w.command("", "user", "show", "--environment", "acme", "--email", email, "--json")), &shown))
	require.Len(w.t, shown.Messages, 1, email)
	m := shown.Messages[0]
	require.Equal(w.t, "sent", m.State, email)
	require.LessOrEqual(w.t, len(m.Attempts), 6, email)
	for i, a := range m.Attempts {
		if i < len(m.Attempts)-1 {
			require.Equal(w.t, flapping, a.Server, "only the flapping one failed")
			require.Zero(w.t, a.Code)
		} else {
			require.Equal(w.t, 250, a.Code)
		}
	}
}
