package diagnosis

import (
	"fmt"
	"strings"
	"time"
)

// Facts are what a sentence may name. What is not known stays zero and is not
// mentioned.
type Facts struct {
	Name     string // of the person
	Address  string // the mailbox
	New      string // a new or likely address
	Other    string // another address that somebody typed
	Reply    string // the literal answer
	List     string // of senders that are blocked
	Reason   string // why a form was refused, or the reason behind another class
	Vendor   string // of a scanner
	Since    time.Time
	Next     time.Time // of the next try
	SignedIn time.Time
	Count    int
	Mixed    bool // counted for more than one reason; Reason is the last
	LinksOff bool // no administrator may give a link
	Perhaps  bool
	MayHave  bool // the connection broke after the end of data
	UnderWay bool // a mail server is being spoken to
	Ours     bool // our own relay does not take it
	ShortToo bool // the mail with the code alone was refused as well
	// Forward is another mailbox, which the mail was passed on to and where it failed.
	Forward string
	Filter  bool // a filter opened the link, too
	// Write writes a time for the reader; nil writes UTC.
	Write func(time.Time) string
}

func (f Facts) domain() string {
	if _, domain, ok := strings.Cut(f.Address, "@"); ok {
		return domain
	}
	return "the receiver"
}

func (f Facts) at(t time.Time) string {
	if f.Write != nil {
		return f.Write(t)
	}
	return t.UTC().Format("2 January 15:04 UTC")
}

// when gives words with a time, or nothing without one.
func (f Facts) when(words string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return words + f.at(t)
}

func (f Facts) didYouMean() string {
	if f.New == "" || strings.EqualFold(f.New, f.Address) {
		return ""
	}
	return " Did you mean " + f.New + "?"
}

// again tells when it is tried again.
func (f Facts) again() string {
	if f.Next.IsZero() {
		return ""
	}
	return "; we try again at " + f.at(f.Next)
}

// alsoBlocking are carriers that say "unknown user" of people who take no mail from
// outside, too.
var alsoBlocking = map[string]bool{"docomo.ne.jp": true, "ezweb.ne.jp": true, "au.com": true}

