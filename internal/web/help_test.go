package web_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/help"
	"github.com/sparekey/sparekey/internal/proofofwork"
	"github.com/sparekey/sparekey/internal/testkit"
)

func init() {
	// What the walk through all routes expects of those of help.
	everyTable = append(everyTable, "help_articles", "help_feedback", "recovery_days")
	writer := answers{toLogin, 403, 403, 200}
	theWalk["GET /{environment}/help"] = []step{{want: same(200)}}
	theWalk["GET /{environment}/help/{article}"] = []step{{want: same(404)}}
	theWalk["GET /{environment}/help/{article}/feedback"] = []step{{want: same(303)}}
	theWalk["POST /{environment}/help/{article}/feedback"] = []step{{form: fields("helpful", "yes"), want: same(404)}}
	theWalk["GET /{environment}/help/challenge"] = []step{{want: same(200)}}
	theWalk["GET /{environment}/help-pictures/{name}"] = []step{{want: same(404)}}
	theWalk["GET /{environment}/help/feedback"] = []step{{want: writer}}
	theWalk["GET /{environment}/help/feedback.csv"] = []step{{want: writer}}
	theWalk["GET /{environment}/help/feedback.json"] = []step{{want: writer}}
	theWalk["GET /{environment}/help-articles"] = []step{{want: writer}}
	theWalk["GET /{environment}/help-articles/new"] = []step{{want: writer}}
	theWalk["POST /{environment}/help-articles/new"] = []step{{form: fields("title", "New", "text", "Text", "audience", "everyone", "do", "publish"), want: answers{toLogin, 403, 403, 303}}}
	theWalk["GET /{environment}/help-articles/{article}"] = []step{{want: answers{toLogin, 403, 403, 404}}}
	theWalk["POST /{environment}/help-articles/{article}"] = []step{{form: fields("do", "delete", "confirm", "yes"), want: answers{toLogin, 403, 403, 404}}}
}

const (
	theArticle  = "/acme/help/cannot-reset-password"
	itsFeedback = theArticle + "/feedback"
)

func TestTheArticleThisProductBeganWith(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	list := w.Browser().Get("/acme/login").Follow("Help")
	require.Equal(t, "Help", list.Heading())
	article := list.Follow("A user cannot reset the password")
	require.Equal(t, "A user cannot reset the password", article.Heading())
	for _, words := range []string{"The mail is not received.", "The reset screen does not work.", "Copy the Reset Password Link", "This user does not have a password reset token.", "Last modified", "Was this article helpful?"} {
		require.Contains(t, article.Text(), words)
	}
	require.Equal(t, "/acme/login", article.Follow("login page").URL.Path, "steps link to the screens they speak of")
	require.Equal(t, "/acme/forgot-password", article.Follow("I forgot my password").URL.Path)
	picture := w.Browser().Get("/acme/help-pictures/reset-password-link.png")
	require.Equal(t, 200, picture.Status)
	require.Equal(t, "image/png", picture.Header.Get("Content-Type"))

	admin := w.Browser()
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	require.Equal(t, "/acme/users", admin.Get(theArticle).Follow("User Manager").URL.Path)
	require.Equal(t, "Help", admin.Get("/acme/users").Follow("Help").Heading(), "the navigation leads there too")
}

