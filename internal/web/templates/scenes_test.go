package templates_test

import (
	"time"

	. "github.com/sparekey/sparekey/internal/web/templates"
)

// anonymous is a page for nobody in particular.
func anonymous() Page {
	return Page{Environment: "Acme", Slug: "acme", Now: now}
}

// admin is a page for a Client Admin.
func admin(current string) Page {
	p := anonymous()
	p.Nav = Nav{Name: "Ada Admin", Role: "Client Admin", Current: current, Users: true, NeedsHelp: true, NeedsHelpCount: 3, Settings: true, Help: true}
	return p
}

func ago(d time.Duration) time.Time { return now.Add(-d) }

const day = 24 * time.Hour

const help = "Trouble? Call Acme IT, 555 0100"

func scenes() []scene {
	var all []scene
	for _, part := range [][]scene{loginScenes(), forgotScenes(), linkScenes(), managerScenes(), userScenes(), handoverScenes(), ownScenes(), adminScenes(), consoleScenes(), helpScenes(), numbersScenes(), messageScenes()} {
		all = append(all, part...)
	}
	return all
}

func refused(p Page, problem string, fields ...FieldProblem) Page {
	p.Problem, p.Fields = problem, fields
	return p
}

func loginScenes() []scene {
	login := func(name string, v Login, words ...string) scene {
		v.HelpLine = help
		if v.Slug == "" {
			v.Page = anonymous()
		}
		return scene{name, LoginPage(v), append(words, "Email", "Password", "Log in", "I forgot my password")}
	}
	return []scene{
		login("login", Login{}),
		login("login-wrong", Login{Page: refused(anonymous(), "This address and password do not fit together."), Email: "jane@acme.example"}, "do not fit together"),
		login("login-slowed", Login{Email: "jane@acme.example", RetrySeconds: 24}, "24 s", "that stays open"),
		login("login-signed-out", Login{Info: InfoSignedOut}, "You are signed out."),
		login("login-session-ended", Login{Info: InfoSessionEnded, Next: "/acme/users"}, "because the password was changed"),
		login("login-password-set", Login{Info: InfoPasswordSet, Email: "jane@acme.example"}, "Your password is set."),
		login("login-first-password", Login{Info: InfoFirstPassword, Email: "jane@acme.example"}, "Your password is set."),
	}
}

func forgotScenes() []scene {
	forgot := ForgotPassword{Page: anonymous(), Email: "jane@acme.example", HelpLine: help}
	malformed := ForgotPassword{Page: refused(anonymous(), "The mail was not sent.", FieldProblem{"email", "An address has an @ in the middle, as in name@example.com."}), Email: "jane.acme.example", HelpLine: help}
	slowed := ForgotPassword{Page: anonymous(), RetrySeconds: 41, HelpLine: help}
	check := CheckYourMail{Page: anonymous(), Email: "jane@acme.example", Sender: "no-reply@acme.example", Subject: "Reset your password · Acme", HelpLine: help}
	diagnosed, again := check, check
	diagnosed.Case, again.Again = "4F7K2M", true
	return []scene{
		{"forgot", ForgotPasswordPage(forgot), []string{"Email", "Send password reset link", help}},
		{"forgot-malformed", ForgotPasswordPage(malformed), []string{"An address has an @"}},
		{"forgot-slowed", ForgotPasswordPage(slowed), []string{"41 s"}},
		{"check-mail", CheckYourMailPage(check), []string{"If jane@acme.example has an account here, a mail is on its way.", "Code", "Continue", "Send it again", "Wrong address?"}},
		{"check-mail-case", CheckYourMailPage(diagnosed), []string{"Case 4F7K2M"}},
		{"check-mail-again", CheckYourMailPage(again), []string{"another mail is on its way"}},
		{"code", CodeEntryPage(CodeEntry{Page: anonymous(), HelpLine: help}), []string{"Email", "Code", "Continue"}},
		{"code-refused", CodeEntryPage(CodeEntry{Page: refused(anonymous(), "This code does not fit."), Email: "jane@acme.example", HelpLine: help}), []string{"This code does not fit."}},
	}
}

