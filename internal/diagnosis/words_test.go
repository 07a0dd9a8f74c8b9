package diagnosis

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var placeholders = regexp.MustCompile(`%!|<nil>|0001|\b(?:NAME|ADDRESS|DOMAIN|HOST|TIME|NEW|OTHER|REPLY)\b`)

// wellWritten: no part is missing, none is left over.
func wellWritten(t *testing.T, s string) {
	t.Helper()
	require.NotEmpty(t, s)
	for _, bad := range []string{"  ", "()", "[]", "“”", "''", " .", " ,", " ;", "..", ",.", ";.", " ?", "at .", "since .", "to .", "\n"} {
		require.NotContains(t, s, bad)
	}
	require.NotRegexp(t, placeholders, s)
	require.Equal(t, strings.TrimSpace(s), s)
	require.Contains(t, ".?", s[len(s)-1:], s)
	require.Equal(t, strings.Count(s, "“"), strings.Count(s, "”"), s)
}

// facts, with and without each part.
func everyMixture() []Facts {
	full := Facts{
		Name: "Kim Doe", Address: "kim@corp.test", New: "kim@corp.example", Other: "kim@old.test", Reply: "550 5.7.1 no",
		List: "Spamhaus", Reason: "The last answer: “450 later”.", Vendor: "Barracuda", Since: at(1), Next: at(5), SignedIn: at(9), Count: 3,
	}
	all := []Facts{full, {Name: "Kim Doe", Address: "kim@corp.test", Other: "kim@old.test"}}
	for _, without := range []func(*Facts){
		func(f *Facts) { f.New = "" }, func(f *Facts) { f.New = strings.ToUpper(f.Address) }, func(f *Facts) { f.Reply = "" },
		func(f *Facts) { f.List = "" }, func(f *Facts) { f.Reason = "" }, func(f *Facts) { f.Vendor = "" },
		func(f *Facts) { f.Since = time.Time{} }, func(f *Facts) { f.Next = time.Time{} }, func(f *Facts) { f.SignedIn = time.Time{} },
		func(f *Facts) { f.Count = 1 }, func(f *Facts) { f.LinksOff = true }, func(f *Facts) { f.Perhaps = true }, func(f *Facts) { f.MayHave = true },
		func(f *Facts) { f.Ours = true }, func(f *Facts) { f.Filter = true }, func(f *Facts) { f.Name = "" },
		func(f *Facts) { f.Write = func(t time.Time) string { return t.Format("15:04") } },
		func(f *Facts) { f.MayHave, f.Since = true, time.Time{} }, func(f *Facts) { f.Filter, f.Perhaps, f.Since = true, true, time.Time{} },
	} {
		f := full
		without(&f)
		all = append(all, f)
	}
	return all
}

func TestEverySentence(t *testing.T) {
	for class := range meanings {
		for _, f := range everyMixture() {
			if class != Forged {
				wellWritten(t, Sentence(class, f))
			}
			if said := Operator(class, f); said != "" && said != strings.TrimSpace(said) {
				t.Errorf("%s: %q", class, said)
			}
			b := Action(class, f)
			require.Equal(t, b.Step == StepNone, b.Words == "", class)
			require.NotRegexp(t, placeholders, b.Words)
			if f.LinksOff {
				require.NotContains(t, b.Words, "link by phone")
				require.NotContains(t, b.Words, "give a link")
			}
		}
	}
	require.Empty(t, Sentence("no-such-class", Facts{}))
	require.Zero(t, Action("no-such-class", Facts{}))
	require.Equal(t, FamilyUnknown, Class("no-such-class").Family())
	require.False(t, Class("no-such-class").Valid())
}

