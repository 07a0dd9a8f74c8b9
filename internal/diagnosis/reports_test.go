package diagnosis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/dsn"
)

// reports are how mail systems pass on the answer of a server: STEP is the step in
// their words, ANSWER the answer on one line, LINES the answer as it came.
var reports = map[string]struct {
	steps map[string]string
	mail  string
}{
	"postfix": {
		map[string]string{"hello": "EHLO command", "mail": "MAIL FROM command", "rcpt": "RCPT TO command", "data": "end of DATA command"},
		"Subject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
			"--b\n\nThis is the mail system at host relay.test.\n\n<kim@corp.test>: host mx.corp.test[192.0.2.9] said: ANSWER\n    (in reply to STEP)\n\n" +
			"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.test\n\nFinal-Recipient: rfc822; kim@corp.test\n" +
			"Action: failed\nStatus: 5.0.0\nRemote-MTA: dns; mx.corp.test\nDiagnostic-Code: smtp; ANSWER\n\n--b--\n",
	},
	"exim": {
		map[string]string{"hello": "EHLO relay.test", "mail": "MAIL FROM:<b-1@bounce.keys.test>", "rcpt": "RCPT TO:<kim@corp.test>", "data": "end of data"},
		"Subject: Mail delivery failed: returning message to sender\n\nThis message was created automatically by mail delivery software.\n\n" +
			"A message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n" +
			"  kim@corp.test\n    host mx.corp.test [192.0.2.9]\n    SMTP error from remote mail server after STEP:\n    LINES\n",
	},
	"qmail": {
		map[string]string{"hello": "Connected to 192.0.2.9 but my name was rejected.", "mail": "Connected to 192.0.2.9 but sender was rejected.", "rcpt": "192.0.2.9 does not like recipient.", "data": "192.0.2.9 failed after I sent the message."},
		"Subject: failure notice\n\nHi. This is the qmail-send program at relay.test.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n" +
			"This is a permanent error; I've given up. Sorry it didn't work out.\n\n<kim@corp.test>:\nSTEP\nRemote host said: LINES\nGiving up on 192.0.2.9.\n",
	},
	"sendmail": {
		map[string]string{"hello": ">>> EHLO relay.test", "mail": ">>> MAIL From:<b-1@bounce.keys.test>", "rcpt": ">>> RCPT To:<kim@corp.test>", "data": ">>> DATA"},
		"Subject: Returned mail: see transcript for details\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
			"--b\n\nThe original message was received at Tue, 3 Nov 2026 08:00:00 GMT\n\n   ----- The following addresses had permanent fatal errors -----\n<kim@corp.test>\n    (reason: ANSWER)\n\n" +
			"   ----- Transcript of session follows -----\n... while talking to mx.corp.test.:\nSTEP\n<<< ANSWER\n\n" +
			"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.test\n\nFinal-Recipient: RFC822; kim@corp.test\n" +
			"Action: failed\nStatus: 5.0.0\nRemote-MTA: DNS; mx.corp.test\nDiagnostic-Code: SMTP; ANSWER\n\n--b--\n",
	},
}

// TestAnAnswerMeansTheSameInAReport, but that what would pass has passed its time.
func TestAnAnswerMeansTheSameInAReport(t *testing.T) {
	for name, report := range reports {
		told := 0
		for _, row := range replies(t) {
			class, step, answer := Class(row[0]), report.steps[row[2]], row[3]
			if step == "" || !strings.ContainsAny(answer[:1], "45") || strings.Contains(answer, "docomo") { // which is read by its name
				continue
			}
			mail := strings.NewReplacer("STEP", step, "ANSWER", oneLine(answer), "LINES", strings.ReplaceAll(answer, "\n", "\n    ")).Replace(report.mail)
			r, err := dsn.Read(strings.NewReader("Return-Path: <>\nFrom: Mailer-Daemon@relay.test\nTo: b-1@bounce.keys.test\n" + mail))
			require.NoError(t, err)
			all := Returned(r)
			require.Len(t, all, 1, mail)
			require.Equal(t, "kim@corp.test", all[0].Address)
			if all[0].Class == GaveUp && class.Family() == FamilyTemporary {
				class = GaveUp
			}
			require.Equal(t, class, all[0].Class, "%s: %s", name, mail)
			told++
		}
		require.Greater(t, told, 500, name)
	}
}