func linkScenes() []scene {
	reset := ResetPassword{Page: anonymous(), Action: "/acme/reset-password/04x7", Masked: "j•••@acme.example", Operation: "op-1", MinLength: 15, Until: now.Add(23*time.Hour + 12*time.Minute), HelpLine: help}
	leaked, invited := reset, reset
	leaked.Page = refused(anonymous(), "Not set yet. Your link still works.", FieldProblem{"password", "This password is in a list of leaked passwords. Choose another."})
	invited.Invitation, invited.Name = true, "Janus"
	dead := func(name string, v LinkNotUsable, words ...string) scene {
		v.Page, v.HelpLine = anonymous(), help
		return scene{"link-" + name, LinkNotUsablePage(v), words}
	}
	paste := "/acme/reset-password/paste"
	return []scene{
		{"reset", ResetPasswordPage(reset), []string{"New password", "Set new password", "At least 15 characters", "until tomorrow at 10:05 UTC."}},
		{"reset-leaked", ResetPasswordPage(leaked), []string{"leaked passwords"}},
		{"reset-invitation", ResetPasswordPage(invited), []string{"Welcome, Janus", "Set new password"}},
		dead("incomplete", LinkNotUsable{Reason: LinkIncomplete, PasteAction: paste}, "incomplete", "Link", "Type the code instead"),
		dead("damaged", LinkNotUsable{Reason: LinkDamaged, PasteAction: paste}, "damaged"),
		dead("expired", LinkNotUsable{Reason: LinkExpired, At: ago(21 * time.Hour), SendAction: "/acme/reset-password/x/again"}, "expired", "It stopped working yesterday at 13:53 UTC.", "Send a new link"),
		dead("expired-admin", LinkNotUsable{Reason: LinkExpired, At: ago(3 * day), MadeByAdmin: true}, "administrator", "on Saturday at"),
		dead("expired-plain", LinkNotUsable{Reason: LinkExpired}, "I forgot my password"),
		dead("expired-invitation", LinkNotUsable{Reason: LinkExpired, At: ago(9 * day), Invitation: true}, "Ask the person who invited you"),
		dead("used-invitation", LinkNotUsable{Reason: LinkUsed, At: ago(13 * time.Minute), Invitation: true}, "already used", "It signs out whoever used this link."),
		dead("used", LinkNotUsable{Reason: LinkUsed, At: ago(13 * time.Minute), Device: "Firefox on Windows"}, "already used", "With it, or with another link of the same request, a new password was set today at 10:40 UTC, from Firefox on Windows. A link works once."),
		dead("cancelled", LinkNotUsable{Reason: LinkCancelled, At: ago(time.Hour), Cause: "An administrator cancelled it."}, "cancelled", "An administrator cancelled it."),
	}
}

func rowOptions() []Option {
	return []Option{
		{ActionResetPassword, "Reset Password"},
		{ActionSendResetLink, "Send password reset link"},
		{ActionCancelToken, "Cancel reset token"},
		{ActionEdit, "Edit"},
		{ActionEndSessions, "End sessions"},
		{ActionDeactivate, "Deactivate"},
		{ActionDelete, "Delete"},
	}
}

