package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/agent"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
	"github.com/sparekey/sparekey/internal/usermanager"
	"github.com/sparekey/sparekey/internal/web/templates"
)

// userID gives the user a path names; what cannot be an id costs no query.
func (v *visit) userID() (id.User, error) {
	text := v.r.PathValue("id")
	if !id.Valid(text) {
		return "", user.ErrNone
	}
	return id.User(text), nil
}

func (d *Door) showUser(v *visit) error {
	userID, err := v.userID()
	if err != nil {
		return err
	}
	details, err := d.UserManager.User(v.ctx(), v.actor(), v.env, userID)
	if err != nil {
		return err
	}
	page := v.userPage(details, v.r.URL.Query().Get("only"))
	if v.r.Header.Get("X-Fragment") == "user" {
		return v.show(http.StatusOK, templates.UserPageBody(page))
	}
	page.Flash = v.takeFlash().Words
	return v.show(http.StatusOK, templates.UserPagePage(page))
}

func (v *visit) userPage(d usermanager.Details, only string) templates.UserPage {
	u := d.User
	page := templates.UserPage{
		Page: v.page(), ID: string(u.ID), Name: u.Name, Email: u.Email, PendingEmail: u.PendingEmail, Role: u.Role.Words(), State: stateOf(u.State),
		LastSignIn: u.LastSignInAt, Created: u.MadeAt, Options: options(d.Options), Token: tokenState(d),
		Case: d.Asking.Case, Diagnosis: v.card(d),
	}
	page.Mail, _ = rowHealth(d.Row)
	page.Nav.Current = "users"
	canEnd := slices.Contains(d.Options, access.CancelToken)
	for _, l := range d.Links {
		page.Links = append(page.Links, ledgerRow(l, canEnd))
	}
	for _, m := range d.Messages {
		page.Messages = append(page.Messages, messageRow(m))
	}
	if only == "mail" || only == "security" {
		page.Filter = only
	}
	page.More = d.MoreLog && page.Filter != "mail"
	page.Timeline = timeline(d, page.Filter, v.live.User)
	return page
}

func tokenState(d usermanager.Details) templates.TokenState {
	s := templates.TokenState{Live: d.Live, Until: d.Expires, MadeAt: d.Token.MadeAt}
	if !d.Live {
		s.Why = whyNoToken(d.User.Name, d.Token, d.Expired)
	}
	return s
}

// whyNoToken says what became of the newest token.
func whyNoToken(name string, t token.Token, expired time.Time) templates.WhyNone {
	first, _, _ := strings.Cut(name, " ")
	switch {
	case t.ID == "":
		return templates.WhyNone{Words: first + " has never asked for one."}
	case !t.UsedAt.IsZero():
		return templates.WhyNone{Words: "The last one was used", At: t.UsedAt, Then: ", from " + agent.Words(t.UsedAgent) + "."}
	case !t.RevokedAt.IsZero():
		return templates.WhyNone{Words: "The last one ended", At: t.RevokedAt, Then: ": " + t.RevokedWhy + "."}
	case !expired.IsZero():
		return templates.WhyNone{Words: "The last one expired", At: expired, Then: "."}
	default:
		return templates.WhyNone{Words: first + " has not asked for one lately: all links of the last one have ended."}
	}
}

func moment(t time.Time) string { return t.UTC().Format("Monday 2 January at 15:04 MST") }

func ledgerRow(l usermanager.Link, canEnd bool) templates.LinkRow {
	row := templates.LinkRow{
		ID: l.Ref, MadeAt: l.MadeAt, Until: l.EndsAt,
		Live: l.Verdict == token.Works, CanEnd: canEnd && l.Channel != token.ByCode,
	}
	row.Opened, row.OpenedAt = openedWords(l.OpenedAt, l.ScannedAt)
	row.Channel = channelWords(l.Channel, l.MadeByName, l.Mail, row.OpenedAt)
	if l.CameBack {
		row.Channel += ", came back"
	}
	if l.MadeByName != "" && l.Channel != token.Admin {
		row.MadeBy = "asked by " + l.MadeByName
	}
	switch l.Verdict {
	case token.Used:
		row.Ended = "used"
	case token.Cancelled:
		row.Ended = "ended: " + l.EndedWhy
	case token.Expired:
		row.Ended = "expired"
	}
	return row
}

