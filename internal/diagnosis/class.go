// Package diagnosis says why a mail did not arrive, in words an administrator
// can act on.
//
// It reads what servers answer, what comes back, what providers report and what
// people did with a link, and gives one class with one sentence and one next
// step. Its rules are data. It never claims more than the evidence says: an
// answer it does not know is Unknown, shown with its text.
package diagnosis

// Class is what is the matter. The texts are a promise to scripts.
type Class string

// The classes of what a mail system says.
const (
	NoSuchMailbox         Class = "no-such-mailbox"
	MailboxDisabled       Class = "mailbox-disabled"
	MailboxMoved          Class = "mailbox-moved"
	NoSuchDomain          Class = "no-such-domain"
	DomainTakesNoMail     Class = "domain-takes-no-mail"
	MailboxFull           Class = "mailbox-full"
	RefusedByRecipient    Class = "refused-by-recipient"
	Suppressed            Class = "suppressed"
	Complaint             Class = "complaint"
	RefusedReputation     Class = "refused-reputation"
	RefusedAuthentication Class = "refused-authentication"
	RefusedPolicy         Class = "refused-policy"
	RelayDenied           Class = "relay-denied"
	SenderRefused         Class = "sender-refused"
	OwnSetup              Class = "own-setup"
	RefusedContent        Class = "refused-content"
	TooLarge              Class = "too-large"
	Greylisted            Class = "greylisted"
	RateLimited           Class = "rate-limited"
	ReceiverTrouble       Class = "receiver-trouble"
	Unreachable           Class = "unreachable"
	TLSFailed             Class = "tls-failed"
	GaveUp                Class = "gave-up"
	Delayed               Class = "delayed"
	Delivered             Class = "delivered"
	AutoReply             Class = "auto-reply"
	Unknown               Class = "unknown"
	Forged                Class = "forged" // only who takes returned mails can say
)

// The classes of what can be said without an answer.
const (
	Queued         Class = "queued"
	Deferred       Class = "deferred"
	Stuck          Class = "stuck"
	NoMailServer   Class = "no-mail-server"
	AllServersDown Class = "all-servers-down"
	Accepted       Class = "accepted"
	NotOpened      Class = "not-opened"
	ScannerOnly    Class = "scanner-only"
	Opened         Class = "opened"
	FormRefused    Class = "form-refused"
	Used           Class = "used"
	AskedElsewhere Class = "asked-elsewhere"
	AskedTooOften  Class = "asked-too-often"
)

// Family groups classes by whose matter it is.
type Family string

// The families.
const (
	FamilyAddress   Family = "address"   // the person's address
	FamilyMailbox   Family = "mailbox"   // the person's box or wishes
	FamilySender    Family = "sender"    // our reputation or set-up, as receivers see it
	FamilyContent   Family = "content"   // what the mail says
	FamilyTemporary Family = "temporary" // it may pass
	FamilyOurs      Family = "ours"      // our own server
	FamilyNone      Family = "none"      // nothing is wrong, or not yet
	FamilyUnknown   Family = "unknown"
)