func people() []UserRow {
	return []UserRow{
		{ID: "u1", Name: "Jane Doe", Email: "jane@acme.example", Role: "Member", State: "Active", LastSignIn: ago(3 * day), Mail: MailHealth{ToneBad, "Mailbox full since 10:41"}, Options: rowOptions()},
		{ID: "u2", Name: "Jan Kowalski", Email: "jan.kowalski@acme.example", Role: "Member", State: "Active", LastSignIn: ago(26 * time.Hour), Mail: MailHealth{ToneWait, "Never opened · 12 min"}, Options: rowOptions()},
		{ID: "u3", Name: "Janet Li", Email: "janet@acme.example", Role: "Help desk", State: "Active", LastSignIn: ago(2 * time.Minute), Mail: MailHealth{ToneGood, "Mail fine"}, Options: rowOptions()[3:]},
		{ID: "u4", Name: "Janus Petersen", Email: "janus@acme.example", Role: "Member", State: "Invited", Mail: MailHealth{ToneQuiet, "No mail yet"}, Options: []Option{{ActionResendInvitation, "Resend invitation"}, {ActionEdit, "Edit"}, {ActionDelete, "Delete"}}},
		{ID: "u5", Name: "Ada Admin", Email: "admin@acme.example", Role: "Client Admin", State: "Active", LastSignIn: ago(10 * time.Second), Mail: MailHealth{ToneGood, "Mail fine"}, Self: true},
		{ID: "u6", Name: "Janina Wiśniewska-Zimmermann of Accounting", Email: "janina.wisniewska-zimmermann@accounting.emea.acme.example", Role: "Member", State: "Deactivated", Off: true, LastSignIn: ago(200 * day), Mail: MailHealth{ToneBad, "acme.example has switched this mailbox off"}, Options: []Option{{ActionActivate, "Activate"}, {ActionEdit, "Edit"}, {ActionDelete, "Delete"}}},
	}
}

func managerScenes() []scene {
	full := UserManager{Page: admin("users"), Query: "jan", Rows: people(), CanCreate: true, NextURL: "/acme/users?after=x", Unmatched: Unmatched{Action: "/acme/users/unmatched", All: 9, AllURL: "/acme/users/unmatched", Rows: []UnmatchedRow{
		{ID: "r1", Address: "jnae@acme.example", LastAt: ago(time.Minute), Count: 3, Guess: Guess{"u1", "Jane Doe", "jane@acme.example", "two letters swapped"}},
		{ID: "r2", Address: "sales@elsewhere.example", LastAt: ago(5 * time.Hour), Count: 1},
	}}}
	asked := full
	asked.Query, asked.Unmatched, asked.ApprovalsAction = "", Unmatched{}, "/acme/users/approvals"
	asked.Approvals = []ApprovalRow{
		{ID: "a1", UserID: "u7", UserName: "Bert Boss", AskedBy: "Cleo Chief", AskedAt: ago(4 * time.Minute)},
		{ID: "a2", UserID: "u8", UserName: "Dora Director", AskedBy: "Janina Wiśniewska-Zimmermann of Accounting", AskedAt: ago(5 * time.Hour)},
	}
	flash := full
	flash.Flash, flash.Query, flash.NextURL, flash.Unmatched = "The reset token of Jane Doe is cancelled. Its 2 links no longer work.", "", "", Unmatched{}
	none := UserManager{Page: admin("users"), Query: "jnae", CanCreate: true}
	words := []string{"User Manager", "Search users", "Search", "Action for Jane Doe", "Reset Password", "Go"}
	return []scene{
		{"users", UserManagerPage(full), append(words, "Next 50", "Send to jane@acme.example", "3 times, last", "These are the newest 2.", "7 more")},
		{"unmatched", UnmatchedScreen(UnmatchedPage{Page: admin("users"), UsersURL: "/acme/users", NextURL: "/acme/users/unmatched?after=x", Unmatched: full.Unmatched}), []string{"2 of 9 addresses", "Older ones"}},
		{"unmatched-none", UnmatchedScreen(UnmatchedPage{Page: admin("users"), UsersURL: "/acme/users"}), []string{"Nobody asked in vain"}},
		{"unmatched-none-fits", UnmatchedScreen(UnmatchedPage{Page: admin("users"), UsersURL: "/acme/users", Query: "somebody.with.a.very.long.name.of.their.own@elsewhere.example"}), []string{"Nothing fits “somebody.with", "Show all"}},
		{"users-asked", UserManagerPage(asked), append(words, "Your agreement is asked for", "Agree", "Decline")},
		{"users-flash", UserManagerPage(flash), words},
		{"users-none", UserManagerPage(none), []string{"Nobody matches “jnae”"}},
		{"users-filtered-none", UserManagerPage(UserManager{Page: admin("users"), State: "deactivated"}), []string{"Show everybody"}},
		{"users-empty", UserManagerPage(UserManager{Page: admin("users"), CanCreate: true}), []string{"Nobody is here yet", "New user"}},
	}
}

