package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// eventWords says what happened. WHO stands for the actor.
var eventWords = map[audit.Kind]struct{ text, tone string }{
	audit.Asked:            {"Reset link asked for by WHO", templates.ToneQuiet},
	audit.AskedTooOften:    {"Asked for a reset link again; no further mail, five went out in an hour", templates.ToneWait},
	audit.AskedDeactivated: {"Asked for a reset link; no mail, the account is deactivated", templates.ToneWait},
	audit.TokenRevoked:     {"Password reset token cancelled by WHO", templates.ToneWait},
	audit.LinkMade:         {"Reset Password Link made by WHO", templates.ToneWait},
	audit.LinkShown:        {"Reset Password Link shown to WHO again", templates.ToneQuiet},
	audit.LinkEnded:        {"One link ended by WHO", templates.ToneQuiet},
	audit.LinkOpened:       {"Link opened", templates.ToneGood},
	audit.LinkScanned:      {"Link opened by a link scanner", templates.ToneQuiet},
	audit.CodeAccepted:     {"Right code typed", templates.ToneGood},
	audit.ResetRefused:     {"New password refused", templates.ToneWait},
	audit.PasswordReset:    {"New password set", templates.ToneGood},
	audit.PasswordChanged:  {"Password changed by WHO", templates.ToneGood},
	audit.SignedIn:         {"Signed in", templates.ToneGood},
	audit.SignInRefused:    {"Sign-in refused: wrong password", templates.ToneWait},
	audit.SignedOut:        {"Signed out", templates.ToneQuiet},
	audit.SessionsEnded:    {"Sessions ended by WHO", templates.ToneWait},
	audit.NotMe:            {"“This wasn't me” pressed", templates.ToneBad},
	audit.UserCreated:      {"Created by WHO", templates.ToneQuiet},
	audit.UserInvited:      {"Invited by WHO", templates.ToneQuiet},
	audit.UserRenamed:      {"Renamed by WHO", templates.ToneQuiet},
	audit.RoleChanged:      {"Role changed by WHO", templates.ToneWait},
	audit.AddressAsked:     {"Change of address asked for by WHO", templates.ToneWait},
	audit.AddressChanged:   {"New address confirmed", templates.ToneWait},
	audit.AddressUndone:    {"Change of address undone", templates.ToneWait},
	audit.Deactivated:      {"Deactivated by WHO", templates.ToneBad},
	audit.ApprovalAsked:    {"A second Client Admin's agreement asked for by WHO", templates.ToneWait},
	audit.ApprovalGiven:    {"WHO agreed", templates.ToneWait},
	audit.ApprovalDeclined: {"WHO declined", templates.ToneQuiet},
	audit.Activated:        {"Activated by WHO", templates.ToneGood},
	audit.CaseClosed:       {"Taken off the list of those who need help by WHO", templates.ToneQuiet},
	audit.MailAllowed:      {"Mail to this address allowed again by WHO", templates.ToneWait},
	audit.MailStopped:      {"No more mail goes to this address", templates.ToneBad},
}

// describe puts an event into words for a reader; viewer is who reads.
func describe(e audit.Entry, viewer id.User) templates.Entry {
	words, ok := eventWords[e.Kind]
	if !ok {
		words.text, words.tone = string(e.Kind), templates.ToneQuiet
	}
	return templates.Entry{
		At: e.At, Text: strings.ReplaceAll(words.text, "WHO", who(e, viewer)), Tone: words.tone, More: circumstances(e),
	}
}

func who(e audit.Entry, viewer id.User) string {
	switch {
	case e.ActorID == "":
		return "somebody"
	case e.ActorID == string(viewer):
		return "you"
	case e.ActorID == access.OperatorID:
		return "the operator"
	default:
		return e.ActorName
	}
}

// circumstances: the reason, then from where.
func circumstances(e audit.Entry) string {
	var parts []string
	d := e.Detail()
	for _, name := range []string{"why", "from", "to", "sessions"} {
		if d[name] == "" {
			continue
		}
		switch name {
		case "sessions":
			parts = append(parts, d[name]+map[bool]string{true: " session", false: " sessions"}[d[name] == "1"])
		case "why":
			parts = append(parts, d[name])
		default:
			parts = append(parts, name+" "+d[name])
		}
	}
	if e.Agent != "" {
		parts = append(parts, agent.Words(e.Agent))
	}
	if e.Network != "" {
		parts = append(parts, e.Network)
	}
	return strings.Join(parts, " · ")
}

// channelWords says how a link travels, and what became of its mail. One that
// somebody opened arrived, whatever a mail server said.
func channelWords(c token.Channel, madeBy string, mail outbox.State, openedAt time.Time) string {
	if !openedAt.IsZero() {
		mail = outbox.Sent
	}
	switch mail {
	case outbox.Queued, outbox.Deferred:
		return "Mail waiting"
	case outbox.Refused:
		return "Mail refused"
	case outbox.GivenUp:
		return "Mail given up"
	case outbox.Held, outbox.NotNeeded:
		return "Not mailed"
	}
	switch c {
	case token.Mail:
		return "Mailed"
	case token.MailAgain:
		return "Mailed again"
	case token.Unsent:
		return "Made without a mail"
	case token.ByCode:
		return "By code"
	default:
		return "Made by " + madeBy
	}
}

// openedWords says who opened a link first, and when; a person counts for more.
func openedWords(byPerson, byScanner time.Time) (string, time.Time) {
	switch {
	case !byPerson.IsZero():
		return "opened by a person", byPerson
	case !byScanner.IsZero():
		return "opened by a link scanner", byScanner
	default:
		return "not opened", time.Time{}
	}
}

// mailWords are the kinds of mail in words.
var mailWords = map[mail.Kind]string{
	mail.Reset: "Reset mail", mail.ResetByAdmin: "Reset mail", mail.ResetAfterNotMe: "Reset mail", mail.AdminLink: "Notice of an administrator’s link",
	mail.PasswordChanged: "Notice of the new password", mail.Invitation: "Invitation", mail.AddressConfirm: "Mail to confirm an address",
	mail.AddressChanged: "Notice of the changed address", mail.NewSignIn: "Notice of a new sign-in",
	mail.Digest: "List of those who need help",
}

// stateWords says how a mail stands, never more than is known.
func stateWords(s outbox.State) (words, tone string) {
	switch s {
	case outbox.Sent:
		return "Taken by the mail server", templates.ToneGood
	case outbox.Deferred:
		return "Not taken yet; tried again", templates.ToneWait
	case outbox.Refused:
		return "Refused by the mail server", templates.ToneBad
	case outbox.GivenUp:
		return "Given up", templates.ToneBad
	case outbox.NotNeeded:
		return "Not sent: no longer needed", templates.ToneQuiet
	case outbox.Held:
		return "Not sent: no mail goes to this address", templates.ToneBad
	default:
		return "Waiting to be sent", templates.ToneWait
	}
}

// givenUpAfter says how long a mail was tried; where that was less than three
// days, how often, if anybody counted.
func givenUpAfter(tried time.Duration, tries int) string {
	switch {
	case tried >= 3*24*time.Hour:
		return " after three days"
	case tries == 1:
		return " after one try"
	case tries > 1:
		return " after " + strconv.Itoa(tries) + " tries"
	default:
		return ""
	}
}
