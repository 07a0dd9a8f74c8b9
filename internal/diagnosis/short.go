package diagnosis

// shortWords are the classes in the few words that fit beside a dot.
var shortWords = map[Class]string{
	NoSuchMailbox: "No such mailbox", MailboxDisabled: "Mailbox switched off", MailboxMoved: "Mailbox has moved",
	NoSuchDomain: "No such mail domain", DomainTakesNoMail: "Domain takes no mail", MailboxFull: "Mailbox full",
	RefusedByRecipient: "Takes no mail from us", Suppressed: "No mail is sent there", Complaint: "Reported as spam",
	RefusedReputation: "Refused: our server is not trusted", RefusedAuthentication: "Refused: not proven to be ours",
	RefusedPolicy: "Refused by a rule there", RelayDenied: "Refused: not their domain", SenderRefused: "Refused: our sender address",
	OwnSetup: "Our mail set-up fails", RefusedContent: "Stopped by a filter", TooLarge: "Found too large",
	Greylisted: "Waiting: asked to come back", RateLimited: "Waiting: taken slowly", ReceiverTrouble: "Waiting: trouble there",
	Unreachable: "Waiting: no answer there", TLSFailed: "No secure connection", GaveUp: "Given up",
	Delayed: "Delayed on the way", Delivered: "Reported delivered", AutoReply: "Answered by itself",
	Unknown: "An answer we do not know", Queued: "Being sent", Deferred: "Waiting", Stuck: "Stuck in our server",
	NoMailServer: "No mail server is set up", AllServersDown: "No mail leaves", Accepted: "Taken by their server",
	NotOpened: "Never opened", ScannerOnly: "Opened by a filter only", Opened: "Link opened",
	FormRefused: "New password refused", Used: "New password set", AskedElsewhere: "Asked with another address",
	AskedTooOften: "Asked too often for more mails",
}

// Short names a class in the few words that fit in a list; it quotes nobody.
func (c Class) Short() string { return shortWords[c] }
