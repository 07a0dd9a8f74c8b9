package lockouts

import (
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// receivers: their server does not want the mail, or not yet.
var receivers = []lockout{
	{Cause: "Greylisted", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 451, "4.7.1", "<jane@acme.example>: Recipient address rejected: Greylisted, try again in 300 seconds")
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("acme.example asked us to come back at TIME; we will. This is usual for a first mail.")
		s.mailServerIsFine()
		s.waits(6 * time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "The receiver takes mail slowly", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 450, "4.2.1", "The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.")
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("acme.example is taking mail slowly; we try again at TIME.")
		s.mailServerIsFine()
		s.waits(16 * time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Their mail server is in trouble", Run: func(s *scene) {
		s.mailServerSays(atData, 451, "4.3.0", "Internal server error, please try again later")
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("The mail server of acme.example has a problem of its own; we try again at TIME.")
		s.mailServerIsFine()
		s.waits(6 * time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	refusal("Our server stands on a block list", reply(554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
		"acme.example does not trust our mail server at the moment. This is not about Jane Doe."),
	refusal("SPF and DKIM of our mail do not pass", reply(550, "5.7.26", "This mail has been blocked because the sender is unauthenticated. SPF and DKIM did not pass."),
		"acme.example could not verify that our mail is genuine. This is not about Jane Doe."),
	refusal("A rule of the receiver about senders", reply(550, "5.7.1", "Message rejected due to our security policies"),
		"A rule at acme.example turns our mail away. This is not about Jane Doe."),
	refusal("The receiver refuses our sender address", reply(553, "5.1.8", "Sender address rejected: Domain of sender does not resolve"),
		"acme.example refused the sender address of our mail. This is not about Jane Doe."),
	refusal("The domain moved, and the old server no longer serves it", reply(550, "5.7.1", "Relaying denied"),
		"The server for acme.example says it does not serve that domain. It may just be moving."),
	refusal("Their certificate is wrong, and we send nothing in clear text", reply(454, "4.7.5", "Server certificate not trusted: TLS handshake with mx.acme.example failed"),
		"No secure connection to acme.example could be made; we do not send without one."),
	refusal("An answer nobody has seen before", reply(550, "", "Our dog ate it"),
		"The mail server of acme.example answered: “550 Our dog ate it”. We do not know this answer."),
	{Cause: "A filter stops mail with a link in it", Run: func(s *scene) {
		s.Clock.Freeze() // the code alone follows within seconds
		s.stopsMailsWith("/reset-password/", reply(554, "5.7.1", "Message rejected: it contains a URL that is classified as spam"))
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("The filter of acme.example stopped the mail because of what is in it.")
		s.waits(2 * time.Minute)
		s.setsAPassword(s.waiting.Fill("Code", s.gets("Reset your password").Code()).Press("Continue"))
		s.isIn()
	}},
	{Cause: "A filter stops every mail of ours", Run: func(s *scene) {
		s.Clock.Freeze()
		s.stopsMailsWith("", reply(554, "5.7.1", "Message identified as SPAM"))
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("The filter of acme.example stopped the mail because of what is in it.")
		s.waits(2 * time.Minute)
		s.quiet()
		s.getsInBy(s.adminGivesALinkByPhone("The filter of acme.example stopped the mail because of what is in it."))
	}},
	{Cause: "A filter sends the mail back because of its link, after a server took it", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail() // the filter has it, not Jane
		s.comesBack(deliveryReport("failed", "5.7.1", "jane@acme.example", "554 5.7.1 Message rejected: it contains a URL that is classified as spam"))
		s.adminPresses("The filter of acme.example stopped the mail because of what is in it.", "Send the code only")
		s.setsAPassword(s.waiting.Fill("Code", s.gets("Reset your password").Code()).Press("Continue"))
		s.isIn()
	}},
	{Cause: "The receiver finds the mail too large", Run: func(s *scene) {
		s.Clock.Freeze() // the code alone follows within seconds
		s.stopsMailsWith("/reset-password/", reply(552, "5.3.4", "Message size exceeds fixed maximum message size"))
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("acme.example found the mail too large.")
		s.waits(2 * time.Minute)
		s.setsAPassword(s.waiting.Fill("Code", s.gets("Reset your password").Code()).Press("Continue"))
		s.isIn()
	}},
}

// refusal is a lock-out by an answer to RCPT, ended by a link on the phone.
func refusal(cause string, said *smtp.SMTPError, sentence string) lockout {
	return lockout{Cause: cause, Run: func(s *scene) {
		email := s.email
		s.office.answers(func(step, to, _ string) error {
			if step == atRcpt && to == email {
				return said
			}
			return nil
		})
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminGivesALinkByPhone(sentence))
	}}
}

// stopsMailsWith refuses mails to the person that hold a text.
func (s *scene) stopsMailsWith(part string, said *smtp.SMTPError) {
	email := s.email
	s.office.answers(func(step, to, text string) error {
		if step == atData && to == email && strings.Contains(text, part) {
			return said
		}
		return nil
	})
}