func TestWordsOfSentences(t *testing.T) {
	clock := func(t time.Time) string { return t.Format("15:04") }
	f := Facts{Name: "Kim", Address: "kim@corp.test", Write: clock}
	say := func(c Class, change func(*Facts)) string {
		g := f
		change(&g)
		return Sentence(c, g)
	}
	require.Equal(t, "corp.test says there is no mailbox kim@corp.test.", say(NoSuchMailbox, func(*Facts) {}))
	require.Equal(t, "docomo.ne.jp says there is no mailbox kim@docomo.ne.jp, or Kim blocks mail from outside.", say(NoSuchMailbox, func(f *Facts) { f.Address = "kim@docomo.ne.jp" }))
	require.Equal(t, "corp.test says kim@corp.test has moved to kim@firma.test. Ask Kim before you change it.", say(MailboxMoved, func(f *Facts) { f.New = "kim@firma.test" }))
	require.Equal(t, "corp.test says kim@corp.test has moved. Ask Kim before you change it.", say(MailboxMoved, func(*Facts) {}))
	require.Equal(t, "The mail server of corp.test has not answered since 10:01; we try again at 10:05.", say(Unreachable, func(f *Facts) { f.Since, f.Next = at(1), at(5) }))
	for reply, want := range map[string]string{
		"lost connection with mx.corp.test while sending end of data":                                              "The connection broke at 10:01, just when the mail was handed over; it may have arrived: let Kim look first.",
		"conversation with mx.corp.test timed out while sending end of data -- message may be sent more than once": "The connection broke at 10:01, just when the mail was handed over; it may have arrived: let Kim look first.",
		"lost connection with mx.corp.test while sending message body":                                             "The mail server of corp.test has not answered since 10:01.",
	} {
		require.Equal(t, want, say(Unreachable, func(f *Facts) { f.Since, f.Reply = at(1), reply }), reply)
	}
	require.Equal(t, "corp.test is taking mail slowly.", say(RateLimited, func(*Facts) {}))
	require.Equal(t, "Kim’s mailbox is full. It must be cleared before mail can arrive.", say(MailboxFull, func(*Facts) {}))
	require.Equal(t, "A security filter (Mimecast) seems to have opened the link at 10:01; Kim has not. The link still works.", say(ScannerOnly, func(f *Facts) { f.Vendor, f.Since = "Mimecast", at(1) }))
	require.Equal(t, "Kim perhaps opened the link at 10:01 but has not set a password.", say(Opened, func(f *Facts) { f.Perhaps, f.Since = true, at(1) }))
	require.Equal(t, "The mail server of corp.test answered: “"+strings.Repeat("x", 200)+"…”. We do not know this answer.", say(Unknown, func(f *Facts) { f.Reply = strings.Repeat("x", 999) }))

	require.Equal(t, Button{StepGiveLink, "Give a link by phone"}, Action(MailboxFull, f))
	f.LinksOff = true
	require.Equal(t, Button{StepAskOther, "Ask Kim to try another address on file"}, Action(MailboxFull, f))
	require.Equal(t, Button{StepCorrect, "Correct the address"}, Action(NoSuchMailbox, f))
	require.Equal(t, Button{StepSendTo, "Send to kim@corp.test"}, Action(AskedElsewhere, f))
}

// TestMeanings: what follows from each class.
func TestMeanings(t *testing.T) {
	for class, family := range map[Class]Family{
		NoSuchMailbox: FamilyAddress, MailboxFull: FamilyMailbox, Complaint: FamilyMailbox, RelayDenied: FamilySender, TooLarge: FamilyContent,
		GaveUp: FamilyTemporary, OwnSetup: FamilyOurs, Delivered: FamilyNone, Unknown: FamilyUnknown,
	} {
		require.Equal(t, family, class.Family(), class)
	}
	for class := range meanings {
		soft, hard := Finding{Class: class}, Finding{Class: class, Hard: true}
		suppresses := class.Family() == FamilyAddress || class == Suppressed || class == Complaint
		require.Equal(t, suppresses, hard.Suppresses(), class)
		require.Equal(t, class == Suppressed || class == Complaint, soft.Suppresses(), "never on a guess: %s", class)
		_, again := hard.RetryAfter(1)
		require.False(t, again, "what cannot work is not tried: %s", class)
		_, again = soft.RetryAfter(0)
		require.False(t, again)
	}
	wait := func(f Finding, tries int) time.Duration {
		d, again := f.RetryAfter(tries)
		if !again {
			return -1
		}
		return d
	}
	waits := func(f Finding, tries int) (all []time.Duration) {
		for n := 1; n <= tries; n++ {
			all = append(all, wait(f, n))
		}
		return all
	}
	require.Equal(t, []time.Duration{5 * minute, 10 * minute, 20 * minute, 40 * minute, hour, hour, hour}, waits(Finding{Class: Greylisted}, 7))
	require.Equal(t, []time.Duration{hour, 4 * hour, 12 * hour, day, -1}, waits(Finding{Class: MailboxFull}, 5))
	require.Equal(t, []time.Duration{15 * minute, 30 * minute, hour, 2 * hour, 2 * hour}, waits(Finding{Class: RateLimited}, 5))
	require.Equal(t, []time.Duration{15 * minute, hour, 4 * hour}, waits(Finding{Class: TLSFailed}, 3))
	require.Equal(t, []time.Duration{hour, -1}, waits(Finding{Class: RelayDenied}, 2))
	require.Equal(t, []time.Duration{-1}, waits(Finding{Class: RefusedByRecipient}, 1))
	require.Equal(t, []time.Duration{-1}, waits(Finding{Class: GaveUp}, 1))
	require.Equal(t, 5*minute+20*time.Second, wait(Finding{Class: Greylisted, ComeBack: 5 * minute}, 1), "the time named and a bit")
	require.Equal(t, 5*minute+20*time.Second, wait(Finding{Class: Greylisted, ComeBack: 5 * minute}, 3))
	require.Equal(t, day+20*time.Second, wait(Finding{Class: RateLimited, ComeBack: 9999 * hour}, 1), "nobody makes us wait for ever")
	require.Equal(t, hour, wait(Finding{Class: MailboxFull, ComeBack: 5 * minute}, 1))
}
