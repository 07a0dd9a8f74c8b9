package address

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/fault"
)

func TestSameAddressSameKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"jane@acme.example", "Jane@Acme.Example", " jane@acme.example\n", "ＪＡＮＥ@acme.example", "jane@ACME.EXAMPLE", "\u200bjane@acme.example\u200b", "\u202ajane@acme.example\u202c\ufeff "},
		{"mike@example.org", "mi\u212ae@example.org"},
		{"jane.doe@acme.example", "jane.doe＠acme.example", "jane．doe＠acme．example", "jane。doe@acme｡example", "jane.doe@acme.example. ", "jane.doe@acme.example,", "jane.doe@acme.example; ", "jane.doe＠acme.example。"},
		{"jane@bücher.example", "jane@xn--bcher-kva.example", "JANE@BÜCHER.example"},
	} {
		first, err := Parse(same[0])
		require.NoError(t, err)
		for _, other := range same[1:] {
			a, err := Parse(other)
			require.NoError(t, err, other)
			require.Equal(t, first.Key, a.Key, other)
		}
	}
}

func TestDifferentAddressesStayDifferent(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"mike@example.org", "mıke@example.org"},
		{"jose@example.org", "josé@example.org"},
		{"user@gmail.example", "user@gmáil.example"},
		{"jane+a@acme.example", "jane@acme.example"},
	} {
		a, err := Parse(pair[0])
		require.NoError(t, err)
		b, err := Parse(pair[1])
		require.NoError(t, err)
		require.NotEqual(t, a.Key, b.Key)
	}
}

func TestWhatIsNoPlainAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "jane", "@acme.example", "jane@", "jane@acme example", "ja ne@acme.example",
		"v@x,e@y", "v@x;e@y", "v@x e@y", "v@x|e@y.example,", "v@x\x00e@y", "v@x\r\nbcc:e@y", "jane@acme.example..", "jane@.", "jane.＠acme.example",
		"a@b＠evil.test", "a＠b@evil.test", "＠", ".",
		"John <jane@acme.example>", "jane@acme.example (evil@y)", `"quoted part"@acme.example`,
		"a%evil.test@good.test", "good.test!evil@b.test", "@a,@b:c@d", "(comment)user@good.test",
		"=?utf-8?q?=61=40evil.test=3e?=@good.test", "jane@[127.0.0.1]", "jane@-acme.example",
		"\xff\xfe@acme.example", "jane..doe@acme.example", ".jane@acme.example",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@acme.example",
	} {
		_, err := Parse(bad)
		require.True(t, fault.Is(err, fault.Invalid), "%q: %v", bad, err)
	}
}

func TestQuotationMarksAreNamed(t *testing.T) {
	t.Parallel()
	_, err := Parse(`"jane doe"@acme.example`)
	require.Equal(t, "Addresses with quotation marks are not supported.", fault.As(err).Fields[0].Reason)
	_, err = Parse("jane doe@acme.example")
	require.NotContains(t, fault.As(err).Fields[0].Reason, "quotation")
}

func TestWhatStandsAroundAnAddressIsNamed(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"Jane Doe <jane@acme.example>", "<jane@acme.example>", `"jane@acme.example"`, "mailto:jane@acme.example"} {
		_, err := Parse(bad)
		require.Contains(t, fault.As(err).Fields[0].Reason, "the address alone", "%q", bad)
	}
}

func TestWhatShowsNothingIsNamed(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"jane doe@acme.example", "ja\u200bne@acme.example", "jane\u2060@acme.example"} {
		_, err := Parse(bad)
		require.Contains(t, fault.As(err).Fields[0].Reason, "a character that shows nothing", "%q", bad)
	}
}

func FuzzKeysSettle(f *testing.F) {
	f.Add("Jane@Acme.Example")
	f.Add("ſtraße@bücher.example")
	f.Add("jane．doe＠acme。example.")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(a.Key)
		if err != nil || again.Key != a.Key {
			t.Fatalf("%q -> %q -> %q %v", text, a.Key, again.Key, err)
		}
		sent, err := Parse(a.Mail)
		if err != nil || sent.Key != a.Key || sent.Mail != a.Mail {
			t.Fatalf("%q: mail %q reads as %+v %v", text, a.Mail, sent, err)
		}
	})
}

func TestTheDomainIsWhatFollowsTheLastAt(t *testing.T) {
	t.Parallel()
	for mail, want := range map[string]string{
		"ada@Example.COM":        "example.com",
		`"a@b"@mail.example.com`: "mail.example.com",
		"postmaster":             "postmaster",
		"ada@":                   "",
		"":                       "",
	} {
		if got := Domain(mail); got != want {
			t.Errorf("Domain(%q) = %q, want %q", mail, got, want)
		}
	}
}
