package mail

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// What our mails say, as text. What they say in HTML stands in html.templ, in the
// same order and the same words.

func resetText(v *view) string {
	if v.CodeOnly {
		return codeText(v)
	}
	return letter(
		v.hello(),
		v.why("mail"),
		"To set a new password, open this link:",
		v.Link,
		only(v.Code != "", "Or type this code "+v.whereToType()+":"),
		v.Code,
		v.ends(),
		only(v.Code != "", "Nobody from "+v.Environment+" will ask you for this code unless you called them first."),
		lines(
			v.unexpected(),
			only(v.NotMe != "", `You can also end the link now, with "This wasn't me":`),
		),
		v.NotMe,
	)
}

// codeText is the reset mail in its shortest form, which has no HTML.
func codeText(v *view) string {
	return letter(
		v.hello(),
		v.why("code")+only(v.Kind != ResetByAdmin, " This mail holds only the code, because a longer one did not get through."),
		"Type it "+v.whereToType()+":",
		v.Code,
		"It works until "+v.when(v.Until)+", once. Nobody from "+v.Environment+" will ask you for it unless you called them first.",
		v.unexpected(),
	)
}

func (v *view) ends() string {
	if v.Code != "" {
		return "Both work until " + v.when(v.Until) + ". Once your password is set, neither does."
	}
	return "The link works until " + v.when(v.Until) + ", once."
}

// The reset mail is one mail; only these sentences know who had it sent.

func (v *view) why(what string) string {
	switch v.Kind {
	case ResetByAdmin:
		return v.admin() + " had this " + what + " sent to you, so that you can set a new password."
	case ResetAfterNotMe:
		return "You said that it was not you. Your old password no longer works, and everybody who was signed in to your account at " + v.Environment + " is signed out."
	default:
		return "Someone asked to reset the password of your account at " + v.Environment + "."
	}
}

func (v *view) whereToType() string {
	if v.Kind == Reset {
		return "on the page where you asked for the reset"
	}
	return "where you are asked for it"
}

func (v *view) unexpected() string {
	switch v.Kind {
	case ResetAfterNotMe:
		return "Until you set a new password, nobody can sign in to your account."
	case ResetByAdmin:
		return "If you did not expect this, nothing has changed and you need not do anything."
	default:
		return "If you did not ask for this, nothing has changed and you need not do anything."
	}
}

func adminLinkText(v *view) string {
	return letter(
		v.hello(),
		v.admin()+" made a link with which you can set a new password.",
		lines(
			"Made: "+v.when(v.At),
			only(!v.Until.IsZero(), "Works until: "+v.when(v.Until)),
		),
		"The administrator gives you the link. If you called them about your password, all is well.",
		`If you did not, end the link now, with "This wasn't me":`,
		v.NotMe,
		v.notMeEnds(),
	)
}

func passwordChangedText(v *view) string {
	return letter(
		v.hello(),
		"The password of your account at "+v.Environment+" was changed.",
		lines(
			"When: "+v.when(v.At),
			fact("From", v.where()),
			fact("By", v.By),
			v.sessions(),
		),
		"If it was you, you need not do anything.",
		"If it was not you, open this link: it signs everybody out, makes the new password useless and sends you a fresh link.",
		v.NotMe,
		v.notMeEnds(),
	)
}

func invitationText(v *view) string {
	return letter(
		v.hello(),
		v.invited()+" to "+v.Environment+". To accept, set a password:",
		v.Link,
		"The link works until "+v.when(v.Until)+", once.",
		"If you did not expect this, you need not do anything."+only(v.NotMe != "", " You can also refuse the invitation:"),
		v.NotMe,
	)
}

func addressConfirmText(v *view) string {
	return letter(
		v.hello(),
		"This address is to become the one you sign in with at "+v.Environment+". To confirm it, open this link:",
		v.Link,
		"The link works until "+v.when(v.Until)+", once. Until you open it, nothing changes.",
		"If you did not expect this, you need not do anything.",
	)
}

func addressChangedText(v *view) string {
	return letter(
		v.hello(),
		lines(
			"A change of the e-mail address of your account at "+v.Environment+" was asked for.",
			"It counts as soon as the new address is confirmed.",
		),
		lines(
			"From: "+v.OldAddress,
			"To: "+v.NewAddress,
			"When: "+v.when(v.At),
			fact("By", v.By),
		),
		"If that is right, you need not do anything.",
		"If it is not, stop or undo it with this link:",
		v.NotMe,
		v.notMeEnds(),
	)
}

func newSignInText(v *view) string {
	return letter(
		v.hello(),
		"Somebody signed in to your account at "+v.Environment+" from a device we have not seen before.",
		lines(
			"When: "+v.when(v.At),
			fact("Device", v.Device),
			fact("Network", v.Network),
		),
		"If it was you, you need not do anything.",
		`If it was not you, open this link, with "This wasn't me":`,
		v.NotMe,
		v.notMeEnds(),
	)
}

func digestText(v *view) string {
	var stuck []string
	for _, s := range v.Stuck {
		stuck = append(stuck, "- "+s.Name+": "+s.Why)
	}
	return letter(
		v.hello(),
		"these people are stuck on the way back in to "+v.Environment+":",
		lines(append(stuck, only(v.MoreStuck != 0, "- "+v.more()))...),
		"What to do for each stands here:",
		v.Queue,
		"You get this mail at most once a day. A Client Admin can switch it off in the settings.",
	)
}

// What several mails say, and both parts of them.

func (v *view) hello() string {
	if v.UserName == "" {
		return "Hello,"
	}
	return "Hello " + v.UserName + ","
}

// admin begins a sentence.
func (v *view) admin() string {
	if v.By == "" {
		return "An administrator of " + v.Environment
	}
	return v.By + ", an administrator of " + v.Environment + ","
}

// invited begins a sentence.
func (v *view) invited() string {
	if v.By == "" {
		return "You are invited"
	}
	return v.By + " invites you"
}

func (v *view) notMeEnds() string { return "It works until " + v.when(v.NotMeUntil) + "." }

func (v *view) more() string { return "and " + strconv.Itoa(v.MoreStuck) + " more" }

// when gives a time in full, for example "Tuesday 3 March 2026, 14:05 UTC".
func (v *view) when(t time.Time) string {
	place := v.Location
	if place == nil {
		place = time.UTC
	}
	return t.In(place).Format("Monday 2 January 2006, 15:04 MST")
}

// where joins what is known of a device.
func (v *view) where() string {
	switch {
	case v.Device != "" && v.Network != "":
		return v.Device + ", network " + v.Network
	case v.Network != "":
		return "network " + v.Network
	default:
		return v.Device
	}
}

// sessions says how many sessions were ended.
func (v *view) sessions() string {
	switch v.SessionsEnded {
	case 0:
		return ""
	case 1:
		return "1 session was signed out."
	default:
		return strconv.Itoa(v.SessionsEnded) + " sessions were signed out."
	}
}

// letter puts a blank line between paragraphs. What is empty is left out, here
// and in lines.
func letter(paragraphs ...string) string { return join(paragraphs, "\n\n") + "\n" }

// lines makes one paragraph.
func lines(of ...string) string { return join(of, "\n") }

func join(parts []string, between string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), between)
}

func only(when bool, words string) string {
	if when {
		return words
	}
	return ""
}

func fact(what, value string) string { return only(value != "", what+": "+value) }
