package lockouts

import (
	"fmt"
	"time"

	"github.com/sparekey/sparekey/internal/config"
)

// returned: a server took the mail, and something came back.
var returned = []lockout{
	bounced("It bounces after a server took it (delivery report)", deliveryReport("failed", "5.2.2", "jane@acme.example", "552 5.2.2 <jane@acme.example>: mailbox is over quota"),
		"Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive."),
	bounced("It bounces from a qmail server", "From: MAILER-DAEMON@mx.acme.example\nTo: PATH\nSubject: failure notice\n\n"+
		"Hi. This is the qmail-send program at mx.acme.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n"+
		"This is a permanent error; I've given up. Sorry it didn't work out.\n\n<jane@acme.example>:\n"+
		"User's mailbox is full: <jane@acme.example>\nUnable to deliver mail. (#5.2.2)\n\n--- Below this line is a copy of the message.\n\nSubject: x\n\nx\n",
		"Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive."),
	bounced("It bounces from an Exim server", "From: Mail Delivery System <Mailer-Daemon@mx.acme.example>\nTo: PATH\nAuto-Submitted: auto-replied\nX-Failed-Recipients: jane@acme.example\n"+
		"Subject: Mail delivery failed: returning message to sender\n\nThis message was created automatically by mail delivery software.\n\n"+
		"A message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"+
		"  jane@acme.example\n    host mx.acme.example [192.0.2.25]\n    SMTP error from remote mail server after RCPT TO:<jane@acme.example>:\n    550 5.2.1 Mailbox disabled for this recipient\n\n"+
		"------ This is a copy of the message, including all the headers. ------\n\nSubject: x\n\nx\n",
		"acme.example has switched off the mailbox jane@acme.example."),
	bounced("It bounces from an Exchange server", "From: postmaster@acme.example\nTo: PATH\nSubject: Undeliverable: Reset your password\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\nContent-Type: text/plain; charset=us-ascii\n\n"+
		"Delivery has failed to these recipients or groups:\n\nJane Doe (jane@acme.example)\nYour message wasn't delivered because the recipient's mailbox is full.\n\n--b\n"+
		"Content-Type: message/delivery-status\n\nReporting-MTA: dns;EX1.acme.example\n\nFinal-Recipient: RFC822;jane@acme.example\nAction: failed\nStatus: 5.2.2\n"+
		"Diagnostic-Code: smtp;554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded\n\n--b--\n",
		"Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive."),
	{Cause: "It was forwarded, and the forward is dead", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.waits(2 * time.Minute)
		s.comesBack(deliveryReport("failed", "5.1.1", "jane.doe@forward.example", "550 5.1.1 <jane.doe@forward.example>: User unknown"))
		s.getsInBy(s.adminGivesALinkByPhone("jane@acme.example passes its mail on to jane.doe@forward.example. forward.example says there is no mailbox jane.doe@forward.example."))
	}},
	{Cause: "It is delayed on the way, and arrives", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail() // the inbox has it before Jane
		s.waits(4 * time.Hour)
		s.comesBack(deliveryReport("delayed", "4.4.1", "jane@acme.example", "451 4.4.1 mx.acme.example: connection timed out"))
		s.adminReads("The next mail server still tries since TIME.")
		s.waits(time.Hour)
		s.getsInBy(link)
	}},
	{Cause: "The mailbox answers by itself, and Jane reads it nowhere", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.comesBack("From: jane@acme.example\nTo: PATH\nSubject: Out of office: Reset your password\nAuto-Submitted: auto-replied\n\nI am away until Monday.\n")
		s.getsInBy(s.adminGivesALinkByPhone("Jane Doe’s mailbox answered by itself at TIME: the mail arrived."))
	}},
	{Cause: "Jane’s mail program reported our mail as spam", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.comesBack("From: fbl@isp.example\nSubject: FW: Reset your password\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n" +
			"--b\nContent-Type: text/plain\n\nThis is an abuse report.\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Example/1\nVersion: 1\n\n" +
			"--b\nContent-Type: message/rfc822\n\nSubject: Reset your password\nTo: jane@acme.example\n\nx\n--b--\n")
		s.getsInBy(s.adminGivesALinkByPhone("Our mail to Jane Doe was reported as spam at TIME; we send no more until you allow it."))
	}},
	{Cause: "Jane’s address is stopped since an old complaint, and she wants mail again", Run: func(s *scene) {
		s.asks()
		s.getsTheMail()
		s.comesBack("From: fbl@isp.example\nSubject: FW: x\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n" +
			"--b\nContent-Type: text/plain\n\nAbuse.\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Example/1\nVersion: 1\n\n" +
			"--b\nContent-Type: message/rfc822\n\nSubject: x\nTo: jane@acme.example\n\nx\n--b--\n")
		s.waits(25 * time.Hour)
		s.asks()
		s.readsTheWaitingPage()
		s.adminPresses("Our mail to Jane Doe was reported as spam at TIME; we send no more until you allow it.", "Allow mail to this address again")
		s.asks()
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "A forged bounce says that Jane does not exist", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail()
		s.comesBackTo("no-reply@sparekey.example", deliveryReport("failed", "5.1.1", "jane@acme.example", "550 5.1.1 User unknown"))
		s.asks()
		s.getsTheMail() // nothing is stopped
		s.getsInBy(link)
	}},
	{Cause: "Postmark no longer writes to the address", Config: func(_ *scene, c *config.Config) {
		c.MailEvents = []config.MailEvent{{Provider: "postmark", Proof: postmarkToken}}
	}, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.postmarkTells(fmt.Sprintf(`{"RecordType":"Bounce","ID":9,"Type":"ManuallyDeactivated","Email":%q,"Details":"","BouncedAt":"2026-01-01T00:00:00Z"}`, s.email))
		s.getsInBy(s.adminGivesALinkByPhone("Our mail provider no longer writes to jane@acme.example, because an earlier mail came back."))
	}},
	{Cause: "SendGrid drops the mail", Config: func(s *scene, c *config.Config) {
		c.MailEvents = []config.MailEvent{{Provider: "sendgrid", Proof: sendGridKey()}}
	}, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.sendGridTells(fmt.Sprintf(`[{"event":"dropped","reason":"Bounced Address","email":%q,"timestamp":%d,"smtp-id":"<%s>","sg_event_id":"e1"}]`, s.email, s.Clock.Now().Unix(), s.last.MessageID))
		s.getsInBy(s.adminGivesALinkByPhone("Our mail provider no longer writes to jane@acme.example, because an earlier mail came back."))
	}},
	{Cause: "Mailgun reports a bounce", Config: func(_ *scene, c *config.Config) {
		c.MailEvents = []config.MailEvent{{Provider: "mailgun", Proof: mailgunKey}}
	}, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.mailgunTells(fmt.Sprintf(`{"event":"failed","id":"e1","timestamp":%d,"severity":"permanent","reason":"bounce","recipient":%q,
			"delivery-status":{"code":550,"message":"5.2.1 The account is disabled"},"message":{"headers":{"message-id":%q}}}`, s.Clock.Now().Unix(), s.email, s.last.MessageID))
		s.getsInBy(s.adminGivesALinkByPhone("acme.example has switched off the mailbox jane@acme.example."))
	}},
}

// bounced is a lock-out by a returned mail, ended by a link on the phone.
func bounced(cause, raw, sentence string) lockout {
	return lockout{Cause: cause, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.comesBack(raw)
		s.getsInBy(s.adminHelpsFromTheQueue(sentence))
	}}
}

// deliveryReport is one of RFC 3464.
func deliveryReport(action, status, recipient, diagnostic string) string {
	return "From: MAILER-DAEMON@mx.acme.example\nSubject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nThis is the mail system at mx.acme.example.\n\n" +
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.acme.example\n\n" +
		fmt.Sprintf("Final-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nDiagnostic-Code: smtp; %s\n", recipient, action, status, diagnostic) + "\n--b--\n"
}