func links() []LinkRow {
	return []LinkRow{
		{ID: "l2", Channel: "Made by you", MadeAt: ago(20 * time.Second), Until: now.Add(23 * time.Hour), Opened: "not opened", Live: true, CanEnd: true},
		{ID: "l1", Channel: "Mailed", MadeBy: "asked by Jane", MadeAt: ago(12 * time.Minute), Until: now.Add(23 * time.Hour), Opened: "opened by a link scanner", OpenedAt: ago(11 * time.Minute), Live: true, CanEnd: true},
		{ID: "l0", Channel: "Mailed", MadeBy: "asked by Jane", MadeAt: ago(9 * day), Opened: "opened by a person", OpenedAt: ago(9 * day), Ended: "used"},
	}
}

func jane() UserPage {
	return UserPage{
		Page: admin("users"), ID: "u1", Name: "Jane Doe", Email: "jane@acme.example", Role: "Member", State: "Active",
		LastSignIn: ago(3 * day), Created: ago(400 * day), Mail: MailHealth{ToneBad, "Mailbox full since 10:41"}, Case: "4F7K2M", Options: rowOptions(),
		Diagnosis: Diagnosis{Tone: ToneBad, Sentence: says("Jane’s mailbox has been full since 10:41 UTC.", "10:41 UTC"), More: "It must be cleared before mail can arrive. We try again at 11:12.", Button: "Give a link by phone", Action: ActionResetPassword, Details: "452 4.2.2 <jane@acme.example>: Mailbox over quota", Class: "mailbox-full"},
		Token:     TokenState{Live: true, Until: now.Add(23*time.Hour + 12*time.Minute), MadeAt: ago(12 * time.Minute)},
		Links:     links(),
		Messages: []MessageRow{{Kind: "Reset mail", State: "Put off by their server", Tone: ToneWait, To: "jane@acme.example", At: ago(12 * time.Minute), Attempts: []Attempt{
			{At: ago(12 * time.Minute), Server: "mx1.acme.example", Stage: "answer to the recipient", Code: "452 4.2.2", Reply: "Over quota"},
			{At: ago(time.Minute), Server: "mx1.acme.example", Stage: "answer to the recipient", Conversation: "< 220 mx1.acme.example ESMTP\n> EHLO login.example\n< 250 STARTTLS\n> MAIL FROM:<…>\n< 250 2.1.0 Ok\n> RCPT TO:<jane@acme.example>\n< 452 4.2.2 Over quota"},
		}}},
		Timeline: []Group{
			{At: ago(12 * time.Minute), Entries: []Entry{
				{At: ago(time.Minute), Text: "Mail came back: mailbox full", More: "mx1.acme.example: 452 4.2.2 Over quota", Tone: ToneBad, Detail: "> RCPT TO:<jane@acme.example>\n< 452 4.2.2 Over quota"},
				{At: ago(12 * time.Minute), Text: "Mail put off by their server", More: "will be tried again at 10:52", Tone: ToneWait},
				{At: ago(12*time.Minute + 2*time.Second), Text: "Jane asked for a new password", More: "from Chrome on Android, 203.0.113.7", Tone: ToneQuiet},
			}},
			{At: ago(3 * day), Entries: []Entry{{At: ago(3 * day), Text: "Signed in", More: "from Firefox on Windows, 198.51.100.20", Tone: ToneGood}}},
		},
	}
}

// says is a sentence that names one time, or none if words are empty.
func says(sentence, words string) Sentence {
	return Sentence{Words: sentence, Times: []Named{{At: ago(12 * time.Minute), Words: words}}}
}

