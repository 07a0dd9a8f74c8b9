package diagnosis

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/testkit/effort"
	"golang.org/x/text/unicode/norm"
)

// TestReply reads answers in the forms of real systems: testdata/replies.tsv.
func TestReply(t *testing.T) {
	seen := map[Class]int{}
	for _, row := range replies(t) {
		class, hard, stage, text := Class(row[0]), row[1] == "hard", row[2], row[3]
		seen[class]++
		f := Reply(Heard{Stage: stage, Text: text})
		require.Equal(t, class, f.Class, text)
		require.Equal(t, hard, f.Hard, text)
		require.Equal(t, text, f.Reply)
		// The codes apart from the text say the same.
		if digits := f.Code; digits != 0 && !strings.HasPrefix(text, "{") {
			require.Equal(t, class, Reply(Heard{Stage: stage, Text: text, Code: f.Code, Enhanced: f.Enhanced}).Class, text)
		}
	}
	for class := range meanings {
		if _, told := sentences[class]; told && steps[class] != StepNone && ofAnAnswer(class) {
			require.Positive(t, seen[class], class)
		}
	}
}

// ofAnAnswer: the other classes need no answer of a server.
func ofAnAnswer(c Class) bool {
	switch c {
	case Queued, Deferred, Stuck, NoMailServer, AllServersDown, Accepted, NotOpened, ScannerOnly, Opened, FormRefused, Used, AskedElsewhere, AskedTooOften:
		return false
	}
	return true
}

func replies(t testing.TB) [][]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/replies.tsv")
	require.NoError(t, err)
	var rows [][]string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			row := strings.Split(line, "\t")
			require.Len(t, row, 4, line)
			row[3] = strings.ReplaceAll(row[3], `\n`, "\n")
			rows = append(rows, row)
		}
	}
	require.Greater(t, len(rows), 120)
	return rows
}

// TestAnswersInAnyForm: the same answer in one line, wrapped, in other letters, with
// line ends of any system, means the same.
func TestAnswersInAnyForm(t *testing.T) {
	for _, row := range replies(t) {
		if strings.HasPrefix(row[3], "{") {
			continue
		}
		for name, text := range map[string]string{
			"one line":   strings.ReplaceAll(row[3], "\n", " "),
			"CRLF":       strings.ReplaceAll(row[3], "\n", "\r\n"),
			"upper case": strings.ToUpper(row[3]),
			"decomposed": decomposed(row[3]),
			"wide":       "  " + strings.ReplaceAll(row[3], " the ", "  the\t"),
		} {
			require.Equal(t, Class(row[0]), Reply(Heard{Stage: row[2], Text: text}).Class, "%s: %s", name, text)
		}
	}
}

// TestOwnWordsOfRecipients: what stands in an address or a link names no cause.
func TestOwnWordsOfRecipients(t *testing.T) {
	for _, text := range []string{
		"550 5.1.1 <spam.quota.blacklist@virus.test>: Recipient address rejected: User unknown",
		"550 5.1.1 User unknown, see https://mail.test/spf/dkim/greylist?why=quota",
	} {
		require.Equal(t, NoSuchMailbox, Reply(Heard{Stage: "rcpt", Text: text}).Class, text)
	}
}

// TestNoConfidentLies: an answer that names no cause is none of the address classes.
func TestNoConfidentLies(t *testing.T) {
	for _, text := range []string{
		"550", "550 No", "550 5.0.0 Command rejected", "550 Requested action not taken: mailbox unavailable", "554 Transaction failed",
		"550 5.7.1 Access denied", "550 Rejected", "550 not accepted", "550 5.1.1 blocked", "", " ", "\x00", "550 5.7.1 unknown client", "451 4.0.0 unknown",
		"550 5.7.1 Too many invalid recipients from your host", "550 your domain does not exist", "550 5.1.8 domain login.test not found", "521 5.5.1 Protocol error",
		"550 5.7.1 the recipient's policy blocks unknown senders", "553 5.1.8 sender's mailbox does not exist", "550 no mail from unknown hosts is accepted",
	} {
		for _, stage := range []string{"", "connect", "mail", "rcpt", "data"} {
			require.NotEqual(t, FamilyAddress, Reply(Heard{Stage: stage, Text: text}).Class.Family(), "%s at %q", text, stage)
		}
	}
}

