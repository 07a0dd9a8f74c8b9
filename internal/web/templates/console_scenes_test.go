package templates_test

import (
	"strings"
	"time"

	. "github.com/sparekey/sparekey/internal/web/templates"
)

func operator(current string) Page {
	return Page{Environment: "Operators", Slug: "operator", Now: now, Nav: Nav{Name: "Olivia Operator", Role: "Operator", Current: current, Console: true, Help: true}}
}

func environments() []EnvironmentRow {
	return []EnvironmentRow{
		{Slug: "acme", Name: "Acme", Users: "25 users", Asked: 12, Stuck: 1},
		{Slug: "globex", Name: "Globex Corporation", Users: "over 10,000 users", Asked: 340},
		{Slug: "initech", Name: "Initech", Users: "1 user", SuspendedAt: ago(time.Hour)},
	}
}

func consoleScenes() []scene {
	well := Console{
		Page:         operator("console"),
		Servers:      []ServerRow{{Name: "smtp1.server.example:587", Tone: ToneGood, Words: "Takes our mail, as far as we know"}},
		Queue:        []Fact{{Name: "Mails to send", Value: "none"}, {Name: "Askings to look up", Value: "none"}},
		Canary:       CanaryCard{On: true, Tone: ToneGood, Words: "The whole way works.", At: ago(2 * time.Minute), GoodAt: ago(2 * time.Minute), Took: "1.4 seconds from asking to signed out"},
		Environments: environments(),
	}
	ill := well
	ill.Alarms = []AlarmRow{
		{Name: "all-servers-down", Title: "No mail leaves", Urgent: true, Sentence: "No mail of ours has left since 10:41 UTC: no mail server can be used. Mails wait and go out by themselves once one works again.", Detail: "smtp1.server.example:587: connect: connection refused", Noticed: 31, Since: ago(12 * time.Minute), LastAt: ago(5 * time.Second)},
		{Name: "refused-policy", About: "a-rather-long-name-of-a-domain-that-does-not-fit.example", Title: "Turned away by a rule", Sentence: "A rule there turned our mail away at least 3 times in a day.", Noticed: 3, Since: ago(3 * time.Hour), LastAt: ago(time.Hour), Slug: "acme"},
	}
	ill.Servers = []ServerRow{
		{Name: "smtp1.server.example:587", Tone: ToneBad, Words: "5 failures in a row", More: "connect: connection refused", Until: now.Add(40 * time.Second)},
		{Name: "smtp2.server.example:465", Tone: ToneWait, Words: "The next mail tries whether it works again"},
	}
	ill.Queue = []Fact{{Name: "Mails to send", Value: "312, 300 under way or put off", Since: ago(2 * time.Minute)}, {Name: "Askings to look up", Value: "none"}}
	ill.Canary = CanaryCard{On: true, Tone: ToneBad, Words: "The last walk failed.", Problem: "The mail did not come back within 3 min.", At: ago(4 * time.Minute), GoodAt: ago(14 * time.Minute), Took: "1.4 seconds from asking to signed out"}
	ill.Returned = []Fact{{Name: "Bounced", Value: "14"}, {Name: "Automatic answers", Value: "3"}}
	bare := Console{Page: operator("console"), Queue: well.Queue}
	closing := OperatorEnvironments{Page: operator("environments"), Environments: environments()}
	closing.Confirm = &closing.Environments[0]
	return []scene{
		{"console", ConsolePage(well), []string{"All is well: no alarm.", "Acme", "12 asked for a link in 24 hours", "1 waits for help (8 % of those)"}},
		{"console-alarms", ConsolePage(ill), []string{"No mail leaves", "noticed 31 times", "5 failures in a row", "The last walk failed.", "environment acme"}},
		{"console-bare", ConsolePage(bare), []string{"No mail server is set up", "There is no environment yet", "SPAREKEY_CANARY"}},
		{"operator-environments", OperatorEnvironmentsPage(OperatorEnvironments{Page: operator("environments"), Environments: environments()}), []string{"Suspend Acme", "Resume Initech"}},
		{"operator-environments-confirm", OperatorEnvironmentsPage(closing), []string{"Suspend Acme?", "Nothing is lost"}},
		{"unknown-replies", UnknownRepliesPage(UnknownReplies{Page: operator("unknown-replies"), Rows: []UnknownReplyRow{
			{Fingerprint: "x", Reply: "550 5.9.9 The stars do not favour …@acme.example today", Stage: "rcpt", Domain: "acme.example", Seen: 41, FirstAt: ago(70 * time.Hour), LastAt: ago(time.Hour)},
			{Fingerprint: "y", Reply: "451 " + strings.Repeat("long ", 60), Domain: "globex.example", Seen: 1, FirstAt: ago(26 * time.Hour), LastAt: ago(26 * time.Hour)},
		}}), []string{"Seen 41 times · first", "Seen once, ", "Forget reply 2"}},
		{"unknown-replies-none", UnknownRepliesPage(UnknownReplies{Page: operator("unknown-replies")}), []string{"Every answer so far was understood."}},
		{"mail-setup", MailSetupPage(MailSetup{Page: operator("mail-setup"), From: "no-reply@sparekey.example"}), []string{"Check now", "No mail is sent."}},
		{"mail-setup-checked", MailSetupPage(checked()), []string{"1 of 4 checks found something wrong.", "What to do:", "Copy record"}},
	}
}

func checked() MailSetup {
	return MailSetup{Page: operator("mail-setup"), From: "no-reply@sparekey.example", CheckedAt: ago(3 * time.Second), Checks: []CheckRow{
		{Title: "Mail server smtp://smtp1.server.example:587", Words: "fine", Tone: ToneGood, Sentence: "smtp1.server.example:587 takes mail from no-reply@sparekey.example (250 2.1.5 Ok)."},
		{Title: "SPF of sparekey.example", Words: "look at this", Tone: ToneWait, Sentence: "The SPF record of sparekey.example says nothing about servers it does not name.", Action: "End it with -all.", Records: []string{`sparekey.example. IN TXT "v=spf1 a:smtp1.server.example -all"`}},
		{Title: "DKIM key sparekey1-rsa of sparekey.example", Words: "wrong", Tone: ToneBad, Sentence: "The DKIM key sparekey1-rsa of sparekey.example is not published, so its signatures prove nothing.", Action: "Publish this record.", Records: []string{`sparekey1-rsa._domainkey.sparekey.example. IN TXT "v=DKIM1; k=rsa; p=` + strings.Repeat("MIIBIjANBgkqhkiG9w0B", 8) + `" "` + strings.Repeat("AQEFAAOCAQ8AMIIBCgKC", 8) + `"`}},
		{Title: "Reverse DNS", Words: "not checked", Tone: ToneQuiet, Sentence: "Nobody told us which public address mail leaves from.", Action: "Name it with --from-ip, unless a mail provider sends for you."},
	}}
}