func userScenes() []scene {
	quiet, text, stopped := jane(), jane(), jane()
	stopped.Diagnosis = Diagnosis{
		Tone: ToneBad, Sentence: says("acme.example says there is no mailbox jane@acme.example. Did you mean jane.doe@acme.example?", ""),
		More:   "Nothing is mailed to this address until it is corrected or you allow it again.",
		Button: "Correct the address", URL: "/acme/users/u1/edit", Second: "Allow mail to this address again", SecondAction: ActionAllowMail,
		Details: "550 5.1.1 no such user here", Class: "no-such-mailbox",
	}
	queue := NeedsHelp{Page: admin("needs-help"), People: []Stuck{
		{UserRow: UserRow{
			ID: "u1", Name: "Jane Doe", Email: "jane@acme.example", Role: "Member", State: "Active", LastSignIn: ago(3 * day), Mail: MailHealth{ToneBad, "Mailbox full"},
			Why: says("Jane Doe’s mailbox has been full since 10:41 UTC. It must be cleared before mail can arrive.", "10:41 UTC"), Options: rowOptions(),
		}, Since: ago(50 * time.Minute), Opened: "the mail is still waiting"},
		{UserRow: UserRow{
			ID: "u2", Name: "Maximiliane Featherstonehaugh", Email: "maximiliane@acme.example", Role: "Member", State: "Active", Mail: MailHealth{ToneWait, "Never opened"},
			Why: says("Their server took it at 10:41 UTC; nobody has opened the link. It may be in spam or quarantine.", "10:41 UTC"), Options: rowOptions(),
		}, Since: ago(20 * time.Minute), Opened: "asked three times and opened nothing"},
	}}
	quiet.Token, quiet.Links, quiet.Messages, quiet.Timeline, quiet.Diagnosis = TokenState{Why: WhyNone{Words: "The last one was used", At: now.Add(-20 * time.Minute), Then: ", from Firefox on Windows."}}, nil, nil, nil, Diagnosis{}
	quiet.Filter, quiet.PendingEmail, quiet.Mail = "mail", "jane.doe@acme.example", MailHealth{ToneGood, "Mail fine"}
	text.Diagnosis = Diagnosis{Tone: ToneWait, Sentence: says("Their server took it at 10:41 UTC; nobody has opened the link.", "10:41 UTC"), More: "It may be in spam or quarantine.", Button: "Text to send to Jane", Text: "Hello Jane, please search your mail for “Reset your password · Acme” from no-reply@acme.example, also in the spam folder."}
	return []scene{
		{"user", UserPagePage(jane()), []string{"Action for Jane Doe", "Reset Password", "Go", "Give a link by phone", "Live", "tomorrow at 10:05 UTC", "2 tries"}},
		{"user-quiet", UserPagePage(quiet), []string{"The last one was used today at ", " UTC, from Firefox on Windows.", "not confirmed", "Show everything"}},
		{"user-text", UserPagePage(text), []string{"Text to send to Jane"}},
		{"user-stopped", UserPagePage(stopped), []string{"Correct the address", "Allow mail to this address again"}},
		{"needs-help", NeedsHelpPage(queue), []string{"2 people are stuck", "Here because the mail is still waiting", "Done with Jane Doe", "Action for Jane Doe"}},
		{"needs-help-nobody", NeedsHelpPage(NeedsHelp{Page: admin("needs-help")}), []string{"Nobody is stuck"}},
	}
}

func handoverScenes() []scene {
	link := "https://login.example/acme/reset-password/04x7hk2mq8v1c5zt0n6rj3wyb9e4gd7sfa2p9tqw"
	v := ResetPasswordLink{
		Page: admin("users"), UserID: "u1", UserName: "Jane Doe", Email: "jane@acme.example", Link: link, QRPath: qrPath, QRSize: qrSize,
		Until: now.Add(23*time.Hour + 12*time.Minute), Links: links()[:2],
		Text: "Hello Jane, here is the link to set a new password for Acme:\n\n" + link + "\n\nIt works once, until tomorrow 10:05. Nobody will ask you for it.",
	}
	again := v
	again.Again, again.Links = true, nil
	none := NoToken{Page: admin("users"), UserID: "u1", UserName: "Jane Doe", Email: "jane@acme.example", Why: WhyNone{Words: "The last one expired", At: now.Add(-20 * time.Hour), Then: "."}, CanSend: true, LoginURL: "https://login.example/acme/login"}
	barred := none
	barred.CanSend = false
	return []scene{
		{"reset-link", ResetPasswordLinkPage(v), []string{"Reset Password Link", link, "Copy link", "Copy text", "Works until tomorrow at 10:05 UTC (23 h 12 min). Works once. Jane is told by mail that you made it.", "Check who is calling"}},
		{"reset-link-again", ResetPasswordLinkPage(again), []string{"This is the link you made before", "Only you."}},
		{"no-token", NoTokenPage(none), []string{NoTokenSentence, "The last one expired yesterday at 14:53 UTC.", "Send password reset link to Jane Doe now", "I forgot my password"}},
		{"no-token-barred", NoTokenPage(barred), []string{NoTokenSentence, "a window that is not signed in"}},
	}
}