// TestHelpKnowsTheCaseNumber: whoever is given a number, or told one, reads what
// to do with it, and the queue is found by its name.
func TestHelpKnowsTheCaseNumber(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	jane := w.Browser().Get("/acme/help?q=case+number").Follow("No mail comes")
	require.Contains(t, jane.Text(), "Tell your administrator the case number on that page")
	require.Equal(t, "/acme/forgot-password", jane.Follow("ask again").URL.Path)
	for _, name := range []string{"code", "link-does-not-work"} {
		require.Equal(t, "No mail comes", w.Browser().Get("/acme/help/"+name).Follow("No mail comes").Heading())
	}

	reader := w.Browser() // not signed in: every link is the article's own
	for _, title := range []string{"A user cannot reset the password", "The mail did not arrive"} {
		article := reader.Get("/acme/help?q=needs+help+case+number").Follow(title)
		require.Contains(t, article.Text(), "Type it into the search field of the User Manager", title)
		require.Contains(t, article.Text(), "Done", title)
		require.Equal(t, "/acme/needs-help", article.Follow("Needs help").URL.Query().Get("next"), title)
	}
	article := reader.Get(theArticle)
	require.Contains(t, article.Text(), "not who is calling", "a number proves nobody")
	require.Contains(t, article.Text(), "came back, was refused, or still waits", "who stands in the queue")
}

func TestYesIsCountedOnceForEachReader(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		for range 3 {
			thanks := b.Get(theArticle).Press("Yes")
			require.Equal(t, 200, thanks.Status)
			require.Contains(t, thanks.Text(), "That’s Great! Thank you for your feedback")
		}
		jane := w.Browser()
		jane.SignIn("jane@acme.example", testkit.Passphrase)
		jane.Get(theArticle).Press("Yes")
		again := w.Browser() // the same person on another device
		again.SignIn("jane@acme.example", testkit.Passphrase)
		again.Get(theArticle).Press("Yes")
		forged := w.Browser()
		forged.Header.Set("Cookie", "sparekey.helped-acme=abc.def")
		forged.Get(theArticle).Press("Yes") // a reader of its own, not somebody else

		tally := report(w).Tallies
		require.Len(t, tally, 1)
		require.Equal(t, 3, tally[0].Yes, "the browser, Jane, the one with a made-up cookie")
		require.Zero(t, tally[0].No)
	})
}

// report is what a Client Admin sees.
func report(w *testkit.World) help.Report {
	w.T.Helper()
	r, err := w.App.Help.Feedback(w.Ctx(), clientAdmin(w), w.Acme)
	require.NoError(w.T, err)
	return r
}

func clientAdmin(w *testkit.World) access.Actor {
	return access.Actor{Environment: w.Acme.ID, User: w.Admin.ID, Name: w.Admin.Name, Role: access.ClientAdmin}
}

// solve does the work that the page asks of a browser.
func solve(t *testing.T, b *testkit.Browser, address string) string {
	t.Helper()
	page := b.Get(address)
	require.Equal(t, "application/json", page.Header.Get("Content-Type"))
	var c proofofwork.Challenge
	require.NoError(t, json.Unmarshal([]byte(page.Body), &c))
	nonce, _ := hex.DecodeString(c.Parameters.Nonce)
	salt, _ := hex.DecodeString(c.Parameters.Salt)
	prefix, _ := hex.DecodeString(c.Parameters.KeyPrefix)
	for counter := uint32(0); ; counter++ {
		key, err := pbkdf2.Key(sha256.New, string(binary.BigEndian.AppendUint32(bytes.Clone(nonce), counter)), salt, c.Parameters.Cost, c.Parameters.KeyLength)
		require.NoError(t, err)
		if bytes.HasPrefix(key, prefix) {
			text, err := json.Marshal(map[string]any{"challenge": c, "solution": map[string]any{"counter": counter, "derivedKey": hex.EncodeToString(key), "time": 1}})
			require.NoError(t, err)
			return base64.StdEncoding.EncodeToString(text)
		}
	}
}

