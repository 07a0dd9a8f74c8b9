//go:build linux

package mta

import (
	"bytes"
	"fmt"
	"net/mail"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/test/mta/world"
)

// forge sends two reports to where returned mail comes in, about mails that
// arrived: one with a return path that we did not make, which must not be
// believed, then one with the true return path, which shows that the first was
// not ignored for another reason.
func (p *product) forge(t *testing.T, victim, control string) {
	t.Helper()
	before := p.show(victim)
	path := returnPath(t, victim)
	last := path[strings.IndexByte(path, '@')-1]
	other := byte('0')
	if last == other {
		other = '1'
	}
	wrong := strings.Replace(path, string(last)+"@", string(other)+"@", 1)
	require.NotEqual(t, path, wrong)
	_ = report(wrong, victim) // refused or taken and not believed, both are right

	require.NoError(t, report(returnPath(t, control), control))
	require.Eventually(t, func() bool { return p.show(control).class() == "no-such-mailbox" }, patience, pause, "a true return path is believed")
	after := p.show(victim)
	require.Equal(t, before.class(), after.class(), "a made-up return path is not believed")
	require.False(t, after.Mail.Suppressed)
}

// returnPath is the envelope's sender of somebody's first mail, as the receiving
// server wrote it down (RFC 5321 section 4.4).
func returnPath(t *testing.T, email string) string {
	t.Helper()
	mails, err := world.Mailbox(email)
	require.NoError(t, err)
	require.NotEmpty(t, mails)
	m, err := mail.ReadMessage(bytes.NewReader(mails[0]))
	require.NoError(t, err)
	path := strings.Trim(m.Header.Get("Return-Path"), "<> ")
	require.Contains(t, path, "@bounce.login.example")
	return path
}

// report says to a return path that there is no such mailbox (RFC 3464).
func report(to, about string) error {
	text := fmt.Sprintf(`From: Mail Delivery System <mailer-daemon@mx.elsewhere.example>
To: <%s>
Subject: Undelivered Mail Returned to Sender
Date: %s
Message-ID: <%d@mx.elsewhere.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=part

--part
Content-Type: text/plain

<%s>: 550 5.1.1 User unknown

--part
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.elsewhere.example

Final-Recipient: rfc822; %s
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--part--
`, to, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), about, about)
	return smtp.SendMail("bounce.login.example:25", nil, "", []string{to}, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
}
