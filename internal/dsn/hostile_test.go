package dsn

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit/effort"
)

// quickly reads a mail and fails if it took longer than its size can cost, or kept
// much more than it.
func quickly(t *testing.T, mail string) Returned {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r Returned
	var err error
	took := effort.Of(func() { r, err = Read(strings.NewReader(mail)) })
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Less(t, took, 8*time.Second, "%d bytes", len(mail))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400<<20), "%d bytes", len(mail))
	assert.LessOrEqual(t, len(r.Recipients), maxRecipients)
	assert.LessOrEqual(t, len(r.Text), maxWords)
	return r
}

const reportHead = "Return-Path: <>\nFrom: MAILER-DAEMON@evil.example\nTo: b@keys.example\nSubject: Undelivered Mail\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"

func TestAHostileMailCostsNoMoreThanItsSize(t *testing.T) {
	many := func(form string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, form, i)
		}
		return b.String()
	}
	t.Run("10,000 recipients", func(t *testing.T) {
		r := quickly(t, reportHead+"--b\nContent-Type: text/plain\n\n"+many("<u%d@a.example>: no such user\n", 10_000)+
			"\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\n"+many("Final-Recipient: rfc822; u%d@a.example\nAction: failed\nStatus: 5.1.1\n\n", 10_000)+"--b--\n")
		assert.Len(t, r.Recipients, maxRecipients)
		assert.True(t, r.MoreRecipients)
		assert.Equal(t, "<u7@a.example>: no such user", r.Recipients[7].Text)
	})
	t.Run("10,000 recipients without an empty line", func(t *testing.T) {
		r := quickly(t, reportHead+"--b\nContent-Type: message/delivery-status\n\n"+many("Final-Recipient: rfc822; u%d@a.example\nAction: failed\nStatus: 5.1.1\n", 10_000)+"\n--b--\n")
		assert.Greater(t, len(r.Recipients), 100)
		assert.True(t, r.MoreRecipients)
	})
	t.Run("10,000 recipients in plain words", func(t *testing.T) {
		r := quickly(t, "From: MAILER-DAEMON@q.example\nTo: b@keys.example\nSubject: failure notice\n\nHi. This is the qmail-send program\n\n"+many("<u%d@a.example>:\nno\n\n", 10_000))
		assert.Equal(t, Bounce, r.Kind)
		assert.True(t, r.MoreRecipients)
	})
	t.Run("5 MB of words", func(t *testing.T) {
		r := quickly(t, "From: MAILER-DAEMON@q.example\nSubject: Undeliverable\n\n550 5.1.1 no such user\n"+strings.Repeat("lorem ipsum @ <dolor@sit> ", 220_000))
		assert.Equal(t, Bounce, r.Kind)
	})
	t.Run("5 MB on one line", func(t *testing.T) { quickly(t, "From: postmaster@a\n\n"+strings.Repeat("a", 5<<20)) })
	t.Run("5 MB of at signs", func(t *testing.T) {
		quickly(t, "From: postmaster@a\nTo: "+strings.Repeat("a@", 2<<20)+"\n\n"+strings.Repeat("@", 3<<20))
	})
	t.Run("a header without end", func(t *testing.T) { quickly(t, many("X-%d: y\n", 500_000)) })
	t.Run("a field without end", func(t *testing.T) { quickly(t, "Subject: a\n"+strings.Repeat(" folded again\n", 350_000)) })
	t.Run("brackets and comments", func(t *testing.T) {
		quickly(t, "From: "+strings.Repeat("(", 2<<20)+"\nTo: "+strings.Repeat("<", 2<<20)+"\n\n")
	})
	t.Run("10,000 parts", func(t *testing.T) {
		quickly(t, reportHead+strings.Repeat("--b\nContent-Type: text/plain\n\nx\n", 10_000))
	})
	t.Run("boundaries that are no boundaries", func(t *testing.T) { quickly(t, reportHead+strings.Repeat("--bb\n--b b\n--\n", 300_000)) })
	t.Run("NULs", func(t *testing.T) {
		r := quickly(t, reportHead+"--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a\x00@b.example\nAction: fai\x00led\nStatus: 5.1.1\n\n"+strings.Repeat("\x00", 1<<20)+"\n--b--\n")
		assert.Equal(t, "a@b.example", r.Recipients[0].Address)
		assert.Equal(t, Failed, r.Recipients[0].Action)
	})
	t.Run("eight bits everywhere", func(t *testing.T) {
		quickly(t, "Subject: \xff\xfe\nFrom: \xe9\n\n"+strings.Repeat("\x80\xff\xa4\xe9", 1<<20))
	})
	t.Run("a page of open tags", func(t *testing.T) {
		quickly(t, "From: postmaster@a\nContent-Type: text/html\n\n"+strings.Repeat("<p><a href=\"", 300_000))
	})
	t.Run("escapes of Japan", func(t *testing.T) {
		quickly(t, "From: postmaster@a\nContent-Type: text/plain; charset=iso-2022-jp\n\n"+strings.Repeat("\x1b$B$3\x1b(B", 500_000))
	})
	t.Run("bad encodings", func(t *testing.T) {
		quickly(t, "From: postmaster@a\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat("====AAAA\x00", 500_000))
		quickly(t, "From: postmaster@a\nContent-Transfer-Encoding: quoted-printable\n\n"+strings.Repeat("=ZZ=\n", 900_000))
	})
}

func TestPartsWithinPartsEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("From: MAILER-DAEMON@a.example\nContent-Type: multipart/mixed; boundary=b0\n\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i+1)
	}
	b.WriteString("--b10000\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n")
	quickly(t, b.String())

	// A report that encloses a report that encloses …
	mail := reportHead + "--b\n\nx\n--b--\n"
	for range 50 {
		mail = "From: a@b.example\nSubject: fwd\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: message/rfc822\n\n" + mail + "\n--c--\n"
	}
	quickly(t, mail)
}

func TestALongTextIsCutBetweenCharacters(t *testing.T) {
	for shift := range 3 {
		r := quickly(t, "From: postmaster@a.example\nSubject: Undeliverable\n\n"+strings.Repeat("x", shift)+strings.Repeat("届", 200_000))
		assert.NotContains(t, r.Text, "å", "read as if it were another charset")
		assert.Contains(t, r.Text, "届")
	}
}

func TestLineEndsMakeNoDifference(t *testing.T) {
	t.Parallel()
	mails, err := filepath.Glob("testdata/returned/*.eml")
	require.NoError(t, err)
	for _, name := range mails {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		unix, err := Read(bytes.NewReader(raw))
		require.NoError(t, err)
		internet, err := Read(bytes.NewReader(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))))
		require.NoError(t, err)
		assert.Equal(t, unix, internet, name)
	}
}

func TestAMailCutAnywhereIsStillRead(t *testing.T) {
	t.Parallel()
	mails, err := filepath.Glob("testdata/returned/*.eml")
	require.NoError(t, err)
	for _, name := range mails {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		for n := 0; n < len(raw); n += 101 {
			if r, err := Read(bytes.NewReader(raw[:n])); err != nil {
				require.ErrorIs(t, err, ErrNoMail)
			} else if strings.Contains(name, "answer-") {
				assert.NotEqual(t, Bounce, r.Kind, "%s cut at %d", name, n)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	mails, err := filepath.Glob("testdata/returned/*.eml")
	require.NoError(f, err)
	for _, name := range mails {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Read(bytes.NewReader(raw))
		if err != nil {
			require.ErrorIs(t, err, ErrNoMail)
			return
		}
		require.Contains(t, []Kind{Bounce, Delay, Complaint, Delivered, AutoReply, None}, r.Kind)
		require.LessOrEqual(t, len(r.Recipients), maxRecipients)
		require.LessOrEqual(t, len(r.Text), maxWords)
		for _, rc := range r.Recipients {
			require.NotEmpty(t, rc.Action)
			require.Equal(t, rc.Status, Enhanced(rc.Status))
		}
	})
}