func no(proof string, more ...string) url.Values {
	v := fields("helpful", "no", "step", "send", "altcha", proof)
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestNoAsksWhy(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		b := w.Browser()
		form := b.Get(theArticle).Press("No")
		require.Equal(t, 200, form.Status)
		require.Contains(t, form.Text(), "Sorry! We couldn't be helpful Let us know how can we improve this article!")
		require.Empty(t, report(w).Tallies, "No alone is no feedback yet")

		refused := form.Press("Send feedback")
		require.Equal(t, 422, refused.Status)
		require.Contains(t, refused.Text(), "Select at least one of the reasons")
		require.Contains(t, refused.Text(), "CAPTCHA verification is required.")
		reasoned := b.Post(itsFeedback, no("", "reason_steps", "yes", "remark", "Step 4 is not there"))
		require.Equal(t, 422, reasoned.Status)
		require.NotContains(t, reasoned.Text(), "Select at least one of the reasons")
		require.Contains(t, reasoned.Text(), "CAPTCHA verification is required.")
		require.Equal(t, "Step 4 is not there", reasoned.Value("Anything else? (optional)"), "what was typed stays")

		proof := solve(t, b, "/acme/help/challenge")
		sent := b.Post(itsFeedback, no(proof, "reason_steps", "yes", "reason_case", "yes", "reason_made-up", "yes", "remark", "Step 4 is not there"))
		require.Equal(t, 200, sent.Status)
		require.Contains(t, sent.Text(), "Feedback sent We appreciate your effort and will try to fix the article")

		r := report(w)
		require.Equal(t, 1, r.Tallies[0].No)
		require.Equal(t, map[help.Reason]int{help.StepsFail: 1, help.NotMyCase: 1}, r.Tallies[0].Reasons)
		require.Equal(t, "Step 4 is not there", r.Newest[0].Remark)
	})
}

func TestAProofCountsOnce(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		proof := solve(t, w.Browser(), "/acme/help/challenge")
		send := func(proof string) int { return w.Browser().Post(itsFeedback, no(proof, "reason_other", "yes")).Status }
		late := solve(t, w.Browser(), "/acme/help/challenge")
		require.Equal(t, 200, send(proof))
		require.Equal(t, 422, send(proof), "sent again by another browser")
		require.Equal(t, 422, w.Browser().Post("/acme/help/code/feedback", no(proof, "reason_other", "yes")).Status, "or for another article")
		require.Equal(t, 422, send(strings.Replace(proof, "A", "B", 1)))
		w.Clock.Advance(proofofwork.Life + time.Second)
		require.Equal(t, 422, send(late), "too late")
		require.NoError(t, w.App.Tidy(w.Ctx()))
		require.Equal(t, 422, send(proof), "and it stays so when the memory is tidied")
		require.Equal(t, 1, report(w).Tallies[0].No)
	})
}

func TestAProofOfAnotherEnvironmentIsNone(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	_, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
	require.NoError(t, err)
	proof := solve(t, w.Browser(), "/globex/help/challenge")
	require.Equal(t, 422, w.Browser().Post(itsFeedback, no(proof, "reason_other", "yes")).Status)
}

func TestASessionIsProofEnough(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	jane := w.Browser()
	jane.SignIn("jane@acme.example", testkit.Passphrase)
	form := jane.Get(theArticle).Press("No")
	require.NotContains(t, form.Body, "altcha", "nothing to compute")
	require.Equal(t, 200, jane.Post(itsFeedback, no("", "reason_unclear", "yes")).Status)
	require.Equal(t, 200, jane.Get(theArticle).Press("Yes").Status, "she thought again")
	r := report(w)
	require.Equal(t, 1, r.Tallies[0].Yes)
	require.Zero(t, r.Tallies[0].No, "the newer answer replaces the older")
	require.Empty(t, r.Newest)
}

