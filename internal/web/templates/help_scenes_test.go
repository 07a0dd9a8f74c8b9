package templates_test

import (
	"time"

	. "github.com/sparekey/sparekey/internal/web/templates"
)

func helpScenes() []scene {
	list := Help{Page: anonymous(), Articles: []HelpItem{{URL: "/acme/help/code", Title: "The code in the mail", Summary: "Eight digits."}, {URL: "/acme/help/x", Title: "Night shift", Summary: "Call the gate.", For: "administrators", From: "Acme"}}}
	found, nothing, writer := list, list, list
	found.Query = "code"
	nothing.Query, nothing.Articles = "zebra", nil
	writer.Page, writer.MayWrite = admin("help"), true
	article := func(p Page, f HelpFeedback) HelpArticle {
		return HelpArticle{Page: p, Name: "code", Title: "The code in the mail", For: "everybody", HTML: "<p>Eight <strong>digits</strong>.</p>", ChangedAt: ago(9 * day), Feedback: f}
	}
	reasons := HelpFeedback{State: FeedbackReason, Reasons: []HelpReason{{"reason_steps", "I followed the steps and they did not work", true}, {"reason_other", "Something else", false}}, Proof: true}
	bad := refused(anonymous(), "Nothing is sent yet.", FieldProblem{"reasons", "Select at least one of the reasons"}, FieldProblem{"altcha", "CAPTCHA verification is required."})
	draft := article(admin("help"), HelpFeedback{})
	draft.Draft, draft.MayEdit = true, true
	write := HelpWrite{Page: admin("help"), Audience: "everyone", MostTitle: 120, MostText: 20_000}
	edit, wrong := write, write
	edit.Name, edit.ArticleTo, edit.TitleOf, edit.Text, edit.Published, edit.Preview = "night", "/acme/help/night", "Night shift", "Call.", true, "<p>Call.</p>"
	wrong.Page = refused(admin("help"), "Nothing is saved yet.", FieldProblem{"title", "A title has 1 to 120 characters."}, FieldProblem{"text", "An article needs a text."})
	return []scene{
		{"help", HelpPage(list), []string{"Search the help", "From Acme", "Log in"}},
		{"help-found", HelpPage(found), []string{"2 articles about “code”."}},
		{"help-nothing", HelpPage(nothing), []string{"Nothing about that yet"}},
		{"help-writer", HelpPage(writer), []string{"What readers say", "Your articles"}},
		{"help-article", HelpArticlePage(article(anonymous(), HelpFeedback{})), []string{"Last modified 3 May 2026", "Was this article helpful?", "Yes", "No"}},
		{"help-yes", HelpArticlePage(article(anonymous(), HelpFeedback{State: FeedbackYes})), []string{"That’s Great!", "Thank you for your feedback"}},
		{"help-no", HelpArticlePage(article(anonymous(), reasons)), []string{"Sorry! We couldn't be helpful", "Let us know how can we improve this article!", "Send feedback"}},
		{"help-no-refused", HelpArticlePage(article(bad, reasons)), []string{"Select at least one of the reasons", "CAPTCHA verification is required."}},
		{"help-sent", HelpArticlePage(article(anonymous(), HelpFeedback{State: FeedbackSent})), []string{"Feedback sent", "We appreciate your effort and will try to fix the article"}},
		{"help-draft", HelpArticlePage(draft), []string{"Draft", "Edit this article"}},
		{"help-own", HelpOwnPage(HelpOwn{Page: admin("help"), Articles: []HelpOwnItem{{Name: "night", Title: "Night shift", Draft: true, Admins: true, ChangedAt: ago(time.Hour), ChangedBy: "Ada Admin"}}}), []string{"Changed by Ada Admin, 1 h ago"}},
		{"help-own-none", HelpOwnPage(HelpOwn{Page: admin("help")}), []string{"None yet"}},
		{"help-write", HelpWritePage(write), []string{"Publish", "Save as draft", "Who may read it?"}},
		{"help-edit", HelpWritePage(edit), []string{"Preview, not saved", "Take back into draft", "Delete…"}},
		{"help-write-refused", HelpWritePage(wrong), []string{"A title has 1 to 120 characters.", "An article needs a text."}},
		{"help-report", HelpReportPage(HelpReport{
			Page: admin("help"), Back: "Help", BackURL: "/acme/help", CSVURL: "/acme/help/feedback.csv", JSONURL: "/acme/help/feedback.json", Tallies: []HelpTally{{URL: "/acme/help/code", Title: "The code in the mail", Yes: 3, No: 1, Reasons: []HelpCount{{"Something else", 1}}}},
			Said: []HelpSaid{{Title: "The code in the mail", At: ago(time.Hour), Reasons: []string{"Something else"}, Remark: "Which mail?", SignedIn: true}},
		}), []string{"3 of 4 found it helpful.", "Which mail?", "1 h ago · somebody who was logged in"}},
		{"help-report-none", HelpReportPage(HelpReport{Page: operator("console"), Of: "Globex Corporation", Back: "Numbers", BackURL: "/operator/numbers"}), []string{"Nobody has answered yet"}},
	}
}

