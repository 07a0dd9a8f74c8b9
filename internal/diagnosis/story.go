package diagnosis

import "time"

// Story is all that is known about one person's newest recovery, as plain data.
// What is not known stays zero.
type Story struct {
	Name    string // of the person
	Address string // the one on file
	Guess   string // a likely correction of Address, "" if there is none
	// Write writes a time in the zone of the reader; nil writes UTC.
	Write func(time.Time) string

	LinksOff       bool      // the environment lets no administrator give a link
	NoServer       bool      // no mail server is configured
	AllDownSince   time.Time // every configured server fails since then
	Suppressed     *Suppression
	AskedElsewhere *Elsewhere

	Mails    []Mail // of this recovery, newest first
	Opens    []Open // of their links, in any order
	Refusals []Refusal

	AskedAt    time.Time
	UnmailedAt time.Time // the newest asking, if no mail followed: as many as go out in an hour were sent
	UsedAt     time.Time // a new password was set
	SignedInAt time.Time // the first sign-in after that
}

// Suppression is why an address gets no mail.
type Suppression struct {
	Class Class
	Since time.Time
	Reply string
}

// Elsewhere is an asking with an address that is nobody's, near one that is.
type Elsewhere struct {
	Address string
	At      time.Time
}

// State is where a mail is. The texts are those of the outbox.
type State string

// The states of a mail.
const (
	StateQueued    State = "queued"
	StateSent      State = "sent"
	StateDeferred  State = "deferred"
	StateRefused   State = "refused"
	StateGivenUp   State = "given up"
	StateNotNeeded State = "not needed"
)

// Mail is one mail of the recovery.
type Mail struct {
	Link  string // id of the link in it, as in Open.Link
	State State

	QueuedAt   time.Time
	DueAt      time.Time // when somebody should have taken it from the queue
	LastTryAt  time.Time // when the last try came to its end
	NextTryAt  time.Time
	AcceptedAt time.Time
	UnderWay   bool // it is being handed over just now, which takes a slow server minutes

	// Of the last try, "" for an acceptance.
	Class Class
	Hard  bool
	Reply string
	// UnknownOutcome: the connection broke after the end of the data, so the
	// server may have taken it.
	UnknownOutcome bool
	// Ours: our own relay said it before the recipient was named, or fell silent, so
	// it tells nothing about the recipient's server.
	Ours bool

	Reports []Report // in any order
}

// Report is what came back about a mail after a server took it.
type Report struct {
	At    time.Time
	Kind  string // bounce, delay, complaint, delivered or auto-reply
	Class Class
	Hard  bool
	Reply string
	// Recipient is the mailbox it names, "" if none. Another than the person's means
	// that the mail was passed on.
	Recipient string
}

// Open is one look at a mailed link.
type Open struct {
	Link     string // id of the link
	At       time.Time
	Method   string
	Agent    string
	Network  string // the address, or its network
	Language bool   // a language header came with it
	Known    bool   // from a browser that asked for this address or signed in with it
	// StyledAt is when the page's style sheet was fetched, zero if it was not.
	StyledAt time.Time
}

// Refusal is a form that was sent with a new password and not taken.
type Refusal struct {
	At     time.Time
	Reason string // in the words of the person's screen, without a stop
}

// Diagnosis is the one thing to say about a story.
type Diagnosis struct {
	Class  Class
	Family Family
	Since  time.Time // when it became so
	// What an administrator reads, and the one step that helps.
	Sentence string
	Button   Button
	New      string // the address that is meant or moved to, "" if nobody knows
	Reply    string // the literal answer behind it, "" if there is none
}

// Button is the one step that helps.
type Button struct {
	Step  Step
	Words string // as they stand on the screen, "" for no button
}

// Step is what a button does. The texts are for programs.
type Step string

// The steps.
const (
	StepNone       Step = ""
	StepCorrect    Step = "correct-address"
	StepGiveLink   Step = "give-link"
	StepWaitOrGive Step = "wait-or-give-link"
	StepSendCode   Step = "send-code"
	StepTell       Step = "text-for-person" // a text to send to the person
	StepExplain    Step = "explain-rule"
	StepSendTo     Step = "send-to-address"
	StepAskOther   Step = "ask-other-address" // links are off
)

// Guess says who opened a link.
type Guess struct {
	By         By
	Confidence float64 // 0 to 1
	Sign       string  // the strongest sign, in words
	Vendor     string  // who made the scanner, as far as it says so
}

// Perhaps tells whether the guess is to be worded as one.
func (g Guess) Perhaps() bool { return g.Confidence < 0.8 }

// By is who opened a link.
type By string

// Who opens links.
const (
	ByNobodyKnows By = ""
	ByPerson      By = "person"
	ByScanner     By = "scanner"
)