// sentences are what an administrator reads.
var sentences = map[Class]func(Facts) string{
	NoSuchMailbox: func(f Facts) string {
		if alsoBlocking[strings.ToLower(f.domain())] {
			return fmt.Sprintf("%s says there is no mailbox %s, or %s blocks mail from outside.", f.domain(), f.Address, f.Name) + f.didYouMean()
		}
		return fmt.Sprintf("%s says there is no mailbox %s.", f.domain(), f.Address) + f.didYouMean()
	},
	MailboxDisabled: func(f Facts) string {
		return fmt.Sprintf("%s has switched off the mailbox %s.", f.domain(), f.Address)
	},
	MailboxMoved: func(f Facts) string {
		to := ""
		if f.New != "" {
			to = " to " + f.New
		}
		return fmt.Sprintf("%s says %s has moved%s. Ask %s before you change it.", f.domain(), f.Address, to, f.Name)
	},
	NoSuchDomain: func(f Facts) string { return "There is no mail domain " + f.domain() + "." + f.didYouMean() },
	DomainTakesNoMail: func(f Facts) string {
		return f.domain() + " takes no mail at all." + f.didYouMean()
	},
	MailboxFull: func(f Facts) string {
		return fmt.Sprintf("%s’s mailbox %s. It must be cleared before mail can arrive.", f.Name, or(f.when("has been full since ", f.Since), "is full"))
	},
	RefusedByRecipient: func(f Facts) string {
		return f.Address + " only takes mail from chosen senders, and we are not among them."
	},
	Suppressed: func(f Facts) string {
		return "Our mail provider no longer writes to " + f.Address + ", because an earlier mail came back."
	},
	Complaint: func(f Facts) string {
		return "Our mail to " + f.Name + " was reported as spam" + f.when(" at ", f.Since) + "; we send no more until you allow it."
	},
	RefusedReputation: func(f Facts) string {
		return f.domain() + " does not trust our mail server at the moment. This is not about " + f.Name + "."
	},
	RefusedAuthentication: func(f Facts) string {
		return f.domain() + " could not verify that our mail is genuine. This is not about " + f.Name + "."
	},
	RefusedPolicy: func(f Facts) string {
		return "A rule at " + f.domain() + " turns our mail away. This is not about " + f.Name + "."
	},
	RelayDenied: func(f Facts) string {
		return "The server for " + f.domain() + " says it does not serve that domain. It may just be moving."
	},
	SenderRefused: func(f Facts) string {
		return f.domain() + " refused the sender address of our mail. This is not about " + f.Name + "."
	},
	OwnSetup: func(Facts) string {
		return "Our mail service is not set up correctly; the operator has been told."
	},
	RefusedContent: func(f Facts) string {
		return "The filter of " + f.domain() + " stopped the mail because of what is in it."
	},
	TooLarge: func(f Facts) string { return f.domain() + " found the mail too large." },
	Greylisted: func(f Facts) string {
		return f.domain() + " asked us to come back" + f.when(" at ", f.Next) + "; we will. This is usual for a first mail."
	},
	RateLimited: func(f Facts) string { return f.domain() + " is taking mail slowly" + f.again() + "." },
	ReceiverTrouble: func(f Facts) string {
		return "The mail server of " + f.domain() + " has a problem of its own" + f.again() + "."
	},
	Unreachable: func(f Facts) string {
		if f.MayHave || handedOver.in(heard{prose: normal(f.Reply)}) {
			return fmt.Sprintf("The connection broke%s, just when the mail was handed over; it may have arrived: let %s look first.", f.when(" at ", f.Since), f.Name)
		}
		return "The mail server of " + f.domain() + " has not answered" + f.when(" since ", f.Since) + f.again() + "."
	},
	TLSFailed: func(f Facts) string {
		return "No secure connection to " + f.domain() + " could be made; we do not send without one."
	},
	GaveUp: func(f Facts) string {
		return f.domain() + " could not be reached" + f.when(" since ", f.Since) + "." + reason(f)
	},
	Delayed: func(f Facts) string {
		return "The next mail server still tries" + f.when(" since ", f.Since) + "." + reason(f)
	},
	Delivered: func(f Facts) string {
		return "The server of " + f.domain() + " reports delivery" + f.when(" at ", f.Since) + ". It may still be in spam."
	},
	AutoReply: func(f Facts) string {
		away, held := "", ""
		if until := awayUntil(f.Reply, f.Since); !until.IsZero() {
			away = ", away until " + until.Format("2 January 2006")
		}
		if holds.in(heard{prose: normal(f.Reply)}) {
			held = ", and is held until somebody confirms"
		}
		return f.Name + "’s mailbox answered by itself" + f.when(" at ", f.Since) + away + ": the mail arrived" + held + "."
	},
	Unknown: func(f Facts) string {
		if f.Reply == "" {
			return "The mail did not get through to " + f.domain() + ", and nobody said why."
		}
		return "The mail server of " + f.domain() + " answered: “" + short(f.Reply) + "”. We do not know this answer."
	},
	Forged: func(Facts) string { return "" },

	Queued: func(f Facts) string {
		if f.UnderWay {
			return "The mail was due" + f.when(" at ", f.Since) + " and is being handed to a mail server, which takes its time."
		}
		return "The mail is about to be sent."
	},
	Deferred: func(f Facts) string {
		if f.Ours {
			return "Our own mail server does not take mail at the moment" + f.again() + "."
		}
		return "The mail is waiting" + f.again() + "."
	},
	Stuck: func(f Facts) string {
		return "The mail is still waiting in our own server" + f.when(" since ", f.Since) + "."
	},
	NoMailServer: func(Facts) string { return "No mail server is set up, so no mail can be sent." },
	AllServersDown: func(f Facts) string {
		return "No mail of ours has left" + f.when(" since ", f.Since) + "; the operator has been told."
	},
	Accepted: func(f Facts) string {
		return "The server of " + f.domain() + " took the mail" + f.when(" at ", f.Since) + "."
	},
	NotOpened: func(f Facts) string {
		return "Their server took it" + f.when(" at ", f.Since) + "; nobody has opened the link. It may be in spam or quarantine."
	},
	ScannerOnly: func(f Facts) string {
		who := "A security filter of " + f.domain()
		if f.Vendor != "" {
			who = "A security filter (" + f.Vendor + ")"
		}
		return who + " seems to have opened the link" + f.when(" at ", f.Since) + "; " + f.Name + " has not. The link still works."
	},
	Opened: func(f Facts) string {
		perhaps := ""
		if f.Perhaps {
			perhaps = "perhaps "
		}
		if f.Filter {
			return "A security filter and then " + perhaps + f.Name + " opened the link" + f.when(", last at ", f.Since) + "; no password has been set."
		}
		return f.Name + " " + perhaps + "opened the link" + f.when(" at ", f.Since) + " but has not set a password."
	},
	FormRefused: func(f Facts) string {
		times := fmt.Sprintf("%d times", f.Count)
		switch {
		case f.Count <= 1:
			times = "once"
		case f.Count == 2:
			times = "twice"
		}
		if f.Reason == "" {
			return f.Name + " was refused " + times + ". Nothing is broken."
		}
		if f.Mixed {
			times += ", the last time"
		}
		return f.Name + " was refused " + times + ": " + aboutThem(f.Reason) + ". Nothing is broken."
	},
	Used: func(f Facts) string {
		signedIn := ""
		if !f.SignedIn.IsZero() {
			signedIn = " and has signed in"
		}
		return f.Name + " set a new password" + f.when(" at ", f.Since) + signedIn + "."
	},
	AskedTooOften: func(f Facts) string {
		return f.Name + " asked again" + f.when(" at ", f.Since) + ". Five mails within an hour are the most, cancelled ones included, so no further one was sent."
	},
	AskedElsewhere: func(f Facts) string {
		return "Somebody asked for " + f.Other + f.when(" at ", f.Since) + ". " + f.Name + "’s address here is " + f.Address + "."
	},
}