func messageRow(m usermanager.Message) templates.MessageRow {
	words, tone := stateWords(m.State)
	if n := len(m.Attempts); m.State == outbox.Deferred && n > 0 && m.Attempts[n-1].Outcome == "permanent" {
		words = "Refused for now; tried again"
	}
	if m.State == outbox.GivenUp {
		words += givenUpAfter(m.SettledAt.Sub(m.MadeAt), len(m.Attempts))
	}
	if r, ok := m.CameBack(); ok {
		words, tone = reportWords(r)
		words = strings.ToUpper(words[:1]) + words[1:]
	} else if m.Arrived() {
		words, tone = "Reported delivered", templates.ToneGood
	}
	row := templates.MessageRow{Kind: mailWords[mail.Kind(m.Kind)], State: words, Tone: tone, To: m.To, At: m.MadeAt, Next: m.NextTryAt}
	for _, a := range m.Attempts {
		row.Attempts = append(row.Attempts, templates.Attempt{
			At: a.At, Server: a.Server, Stage: stageWords[a.Stage], Code: strings.TrimSpace(codeOf(a)), Reply: a.Reply, Conversation: a.Conversation,
		})
	}
	return row
}

func codeOf(a outbox.Attempt) string {
	if a.Code == 0 {
		return ""
	}
	return strconv.Itoa(a.Code) + " " + a.Enhanced
}

// stageWords are the stages of a conversation with a mail server.
var stageWords = map[string]string{
	"connect": "Reaching the server", "hello": "Greeting", "tls": "Encryption", "auth": "Logging in",
	"mail": "Sender", "rcpt": "Recipient", "data": "The mail itself",
}

// timeline groups events and mails by day, newest first.
func timeline(d usermanager.Details, only string, viewer id.User) []templates.Group {
	var all []templates.Entry
	// Of what happened in one step the mail came last, so it stands first.
	if only != "security" {
		for _, m := range d.Messages {
			all = append(all, mailEntries(m)...)
		}
		for _, l := range d.Looks {
			all = append(all, lookEntry(l, d))
		}
	}
	if only != "mail" {
		for _, e := range d.Events {
			if len(d.Looks) > 0 && (e.Kind == audit.LinkOpened || e.Kind == audit.LinkScanned) {
				continue // each look is told by itself
			}
			if only == "" || security[e.Kind] {
				all = append(all, describe(e, viewer))
			}
		}
	}
	if d.CodesTried > 0 && only == "" {
		all = append(all, templates.Entry{
			At: d.CodesUntil.Add(-24 * time.Hour), Text: fmt.Sprintf("Code typed %d times since then", d.CodesTried), Tone: templates.ToneWait,
			More: "A code takes five tries; after that the link in the mail, or one of yours, still works.",
		})
	}
	slices.SortStableFunc(all, func(a, b templates.Entry) int { return b.At.Compare(a.At) })
	var groups []templates.Group
	for _, e := range all {
		day := e.At.UTC().Truncate(24 * time.Hour)
		if len(groups) == 0 || !groups[len(groups)-1].At.UTC().Truncate(24*time.Hour).Equal(day) {
			groups = append(groups, templates.Group{At: e.At})
		}
		g := &groups[len(groups)-1]
		g.Entries = append(g.Entries, e)
	}
	return groups
}

// security leaves out what is only about mail and openings.
var security = map[audit.Kind]bool{
	audit.TokenRevoked: true, audit.LinkMade: true, audit.LinkShown: true, audit.CodeAccepted: true, audit.ResetRefused: true,
	audit.PasswordReset: true, audit.PasswordChanged: true, audit.SignedIn: true, audit.SignInRefused: true, audit.SessionsEnded: true,
	audit.NotMe: true, audit.RoleChanged: true, audit.AddressAsked: true, audit.AddressChanged: true, audit.AddressUndone: true,
	audit.Deactivated: true, audit.Activated: true,
}