func TestWhatElseAnAnswerTells(t *testing.T) {
	tell := func(text string) Finding { return Reply(Heard{Stage: "rcpt", Text: text}) }

	f := tell("550-5.2.1 The account is\n550 5.2.1 disabled")
	require.Equal(t, 550, f.Code)
	require.Equal(t, "5.2.1", f.Enhanced)
	f = tell("host mx.corp.test[192.0.2.9] said: 552 5.2.2 mailbox full (in reply to RCPT TO command)")
	require.Equal(t, 552, f.Code)
	require.Equal(t, "5.2.2", f.Enhanced)
	require.Empty(t, tell("550 mail from 5.1.1.9 refused").Enhanced, "that is a network address")
	f = Reply(Heard{Code: 450, Enhanced: "4.2.0", Text: "550 5.1.1 user unknown"})
	require.Equal(t, 450, f.Code, "what the client read stands")
	require.Equal(t, "4.2.0", f.Enhanced)
	require.False(t, f.Hard)

	require.Equal(t, "kim.park@firma.test", tell("551 5.1.6 kim@corp.test has moved to <kim.park@firma.test>.").MovedTo)
	require.Empty(t, tell("551 5.1.6 kim@corp.test has moved").MovedTo, "the old address is no new one")
	require.Empty(t, tell("552 5.2.2 mailbox full, write to kim.park@firma.test").MovedTo, "only of a mailbox that moved")

	require.Equal(t, "Spamhaus", tell("554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org").List)
	require.Equal(t, "rbl.corp.test", tell("554 5.7.1 Client host [192.0.2.9] blocked using rbl.corp.test; ask them").List)
	require.Empty(t, tell("552 5.2.2 mailbox full, see spamhaus").List)

	for text, wait := range map[string]time.Duration{
		"450 4.2.0 Greylisted, try again in 300 seconds":                  5 * time.Minute,
		"451 4.7.1 Greylisted for 3 minutes":                              3 * time.Minute,
		"451 4.7.1 Greylisting in action, please come back in 00:04:59":   4*time.Minute + 59*time.Second,
		"450 4.7.1 Liste grise, merci de réessayer dans 60 secondes":      time.Minute,
		"450 4.2.0 Greylisted, bitte in 5 Minuten erneut versuchen":       5 * time.Minute,
		"451 4.7.1 Включён серый список, повторите через 300 секунд":      5 * time.Minute,
		"451 灰名单，请在300秒后重试":                                               5 * time.Minute,
		"450 4.2.0 Greylisted":                                            0,
		"450 4.2.0 Greylisted, try again in 99999999999999999999 seconds": 0,
	} {
		require.Equal(t, wait, tell(text).ComeBack, text)
	}
}

// TestWhoSaysIt: our own relay and a receiver mean other things by the same words.
func TestWhoSaysIt(t *testing.T) {
	rejected := "553 5.7.1 <noreply@login.test>: Sender address rejected: not logged in"
	require.Equal(t, OwnSetup, Reply(Heard{Stage: "mail", Text: rejected, OwnRelay: true}).Class)
	require.Equal(t, SenderRefused, Reply(Heard{Stage: "mail", Text: rejected}).Class)

	later := "451 4.7.1 Please try again later"
	require.Equal(t, Greylisted, Reply(Heard{Stage: "rcpt", Text: later, First: true}).Class, "at first contact")
	require.Equal(t, ReceiverTrouble, Reply(Heard{Stage: "rcpt", Text: later}).Class)

	gone := "lookup corp.test: no such host"
	require.False(t, Reply(Heard{Stage: "connect", Text: gone, First: true}).Hard, "one resolver's word, once")
	require.True(t, Reply(Heard{Stage: "connect", Text: gone}).Hard)
}