// aboutThem is what a person was told, for somebody else: without the advice.
func aboutThem(told string) string {
	what, _, _ := strings.Cut(told, ". ")
	return strings.ReplaceAll(strings.TrimRight(what, ". "), "of yours", "of theirs")
}

// handedOver are the words of mail servers for a connection that broke when the whole
// mail was sent.
var handedOver = anyOf(phrases("{sending,after,at} {the ,}end of data | may be sent more than once"))

// holds are the words of those who keep a mail until its sender proves to be a
// person, or somebody lets it through. We never answer them.
var holds = anyOf(phrases("challenge | confirm {that you,you are,your message,your email,your e-mail,your address}~ | to {release,deliver} your {message,mail,email} | {held,holding} .. until | click .. to {deliver,be delivered,confirm} | can receive your {mail,mails,email,emails,message,messages} | {on hold,being held,held for review,quarantined} | tmda | boxbe | spamarrest | whitelist yourself | bestatigen sie ihre | confirmez"))

func reason(f Facts) string {
	if f.Reason == "" {
		return ""
	}
	return " " + f.Reason
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// short cuts an answer to what fits in a sentence.
func short(reply string) string {
	const most = 200
	reply = strings.Join(strings.Fields(reply), " ")
	if runes := []rune(reply); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return reply
}

// Sentence is what an administrator reads.
func Sentence(c Class, f Facts) string {
	write, ok := sentences[c]
	if !ok {
		return ""
	}
	f, passedOn := f.named(), ""
	if f.Forward != "" {
		passedOn = f.Address + " passes its mail on to " + f.Forward + ". "
		f.Address, f.New = f.Forward, ""
	}
	return passedOn + write(f)
}

// named puts words where a name is not known.
func (f Facts) named() Facts {
	if f.Name == "" {
		f.Name = or(f.Address, "the person")
	}
	return f
}

// steps are the one thing to do about a class; those that are missing need nothing.
var steps = map[Class]Step{
	NoSuchMailbox: StepCorrect, MailboxDisabled: StepGiveLink, MailboxMoved: StepCorrect, NoSuchDomain: StepCorrect, DomainTakesNoMail: StepCorrect,
	MailboxFull: StepGiveLink, RefusedByRecipient: StepGiveLink, Suppressed: StepGiveLink, Complaint: StepGiveLink,
	RefusedReputation: StepGiveLink, RefusedAuthentication: StepGiveLink, RefusedPolicy: StepGiveLink, RelayDenied: StepGiveLink,
	SenderRefused: StepGiveLink, OwnSetup: StepGiveLink, RefusedContent: StepSendCode, TooLarge: StepSendCode,
	Greylisted: StepWaitOrGive, RateLimited: StepWaitOrGive, ReceiverTrouble: StepWaitOrGive, Unreachable: StepWaitOrGive,
	TLSFailed: StepGiveLink, GaveUp: StepGiveLink, Delayed: StepWaitOrGive, Delivered: StepTell, AutoReply: StepGiveLink, Unknown: StepGiveLink,
	Deferred: StepWaitOrGive, Stuck: StepGiveLink, NoMailServer: StepGiveLink, AllServersDown: StepGiveLink,
	NotOpened: StepTell, ScannerOnly: StepTell, Opened: StepGiveLink, FormRefused: StepExplain, AskedElsewhere: StepSendTo, AskedTooOften: StepGiveLink,
}

// Action is the one next step, in the words of the screen.
func Action(c Class, f Facts) Button {
	f = f.named()
	step := steps[c]
	if step == StepCorrect && f.Forward != "" || step == StepSendCode && f.ShortToo {
		step = StepGiveLink // the address on file is right; the code alone was tried
	}
	if f.LinksOff && (step == StepGiveLink || step == StepWaitOrGive) {
		return Button{StepAskOther, "Ask " + f.Name + " to try another address on file"}
	}
	switch step {
	case StepCorrect:
		return Button{step, "Correct the address"}
	case StepGiveLink:
		return Button{step, "Give a link by phone"}
	case StepWaitOrGive:
		return Button{step, "Wait, or give a link"}
	case StepSendCode:
		return Button{step, "Send the code only"}
	case StepTell:
		return Button{step, "Text to send to " + f.Name}
	case StepExplain:
		return Button{step, "Explain the rule"}
	case StepSendTo:
		return Button{step, "Send to " + or(f.Address, "the address on file")}
	default:
		return Button{}
	}
}

// Operator is what an answer tells the people who run the server; "" for nothing.
func Operator(c Class, f Facts) string {
	if f.Forward != "" {
		f.Address = f.Forward
	}
	reply := ""
	if f.Reply != "" {
		reply = " It said: “" + short(f.Reply) + "”"
	}
	switch c {
	case Suppressed:
		return "Clear " + f.Address + " from our mail provider’s list of dead addresses."
	case Complaint:
		return "A complaint came in; watch whether they are more than one in a thousand mails a day."
	case RefusedReputation:
		if f.List != "" {
			return "Our mail server is on the list of " + f.List + ": ask there for removal, and find out what put it there." + reply
		}
		return f.domain() + " distrusts our mail server’s address or network: look at its postmaster page." + reply
	case RefusedAuthentication:
		return f.domain() + " could not verify our mail: run sparekey doctor and publish the record it names." + reply
	case RefusedPolicy:
		return "A rule at " + f.domain() + " turns our mail away." + reply
	case RelayDenied:
		return "The server that answered for " + f.domain() + " does not serve it: look at the domain’s MX and our route." + reply
	case SenderRefused:
		return f.domain() + " refused our sender: its domain needs MX and A records, and the listener for returned mail must answer." + reply
	case OwnSetup:
		return "Our own mail server refuses us: look at its login, sender and TLS settings." + reply
	case RefusedContent, TooLarge, Unknown:
		return strings.TrimSpace(reply)
	case RateLimited:
		return "If it lasts an hour, send more slowly to " + f.domain() + "."
	case Unreachable:
		return "If three domains or more do not answer at once, it is our own way out."
	case TLSFailed:
		return "Look at the certificate and the TLS policy of " + f.domain() + "." + reply
	default:
		return ""
	}
}