// TestAnotherAnswerKeepsTheRemark: the answer is replaced and says so; what was
// written is lost only to another remark, and never to somebody else's.
func TestAnotherAnswerKeepsTheRemark(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		const before = "You have answered before."
		jane, ada := w.Browser(), w.Browser()
		jane.SignIn("jane@acme.example", testkit.Passphrase)
		ada.SignIn("admin@acme.example", testkit.Passphrase)
		require.NotContains(t, jane.Get(theArticle).Text(), before)
		first := jane.Post(itsFeedback, no("", "reason_case", "yes", "remark", "I lost my phone"))
		require.NotContains(t, first.Text(), "earlier answer")

		form := jane.Get(theArticle)
		require.Contains(t, form.Text(), before)
		require.Contains(t, form.Press("No").Text(), "What you wrote earlier stays unless you write something else.")
		require.Contains(t, jane.Post(itsFeedback, no("", "reason_other", "yes")).Text(), "It takes the place of your earlier answer.")
		r := report(w)
		require.Equal(t, map[help.Reason]int{help.OtherReason: 1}, r.Tallies[0].Reasons)
		require.Equal(t, "I lost my phone", r.Newest[0].Remark)

		require.NotContains(t, ada.Get(theArticle).Text(), before, "others have not")
		require.NotContains(t, jane.Get("/acme/help/code").Text(), before, "nor she, elsewhere")
		require.Equal(t, 200, ada.Post(itsFeedback, no("", "reason_other", "yes")).Status)
		require.Contains(t, jane.Get(theArticle).Press("Yes").Text(), "It takes the place of your earlier answer.")
		jane.Post(itsFeedback, no("", "reason_steps", "yes", "remark", "I found it"))
		remarks := []string{}
		for _, s := range report(w).Newest {
			remarks = append(remarks, s.Remark)
		}
		require.ElementsMatch(t, []string{"", "I found it"}, remarks)

		stranger := w.Browser()
		stranger.Get(theArticle).Press("Yes")
		require.Contains(t, stranger.Get(theArticle).Text(), before, "a browser is remembered by its cookie")
	})
}

// TestAnAnswerIsKeptThroughTheLogin: without script, whoever logs in instead of
// the proof finds the form as it was left; nothing is sent before, and nobody
// else finds it.
func TestAnAnswerIsKeptThroughTheLogin(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	const button, remark = "Log in and send it without this check", "Step 4 “is” <b>not</b> there"
	b := w.Browser()
	require.True(t, b.Get(theArticle).Press("No").Has(button))
	leave := func(b *testkit.Browser, remark string) *testkit.Page {
		return b.Post(itsFeedback, no("", "login", "yes", "reason_steps", "yes", "remark", remark))
	}
	login := leave(b, remark)
	require.Equal(t, "/acme/login", login.URL.Path)
	require.NotContains(t, login.URL.String(), "Step", "an address is no place for it")
	require.Equal(t, theArticle, b.Get(itsFeedback).URL.Path, "no login, no form")
	require.Empty(t, report(w).Tallies)

	form := b.Get(login.URL.String()).Fill("Email", "jane@acme.example").Fill("Password", testkit.Passphrase).Press("Log in")
	require.Equal(t, remark, form.Value("Anything else? (optional)"))
	require.Equal(t, theArticle+"-2", b.Get("/acme/help/cannot-reset-password-2/feedback").URL.Path, "of this article only")
	require.Contains(t, form.Press("Send feedback").Text(), "Feedback sent")
	r := report(w)
	require.Equal(t, map[help.Reason]int{help.StepsFail: 1}, r.Tallies[0].Reasons)
	require.Equal(t, remark, r.Newest[0].Remark)
	require.Equal(t, theArticle, b.Get(itsFeedback).URL.Path, "it is not kept any longer")

	ada, forger, long := w.Browser(), w.Browser(), w.Browser()
	leave(ada, "")
	ada.SignIn("admin@acme.example", testkit.Passphrase)
	require.Contains(t, ada.Get(itsFeedback).Press("Send feedback").Text(), "Feedback sent")
	forger.Header.Set("Cookie", "sparekey.kept-acme=bm9uc2Vuc2U")
	require.Equal(t, theArticle, forger.Get(itsFeedback).URL.Path)
	refused := leave(long, strings.Repeat("ö", help.MostRemark))
	require.Equal(t, 422, refused.Status)
	require.Contains(t, refused.Text(), "This is too long to be kept while you log in.")
	require.Equal(t, strings.Repeat("ö", help.MostRemark), refused.Value("Anything else? (optional)"))
	require.Equal(t, "/acme/login", leave(long, strings.Repeat("o", help.MostRemark)).URL.Path)
}