// mailEntries tell a mail's way: written, then how it stands.
func mailEntries(m usermanager.Message) []templates.Entry {
	kind := mailWords[mail.Kind(m.Kind)]
	entries := []templates.Entry{{At: m.MadeAt, Text: kind + " written", More: "to " + m.To, Tone: templates.ToneQuiet}}
	for _, a := range m.Attempts {
		words, tone := attemptWords(a)
		entries = append(entries, templates.Entry{At: a.At, Text: kind + " " + words, More: a.Reply, Tone: tone, Detail: a.Conversation})
	}
	for _, r := range m.Reports {
		words, tone := reportWords(r)
		entries = append(entries, templates.Entry{At: r.At, Text: kind + ": " + words, More: reportMore(r), Tone: tone, Detail: r.Reply})
	}
	if m.State == outbox.NotNeeded {
		entries = append(entries, templates.Entry{At: m.SettledAt, Text: kind + " not sent: no longer needed", Tone: templates.ToneQuiet})
	}
	if m.State == outbox.Held {
		entries = append(entries, templates.Entry{At: m.SettledAt, Text: kind + " not sent: no mail goes to this address", Tone: templates.ToneBad})
	}
	return entries
}

// lookEntry tells who looked at a link, as far as one can guess, and how long
// after its mail was taken.
func lookEntry(l usermanager.Look, d usermanager.Details) templates.Entry {
	words, tone := "Link opened", templates.ToneGood
	vendor := ""
	if l.Guess.Vendor != "" {
		vendor = " of " + l.Guess.Vendor
	}
	switch {
	case l.Guess.By == diagnosis.ByScanner && l.Guess.Perhaps():
		words, tone = "Link opened, perhaps by a link scanner"+vendor, templates.ToneQuiet
	case l.Guess.By == diagnosis.ByScanner:
		words, tone = "Link opened by a link scanner"+vendor, templates.ToneQuiet
	case l.Guess.By == diagnosis.ByPerson && !l.Guess.Perhaps():
		words = "Link opened by a person"
	case l.Guess.By == diagnosis.ByPerson:
		words = "Link opened, perhaps by a person"
	}
	more := []string{}
	if after := d.TakenBefore(l); after > 0 {
		more = append(more, spanWords(after)+" after the mail was taken")
	}
	if l.Guess.Sign != "" {
		more = append(more, l.Guess.Sign)
	}
	more = append(more, agent.Words(l.Agent), l.Network)
	return templates.Entry{At: l.At, Text: words, Tone: tone, More: strings.Join(more, " · ")}
}

func spanWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	default:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
}

// reportWords say what came back about a mail.
func reportWords(r outbox.Report) (words, tone string) {
	switch r.Kind {
	case "bounce":
		return "came back: " + strings.ToLower(diagnosis.Class(r.Class).Short()), templates.ToneBad
	case "complaint":
		return "reported as spam", templates.ToneBad
	case "delay":
		return "still on its way", templates.ToneWait
	case "delivered":
		return "reported delivered", templates.ToneGood
	default:
		return "answered by the mailbox itself", templates.ToneQuiet
	}
}

func reportMore(r outbox.Report) string {
	var parts []string
	if r.Reporter != "" {
		parts = append(parts, "says "+r.Reporter)
	}
	if r.Source != "mail" {
		parts = append(parts, "by way of "+r.Source)
	}
	return strings.Join(append(parts, strings.TrimSpace(r.Status)), " · ")
}

func attemptWords(a outbox.Attempt) (words, tone string) {
	server := a.Server
	if server == "" {
		server = "our server"
	}
	switch a.Outcome {
	case "accepted":
		return "taken by " + server, templates.ToneGood
	case "permanent":
		return "refused by " + server, templates.ToneBad
	case "unknown":
		return "perhaps taken by " + server, templates.ToneWait
	default:
		return "not taken yet by " + server, templates.ToneWait
	}
}