func ownScenes() []scene {
	account := Account{
		Page: admin("account"), Name: "Ada Admin", Email: "admin@acme.example", MinLength: 15,
		Sessions: []SessionRow{
			{ID: "s1", Device: "Firefox on Windows", Network: "198.51.100.20", LastSeen: ago(5 * time.Second), Current: true},
			{ID: "s2", Device: "Safari on iPhone", Network: "203.0.113.7, mobile network", LastSeen: ago(3 * time.Hour)},
			{ID: "s3", Device: "Chrome on Android", Network: "2001:db8:40:9f00::/64", LastSeen: ago(6 * day)},
		},
		Events: []Entry{
			{At: ago(3 * time.Hour), Text: "Signed in", More: "from Safari on iPhone, 203.0.113.7", Tone: ToneGood},
			{At: ago(4 * day), Text: "Password changed", More: "from Firefox on Windows; 2 sessions ended", Tone: ToneQuiet},
			{At: ago(5 * day), Text: "3 wrong passwords", More: "from 192.0.2.44", Tone: ToneWait},
		},
	}
	bad, pending := account, account
	bad.Page = refused(admin("account"), "The password was not changed.", FieldProblem{"current", "This is not your current password."})
	pending.PendingEmail, pending.Sessions, pending.Events = "ada@acme.example", account.Sessions[:1], nil
	pending.Nav = Nav{Name: "Ada Admin", Role: "Member", Current: "account"}
	pending.Flash = "Your name is saved."
	return []scene{
		{"account", AccountPage(account), []string{"End this", "End all others", "Current password", "New password", "User Manager", "Log out"}},
		{"account-refused", AccountPage(bad), []string{"This is not your current password."}},
		{"account-pending", AccountPage(pending), []string{"ada@acme.example", "Keep the old address"}},
		{"not-me", NotMePage(NotMe{Page: anonymous(), Action: "/acme/not-me/x", Masked: "j•••@acme.example", HelpLine: help}), []string{"This wasn’t me", "Your password stays as it is"}},
		{"not-me-used", NotMePage(NotMe{Page: anonymous(), Action: "/acme/not-me/x", Masked: "j•••@acme.example", Used: true}), []string{"The password of this account stops working."}},
		{"not-me-done", NotMePage(NotMe{Page: anonymous(), Used: true, Done: true}), []string{"fresh link"}},
		{"not-me-dead", NotMePage(NotMe{Page: anonymous(), Dead: "It was used already.", At: ago(3 * time.Hour)}), []string{"It was used already. That was today at 07:53 UTC."}},
		{"address", AddressConfirmPage(AddressConfirm{Page: anonymous(), Action: "/acme/confirm/x", Email: "ada@acme.example"}), []string{"Use this address"}},
		{"address-dead", AddressConfirmPage(AddressConfirm{Page: anonymous(), Dead: "It was replaced by a newer one."}), []string{"replaced"}},
	}
}