func TestOneNetworkCannotFloodTheFeedback(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	statuses := map[int]int{}
	for range 40 {
		statuses[w.Browser().Post(itsFeedback, fields("helpful", "yes")).Status]++
	}
	require.Equal(t, map[int]int{200: 30, 429: 10}, statuses)
	known := w.Browser()
	known.SignIn("jane@acme.example", testkit.Passphrase)
	require.Equal(t, 200, known.Post(itsFeedback, fields("helpful", "yes")).Status, "who is signed in may")
}

func TestFeedbackGoesOutAsATable(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	admin := w.Browser()
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	require.Contains(t, admin.Get("/acme/help/feedback").Text(), "Nobody has answered yet")
	empty := admin.Get("/acme/help/feedback.json")
	require.JSONEq(t, "[]", empty.Body)
	require.Equal(t, "application/json", empty.Header.Get("Content-Type"))
	jane := w.Browser()
	jane.SignIn("jane@acme.example", testkit.Passphrase)
	remark := "=HYPERLINK(\"https://evil.example\")\n<script>alert(1)</script>"
	require.Equal(t, 200, jane.Post(itsFeedback, no("", "reason_outdated", "yes", "remark", remark)).Status)
	w.Browser().Get("/acme/help/code").Press("Yes")

	page := admin.Get("/acme/help/feedback")
	require.Contains(t, page.Text(), "0 of 1 found it helpful.")
	require.Contains(t, page.Text(), "Something in it is wrong or out of date 1")
	require.NotContains(t, page.Body, "<script>alert")
	require.NotContains(t, page.Text(), "Jane", "readers are not named")

	file := admin.Get("/acme/help/feedback.csv")
	require.Contains(t, file.Header.Get("Content-Disposition"), "feedback-acme.csv")
	rows, err := csv.NewReader(strings.NewReader(file.Body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, []string{"environment", "article", "at", "helpful", "reasons", "remark", "signed_in"}, rows[0])
	require.Equal(t, "'"+remark, rows[1][5], "a spreadsheet runs nothing")
	var list []help.Answer
	require.NoError(t, json.Unmarshal([]byte(admin.Get("/acme/help/feedback.json").Body), &list))
	require.Len(t, list, 2)
	require.Equal(t, remark, list[0].Remark)
	require.Equal(t, []help.Reason{help.OutOfDate}, list[0].Reasons)
}

// TestWhoIsLockedOutFindsTheirArticlesFirst, and administrators find theirs.
func TestWhoIsLockedOutFindsTheirArticlesFirst(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(_ *testing.T, w *testkit.World) {
		first := func(b *testkit.Browser) bool {
			page := b.Get("/acme/help").Text()
			return strings.Index(page, "No mail comes") < strings.Index(page, "A user cannot reset the password")
		}
		require.True(w.T, first(w.Browser()))
		require.False(w.T, first(signedInAdmin(w)))
	})
}

