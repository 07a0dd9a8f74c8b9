package diagnosis

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/dsn"
)

const returnedMails = "../dsn/testdata/returned"

func readReturned(t *testing.T, name string) dsn.Returned {
	t.Helper()
	f, err := os.Open(filepath.Join(returnedMails, name))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	r, err := dsn.Read(f)
	require.NoError(t, err)
	return r
}

func TestWhatEachReturnedMailMeans(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(returnedMails, "index.tsv"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	table := csv.NewReader(f)
	table.Comma = '\t'
	rows, err := table.ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows), 50)
	for _, row := range rows[1:] {
		name, classes, permanence := row[0], row[2], row[3]
		t.Run(strings.TrimSuffix(name, ".eml"), func(t *testing.T) {
			t.Parallel()
			var got, hard []string
			for _, d := range Returned(readReturned(t, name)) {
				got = append(got, string(d.Class))
				hard = append(hard, map[bool]string{true: "hard", false: "soft"}[d.Hard])
			}
			assert.Equal(t, classes, strings.Join(got, ";"))
			for i, p := range strings.Split(permanence, ";") {
				if i < len(hard) && p != "unknown" {
					assert.Equal(t, p, hard[i])
				}
			}
		})
	}
}

func one(rc dsn.Recipient) Diagnosed {
	rc.Address = "lena@pier.example"
	return Returned(dsn.Returned{Kind: dsn.Bounce, Reporter: "relay.example", Recipients: []dsn.Recipient{rc}})[0]
}

func TestWordsWinOverNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about string
		rc    dsn.Recipient
		want  Class
	}{
		{"the diagnostic over the status", dsn.Recipient{Status: "5.1.1", Diagnostic: "550 5.7.1 Your address 192.0.2.1 is listed at bl.lights.example", DiagnosticType: "smtp"}, RefusedReputation},
		{"the status over the text for people", dsn.Recipient{Status: "5.2.2", Text: "The mailbox may not exist, may be full, or a rule may block the mail."}, MailboxFull},
		{"the text over a status that says nothing", dsn.Recipient{Status: "5.0.0", Text: "lena@pier.example\n    Mailbox quota exceeded"}, MailboxFull},
		{"the quoted answer over the status", dsn.Recipient{Status: "5.1.1", Text: "<lena@pier.example>\n  (reason: 552 5.2.2 mailbox full)"}, MailboxFull},
		{"an exit status", dsn.Recipient{Status: "5.3.0", Diagnostic: "67", DiagnosticType: "x-unix"}, NoSuchMailbox},
	} {
		c.rc.Action = dsn.Failed
		assert.Equal(t, c.want, one(c.rc).Class, c.about)
	}
}

func TestGivingUpKeepsTheReason(t *testing.T) {
	t.Parallel()
	d := one(dsn.Recipient{Action: dsn.Failed, Status: "4.4.1", Diagnostic: "connect to mx.pier.example[198.51.100.9]:25: Connection timed out", DiagnosticType: "x-postfix"})
	assert.Equal(t, GaveUp, d.Class)
	assert.Equal(t, Unreachable, d.Reason)
	assert.False(t, d.Hard)
	assert.Contains(t, d.Reply, "Connection timed out")

	d = one(dsn.Recipient{Action: dsn.Failed, Status: "4.4.7", Diagnostic: "554 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.1 Connection timed out>", DiagnosticType: "smtp"})
	assert.Equal(t, GaveUp, d.Class)
	assert.Equal(t, Unreachable, d.Reason)

	d = one(dsn.Recipient{Action: dsn.Failed, Status: "5.0.0", Text: "lena@pier.example\n    mailbox is full: retry timeout exceeded"})
	assert.Equal(t, MailboxFull, d.Class, "why it was tried until the end")
	assert.False(t, d.Hard)

	d = one(dsn.Recipient{Action: dsn.Delayed, Status: "4.2.2", Diagnostic: "452 4.2.2 Mailbox full", DiagnosticType: "smtp"})
	assert.Equal(t, Delayed, d.Class)
	assert.Equal(t, MailboxFull, d.Reason)
	assert.Equal(t, dsn.Delay, d.Kind)
	assert.False(t, d.Hard)
}

func TestANumberThatSaysForNowMakesItSoft(t *testing.T) {
	t.Parallel()
	d := one(dsn.Recipient{Action: dsn.Failed, Status: "4.2.1", Diagnostic: "This account has been disabled", DiagnosticType: "x-notes"})
	assert.Equal(t, MailboxDisabled, d.Class)
	assert.False(t, d.Hard)
	d = one(dsn.Recipient{Action: dsn.Failed, Status: "4.0.0", Diagnostic: "550 This account has been disabled", DiagnosticType: "smtp"})
	assert.True(t, d.Hard, "the server itself said 550")
}

func TestWhatIsNoBounceIsNoVerdictOnTheAddress(t *testing.T) {
	t.Parallel()
	words := "550 5.1.1 no such user"
	for kind, want := range map[dsn.Kind]Class{dsn.AutoReply: AutoReply, dsn.Complaint: Complaint, dsn.None: Unknown} {
		all := Returned(dsn.Returned{Kind: kind, Text: words, Recipients: []dsn.Recipient{{Action: dsn.Failed, Status: "5.1.1", Diagnostic: words, Text: words}}})
		require.Len(t, all, 1)
		assert.Equal(t, want, all[0].Class)
		assert.False(t, all[0].Hard)
	}
	assert.Empty(t, Returned(dsn.Returned{Kind: dsn.None, Text: words}))
}

func TestTheAnswerIsFoundInTheTextForPeople(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<a@b.example>: host mx.b.example[198.51.100.9] said: 550 5.1.1 no such\n    user (in reply to RCPT TO command)\n\nregards": "550 5.1.1 no such user",
		">>> DATA\n<<< 550-5.7.1 one\n<<< 550 5.7.1 two\n<<< 503 need RCPT":                                                         "550-5.7.1 one\n550 5.7.1 two",
		"a@b.example\n    SMTP error after end of data:\n    host mx [198.51.100.9]: 554 spam":                                      "554 spam",
		"We charge 500 coins. Call 555-1234 or 450 friends.":                                                                        "",
		"  (reason: 552 5.2.2 full)": "552 5.2.2 full",
	} {
		assert.Equal(t, want, quotedAnswer(text), text)
	}
}