// TestReplyIsBounded: a text of any size costs a bounded time, and little of it is kept.
func TestReplyIsBounded(t *testing.T) {
	for _, unit := range []string{
		"550 5.1.1 user unknown\n", "user ", "mailbox is ", "a", "{", `[{"a":`, "@", "a@", "\xff", "あ", "550-", "no such ", "e\u0301", "\u202e",
	} {
		text := strings.Repeat(unit, 5<<20/len(unit))
		var f Finding
		require.Less(t, effort.Of(func() { f = Reply(Heard{Text: text}) }), 2*time.Second, unit)
		sound(t, f)
	}
	f := Reply(Heard{Stage: "rcpt", Text: strings.Repeat("550-filling\n", 1<<19) + "550 5.1.1 user unknown"})
	require.Equal(t, NoSuchMailbox, f.Class, "the last line decides")
}

func sound(t testing.TB, f Finding) {
	t.Helper()
	require.True(t, f.Class.Valid(), f.Class)
	require.LessOrEqual(t, len(f.Reply), maxReply)
	require.True(t, utf8.ValidString(f.Reply))
	require.NotContains(t, strings.ReplaceAll(f.Reply, "\n", ""), "\u202e")
	for _, r := range f.Reply {
		require.False(t, unicode.IsControl(r) && r != '\n', "%q", r)
	}
	require.GreaterOrEqual(t, f.ComeBack, time.Duration(0))
	if f.Hard {
		require.Contains(t, []Family{FamilyAddress, FamilyMailbox}, f.Class.Family())
	}
}

func FuzzReply(f *testing.F) {
	for _, row := range replies(f) {
		f.Add(row[2], row[3], 0, "", true, false)
	}
	f.Add("rcpt", "550 \x1b[31m\u202ered", 550, "5.1.1", false, true)
	f.Add("x", `{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}`, -1, "x", false, true)
	f.Fuzz(func(t *testing.T, stage, text string, code int, enhanced string, first, own bool) {
		finding := Reply(Heard{Stage: stage, Text: text, Code: code, Enhanced: enhanced, First: first, OwnRelay: own})
		sound(t, finding)
		require.Equal(t, finding, Reply(Heard{Stage: stage, Text: text, Code: code, Enhanced: enhanced, First: first, OwnRelay: own}))
		finding.RetryAfter(1)
		Sentence(finding.Class, Facts{Name: "Kim", Address: "kim@corp.test", Reply: finding.Reply})
	})
}

// TestRulesAreSound: a slip of the pen in the table is found here.
func TestRulesAreSound(t *testing.T) {
	for _, bad := range []string{
		"no-such-thing\t-\tx", "greylisted\t-", "greylisted\t-\t-", "greylisted\twhen=now\tx", "greylisted\t-\t~ | x", "greylisted\t-\t{,a} b", "greylisted\t-\ta~b",
	} {
		require.Panics(t, func() { mustRules(bad) }, bad)
	}
	require.NotPanics(t, func() { mustRules("# a comment\n\ngreylisted\t4xx at=rcpt\t{a,b} c .. ~d~ | x + y\tz") })
	fits := func(words, text string) bool {
		return mustRules("unknown\t-\t" + words)[0].fits(heard{prose: normal(text)})
	}
	require.True(t, fits("user {is ,}unknown", "the User  UNKNOWN."))
	require.True(t, fits("user {is ,}unknown", "user is\tunknown"))
	require.False(t, fits("user unknown", "superuser unknown"), "within a word")
	require.True(t, fits("~user unknown", "superuser unknown"))
	require.False(t, fits("list", "listed"))
	require.True(t, fits("list~", "listed"))
	require.True(t, fits("a .. b", "a x y b"))
	require.False(t, fits("a .. b", "a "+strings.Repeat("x ", maxGap)+"b"), "too far apart")
	require.True(t, fits("a + b", "b a"))
	require.False(t, fits("a + b", "b c"))
	require.True(t, fits("存在しません", "宛先は存在しません。"), "no spaces between words")
	require.True(t, fits("link:nosuchuser", "see https://x.test/?p=NoSuchUser"))
	require.False(t, fits("nosuchuser", "see https://x.test/?p=NoSuchUser"))
}

func decomposed(s string) string { return norm.NFD.String(s) }