func TestClientAdminsWriteArticles(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		form := admin.Get("/acme/help").Follow("Your articles").Follow("Write an article")
		form.Fill("Title", "  How to reach   the help desk ").Fill("Text", "Call **555 0100**.\n\n![x](https://tracker.example/p.png)<script>alert(1)</script>")
		preview := form.Press("Preview")
		require.Contains(t, preview.Body, "<strong>555 0100</strong>")
		require.NotContains(t, preview.Body, "tracker.example/p.png\"")
		require.NotContains(t, preview.Body, "<script>alert")
		require.Contains(t, admin.Get("/acme/help-articles").Text(), "None yet", "a preview saves nothing")

		list := preview.Press("Save as draft")
		require.Contains(t, list.Text(), "is saved as a draft")
		const at = "/acme/help/how-to-reach-the-help-desk"
		require.Equal(t, 200, admin.Get(at).Status)
		require.Equal(t, 404, w.Browser().Get(at).Status, "a draft is nobody else's")
		require.NotContains(t, w.Browser().Get("/acme/help?q=555").Text(), "help desk")

		list.Follow("How to reach the help desk").Press("Publish")
		reader := w.Browser().Get("/acme/help?q=0100+DESK").Follow("How to reach the help desk")
		require.Equal(t, "How to reach the help desk", reader.Heading())
		require.Contains(t, reader.Text(), "From Acme")
		require.NotContains(t, reader.Body, "<img")
		reader.Press("Yes")

		edit := admin.Get("/acme/help-articles/how-to-reach-the-help-desk")
		edit.Fill("Title", "Whom to call").Press("Save")
		require.Equal(t, "Whom to call", w.Browser().Get(at).Heading(), "the address stays")
		confirm := edit.Press("Delete…")
		require.Contains(t, confirm.Text(), "It cannot be brought back.")
		confirm.Press("Delete the article")
		require.Equal(t, 404, w.Browser().Get(at).Status)
		require.Empty(t, report(w).Tallies)
	})
}

func TestArticlesForAdministratorsStayAmongThem(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		_, err := w.App.Help.Write(w.Ctx(), clientAdmin(w), w.Acme, "", help.Draft{Title: "How we check callers", Text: "Ask for the staff number.", Audience: help.Admins, Publish: true})
		require.NoError(t, err)
		for email, want := range map[string]int{"": 404, "jane@acme.example": 404, "helpdesk@acme.example": 200, "admin@acme.example": 200} {
			b := w.Browser()
			if email != "" {
				b.SignIn(email, testkit.Passphrase)
			}
			require.Equal(t, want, b.Get("/acme/help/how-we-check-callers").Status, email)
			require.Equal(t, want == 200, strings.Contains(b.Get("/acme/help?q=staff").Text(), "How we check callers"), email)
			require.Equal(t, want, b.Post("/acme/help/how-we-check-callers/feedback", fields("helpful", "yes")).Status, email)
		}
		globex, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
		require.NoError(t, err)
		w.AddUser(globex, "admin@globex.example", "Gloria", access.ClientAdmin)
		gloria := w.Browser()
		gloria.Get("/globex/login").Fill("Email", "admin@globex.example").Fill("Password", testkit.Passphrase).Press("Log in")
		require.Equal(t, 404, gloria.Get("/globex/help/how-we-check-callers").Status)
		_, err = w.App.Help.Write(w.Ctx(), access.Actor{Environment: globex.ID, User: w.Admin.ID, Role: access.ClientAdmin}, w.Acme, "", help.Draft{Title: "x", Text: "x", Audience: help.Everyone})
		require.Error(t, err)
	})
}

func TestArticlesHaveBounds(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	admin := w.Browser()
	admin.SignIn("admin@acme.example", testkit.Passphrase)
	post := func(title, text, audience string) *testkit.Page {
		return admin.Post("/acme/help-articles/new", fields("title", title, "text", text, "audience", audience, "do", "publish"))
	}
	for _, bad := range [][3]string{
		{"", "Text", "everyone"}, {"Title", " ", "everyone"}, {"Title", "Text", "world"}, {strings.Repeat("t", 121), "Text", "everyone"}, {"Title", strings.Repeat("t", 20_001), "everyone"}, {"a\x07b", "Text", "everyone"},
	} {
		refused := post(bad[0], bad[1], bad[2])
		require.Equal(t, 422, refused.Status, "%.20q", bad)
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, post("Title", strings.Repeat("t", 70_000), "everyone").Status)
	require.Equal(t, 303, noRedirect(admin, "/acme/help-articles/new", fields("title", "Code", "text", "Ours", "audience", "everyone", "do", "publish")))
	require.Contains(t, admin.Get("/acme/help/code").Text(), "eight digits", "an own article does not hide one of ours")
	require.Contains(t, admin.Get("/acme/help/code-2").Text(), "Ours")
	for i := range 199 {
		_, err := w.App.Help.Write(w.Ctx(), clientAdmin(w), w.Acme, "", help.Draft{Title: fmt.Sprint("Article ", i), Text: "x", Audience: help.Everyone})
		require.NoError(t, err)
	}
	require.Equal(t, 409, post("One more", "x", "everyone").Status)
}