func numbersScenes() []scene {
	busy := Numbers{
		Page: admin("numbers"), Of: "Acme", URL: "/acme/numbers", Days: 7, Periods: []int{7, 30, 90}, CountedAt: ago(time.Minute), Asked: 10, Alone: 7, SignedIn: 10, Median: "2 min", P90: "36 min", Nobody: 1,
		Outcomes: []Outcome{{"without an administrator", 7, "alone"}, {"with an administrator’s help", 1, "helped"}, {"begun within the last hour", 1, "under-way"}, {"not back in", 1, "not-back"}},
		Funnel:   []NumbersBar{{"Asked for a link", 10, 10}, {"Logged in", 8, 10}}, Times: []NumbersBar{{"under 1 minute", 8, 8}}, Reasons: []NumbersBar{{"The mailbox is full", 1, 1}},
		ByDay: []NumbersDay{{At: ago(day), Asked: 4, Alone: 3}, {At: now, Asked: 6, Alone: 4, Helped: 1, UnderWay: 1}},
	}
	small := busy
	small.Asked, small.Alone, small.SignedIn = 1, 0, 1
	none := Numbers{Page: admin("numbers"), Of: "Globex Corporation", URL: "/acme/numbers", Days: 7, Periods: []int{7, 30, 90}}
	seen := small
	seen.Page, seen.Of, seen.URL, seen.BackURL = operator("console"), "Initech", "/operator/numbers/initech", "/operator/numbers"
	all := AllNumbers{Numbers: Numbers{Page: operator("console"), URL: "/operator/numbers", Days: 7, Periods: none.Periods, Asked: 11, Alone: 7}}
	bare := all
	bare.Asked = 0
	for _, n := range []Numbers{busy, none, seen} {
		all.Environments = append(all.Environments, EnvironmentNumbers{n, "/operator/feedback/acme"})
	}
	return []scene{
		{"numbers", NumbersPage(busy), []string{"70 %", "of 10 tries led back in without an administrator", "in half of 10 tries", "in nine of ten", "The mailbox is full", "1 request was for an address nobody has here.", "As a table"}},
		{"numbers-few", NumbersPage(small), []string{"try led back in without an administrator", "0 of 1", "in 1 try"}},
		{"numbers-nobody", NumbersPage(none), []string{"Nobody has asked in 7 days"}},
		{"numbers-operator", NumbersPage(seen), []string{"Numbers of all environments", "How people at Initech get back in."}},
		{"numbers-all", AllNumbersPage(all), []string{"Over all environments: 64 % of 11 tries led back in without an administrator.", "Nobody has asked in 7 days.", "2 min from asking to logged in, in half of 10 tries.", "What readers say at Initech"}},
		{"numbers-all-none", AllNumbersPage(bare), []string{"There is no environment yet."}},
	}
}