func adminScenes() []scene {
	create := UserEdit{Page: admin("users"), New: true, Action: "/acme/users/new", Role: "member", Invite: true}
	second := create
	second.NoNewAdmin = "In this environment an operator adds a Client Admin, so that no Client Admin can make the second one whose agreement is needed."
	taken := create
	taken.Page = refused(admin("users"), "The user was not created.", FieldProblem{"email", "Jane Doe has this address already."}, FieldProblem{"name", "A name is needed."})
	taken.Email = "jane@acme.example"
	edit := UserEdit{Page: admin("users"), UserID: "u1", UserName: "Jane Doe", Action: "/acme/users/u1/edit", Name: "Jane Doe", Email: "jane@acme.example", Role: "member", Consequences: []string{"Changing the role signs Jane out everywhere and ends her reset token."}}
	locked := edit
	locked.EmailLocked, locked.RoleLocked, locked.Consequences = "Administrator links are off here, and an address is as strong as a link. The person can change it on the account page.", "You cannot change the role of another Client Admin.", nil
	confirm := Confirm{Page: admin("users"), Heading: "Delete Jane Doe", Sentence: "Jane Doe can no longer sign in, and everything about her is removed from this environment.", What: []string{"Ends 3 sessions on 2 devices.", "Ends 2 live reset links.", "The record of what happened stays, without her name and address."}, Action: "/acme/users/u1", Fields: []Hidden{{"action", ActionDelete}, {"confirm", "yes"}}, Button: "Delete Jane Doe", CancelURL: "/acme/users/u1", UpWords: "Jane Doe"}
	safe := confirm
	safe.Heading, safe.Button, safe.Safe, safe.Sentence, safe.What = "End sessions of Jane Doe", "End 3 sessions", true, "Ends 3 sessions of Jane Doe on 2 devices.", nil
	settings := Settings{Page: admin("settings"), LinkLife: "24h", InvitationDays: 7, AdminLinks: "existing-token", SecondAdmin: "off", MinLength: 15, AfterReset: "login", HelpLine: help, HelpEmail: "it@acme.example"}
	pale := settings
	pale.Page, pale.Accent = refused(admin("settings"), "The settings were not saved.", FieldProblem{"accent", "This colour is too pale beside white: 1.9 to 1, and 4.5 to 1 is needed."}), "#ffcc00"
	return []scene{
		{"user-new", UserEditPage(create), []string{"Name", "Email", "Role", "Create user", "Send the invitation now"}},
		{"user-new-second-admin", UserEditPage(second), []string{"Help desk", "an operator adds a Client Admin"}},
		{"user-new-taken", UserEditPage(taken), []string{"Jane Doe has this address already."}},
		{"user-edit", UserEditPage(edit), []string{"Save", "Client Admin"}},
		{"user-edit-locked", UserEditPage(locked), []string{"as strong as a link"}},
		{"confirm-delete", ConfirmPage(confirm), []string{"Delete Jane Doe", "Ends 3 sessions on 2 devices.", "Keep it as it is"}},
		{"confirm-sessions", ConfirmPage(safe), []string{"Ends 3 sessions of Jane Doe on 2 devices."}},
		{"settings", SettingsPage(settings), []string{"safe choice", "Save settings"}},
		{"settings-pale", SettingsPage(pale), []string{"too pale"}},
	}
}

func messageScenes() []scene {
	signed := admin("users")
	failed := anonymous()
	failed.RequestID = "7Q2M4K"
	return []scene{
		{"message-403", MessagePage(Message{Page: signed, Heading: "This is not open to you", Text: []string{"Your role does not include settings. A Client Admin can do it, or change your role."}, ActionWords: "User Manager", ActionURL: "/acme/users"}), []string{"This is not open to you"}},
		{"message-404", MessagePage(Message{Page: Page{Now: now}, Heading: "There is nothing here", Text: []string{"The address may be mistyped, or what was here is gone."}}), []string{"Sparekey"}},
		{"message-429", MessagePage(Message{Page: anonymous(), Heading: "A short pause", Text: []string{"Many requests came from your network."}, RetrySeconds: 40, ActionWords: "I forgot my password", ActionURL: "/acme/forgot-password", HelpLine: help}), []string{"40 s"}},
		{"message-500", MessagePage(Message{Page: failed, Heading: "Something on our side failed", Text: []string{"It is recorded, and nothing you typed was kept. Try once more in a moment."}, ActionWords: "Back to log in", ActionURL: "/acme/login", HelpLine: help}), []string{"7Q2M4K"}},
		{"message-503", MessagePage(Message{Page: anonymous(), Heading: "Very busy just now", Text: []string{"Many people are signing in at once. Your place is not lost; the next try goes through."}, RetrySeconds: 5}), []string{"5 s"}},
	}
}