// noRedirect gives the status of a POST itself.
func noRedirect(b *testkit.Browser, address string, form url.Values) int {
	page := b.Post(address, form)
	if strings.HasSuffix(page.URL.Path, "/help-articles") {
		return 303
	}
	return page.Status
}

func TestSearchFindsOurArticlesToo(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	for query, first := range map[string]string{"digits": "The code in the mail", "LINK five": "The link does not work", "quarantine": "The mail did not arrive"} {
		page := w.Browser().Get("/acme/help?q=" + url.QueryEscape(query))
		require.True(t, page.Has(first), "%s finds %s:\n%s", query, first, page.Text())
	}
	_, err := w.App.Help.Write(w.Ctx(), clientAdmin(w), w.Acme, "", help.Draft{Title: "Night shift", Text: "Whoever **needs** help calls the gate.", Audience: help.Everyone, Publish: true})
	require.NoError(t, err)
	for _, query := range []string{"help needs", "HELP, Needs?", `“needs” "help"`, "needs help gate"} {
		page := w.Browser().Get("/acme/help?q=" + url.QueryEscape(query))
		require.True(t, page.Has("Night shift"), "%s: all words, in any order and case, without the signs around them:\n%s", query, page.Text())
		require.Equal(t, query != "needs help gate", page.Has("The mail did not arrive"), "%s", query)
	}
	require.Contains(t, w.Browser().Get("/acme/help?q=needs+help+zebra").Text(), "Nothing about that yet", "one word that is nowhere")
	none := w.Browser().Get("/acme/help?q=" + url.QueryEscape(`100%_\'"<b>`))
	require.Equal(t, 200, none.Status)
	require.Contains(t, none.Text(), "Nothing about that yet")
	require.NotContains(t, none.Body, "<b>")
}

// TestOurArticlesSayWhatThePolicySays: an article must not promise what the
// settings refuse.
func TestOurArticlesSayWhatThePolicySays(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, w *testkit.World) {
		read := func(article string) string { return w.Browser().Get("/acme/help/" + article).Text() }
		require.Contains(t, read("link-does-not-work"), "works once, and for a day at most; that of an invitation for 7 days.")
		require.Contains(t, read("mail-did-not-arrive"), "You can give a link another way")
		require.Contains(t, read("cannot-reset-password"), "last asking is more than a day old")

		w.SetPolicy(map[string]string{"admin_links": "off", "link_life": "90m", "invitation_life": "24h"})
		require.Contains(t, read("link-does-not-work"), "works once, and for 90 minutes at most; that of an invitation for a day.")
		for _, article := range []string{"cannot-reset-password", "mail-did-not-arrive", "no-mail"} {
			require.NotContains(t, read(article), "link another way", article)
			require.NotContains(t, read(article), "Reset Password", article)
			require.NotContains(t, read(article), "by phone", article)
		}
		require.Contains(t, read("cannot-reset-password"), "choose Send password reset link")

		w.SetPolicy(map[string]string{"admin_links": "mint", "link_life": "4h"})
		require.Contains(t, read("cannot-reset-password"), "Copy the Reset Password Link")
		require.NotContains(t, read("cannot-reset-password"), "does not have a password reset token")
		require.Contains(t, read("link-does-not-work"), "for 4 hours at most")
	})
}
