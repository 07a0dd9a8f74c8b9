package lockouts

import "time"

// addresses: nothing is wrong with us or with their mail server.
var addresses = []lockout{
	{Cause: "The mailbox is full", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 552, "5.2.2", "<jane@acme.example>: Recipient address rejected: Mailbox over quota")
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminHelpsFromTheQueue("Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive."))
	}},
	{Cause: "The mailbox is full for now, and Jane clears it", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 452, "4.2.2", "<jane@acme.example>: The recipient's inbox is out of storage space")
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive.")
		s.mailServerIsFine()
		s.waits(time.Hour + time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "The address on file has a typo before the @", Run: func(s *scene) {
		s.is("Mary Miller", "mary.miler@acme.example")
		s.mailServerSays(atRcpt, 550, "5.1.1", "<mary.miler@acme.example>: Recipient address rejected: User unknown in virtual mailbox table")
		s.asks()
		s.readsTheWaitingPage()
		s.adminCorrectsTheAddress("acme.example says there is no mailbox mary.miler@acme.example. Did you mean mary.miller@acme.example?", "mary.miller@acme.example")
	}},
	{Cause: "The address on file ends in .con", Run: func(s *scene) {
		s.is("Mary Miller", "mary@gmail.con")
		s.mailServerSays(atRcpt, 550, "5.1.2", "<mary@gmail.con>: Recipient address rejected: Domain not found")
		s.asks()
		s.readsTheWaitingPage()
		s.adminCorrectsTheAddress("There is no mail domain gmail.con. Did you mean mary@gmail.com?", "mary@gmail.com")
	}},
	{Cause: "The domain on file takes no mail", Run: func(s *scene) {
		s.is("Mary Miller", "mary@www.acme.example")
		s.mailServerSays(atRcpt, 556, "5.1.10", "<mary@www.acme.example>: Recipient address rejected: Domain www.acme.example does not accept mail (nullMX)")
		s.asks()
		s.readsTheWaitingPage()
		s.adminCorrectsTheAddress("www.acme.example takes no mail at all.", "mary@acme.example")
	}},
	{Cause: "The mailbox is switched off", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 550, "5.2.1", "The email account that you tried to reach is disabled.")
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminGivesALinkByPhone("acme.example has switched off the mailbox jane@acme.example."))
	}},
	{Cause: "The mailbox has moved, and the server names the new one", Run: func(s *scene) {
		s.is("Mary Miller", "mary@old.example")
		s.mailServerSays(atRcpt, 551, "5.1.6", "User has moved; please try <mary@acme.example>")
		s.asks()
		s.readsTheWaitingPage()
		s.adminCorrectsTheAddress("old.example says mary@old.example has moved to mary@acme.example. Ask Mary Miller before you change it.", "mary@acme.example")
	}},
	{Cause: "The mailbox only takes mail from chosen senders", Run: func(s *scene) {
		s.mailServerSays(atRcpt, 550, "5.7.133", "RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed")
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminGivesALinkByPhone("jane@acme.example only takes mail from chosen senders, and we are not among them."))
	}},
	{Cause: "The mailbox is full, and administrators give no links here", Run: func(s *scene) {
		s.SetPolicy(map[string]string{"admin_links": "off"})
		s.mailServerSays(atRcpt, 552, "5.2.2", "mailbox full")
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Jane Doe’s mailbox has been full since TIME. It must be cleared before mail can arrive.").
			follows("Jane Doe").reads("Ask Jane Doe to try another address on file.")
		s.mailServerIsFine()
		s.waits(time.Hour + time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
}
