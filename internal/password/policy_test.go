package password_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/password"
)

var janes = []string{"Jane Doe", "jane.doe@acme.example", "Acme", "Sparekey", "Léa Müller", "Al Wu", "Bill Gall"}

func TestCheckGivesTheExactReason(t *testing.T) {
	t.Parallel()
	const short, long, listed, again, row, name = "too short", "too long", "leaked", "repeats", "neighbouring", "name or address"
	for _, tc := range []struct {
		plain  string
		least  int
		reason string // "" if accepted
	}{
		{"three unrelated words", 0, ""},
		{"aaa bbb unrelated", 0, ""},
		{strings.Repeat("é", 14), 0, short},
		{"vbwqhtkzpxmrnd", 0, short},
		{"vbwqhtkzpxmrndf", 0, ""},
		{"vbwqhtk", 8, short},
		{"vbwqhtkz", 8, ""},
		{"vbwqhtk", 1, short},          // never below 8
		{"vbwqhtkzpxmrndf", 100, ""},   // never above 15
		{"cafe\u0301qwz", 8, short},    // seven once composed
		{"😀🍊🚲🎻🧊🪁🦉🧲", 8, ""},            // code points, not bytes
		{"        x       ", 0, ""},    // odd, but theirs
		{"vbwqh tkzpx mrndf 🚲", 0, ""}, // every character counts
		{strings.Repeat("vbw qx", 43), 0, long},
		{"password", 8, listed},
		{"PassWord", 8, listed},
		{"trustno1", 8, listed},
		{"zqjphsyf6ctifgu", 0, listed},
		{"passwordx1 unlisted", 8, ""},
		{"passwordpassword", 8, listed},
		{"passwordpasswordpassword", 0, again},
		{"Password1pAssword1passw", 0, again},
		{"xkxkxkxkxkxkxkxk", 0, again},
		{"papaya papaya papaya", 0, again},
		{strings.Repeat("z", 64), 0, again},
		{"jane doe acme jane doe acme", 0, name},
		{"correct horse correct horse", 0, ""}, // a long unit of one's own
		{"1qaz2wsx3edc4rfv5tgb", 0, row},
		{"!QAZ@WSX#EDC$RFV", 0, row},
		{"qwertyuiopasdfghjkl", 0, row},
		{"lkjhgfdsapoiuytrewq", 0, row},
		{"abcdefghijklmnopq", 0, row},
		{"zyxwvutsrqponmlkj", 0, row},
		{"1234567890123456", 0, row},
		{"12345678901234567x", 0, row},
		{"qwerty123456asdfgh", 0, row},
		{"aaaabbbbccccdddd", 0, row},
		{"йцукенгшщзхъфыва", 0, row},
		{"qwerty and some words", 0, ""},
		{"jane.doe@acme.example", 0, name},
		{"JANE.DOE@ACME.EXAMPLE", 0, name},
		{"janedoesparekey", 0, name},
		{"Jane Doe 19850101", 0, name},
		{"j4n3d03@acme.example", 0, name},
		{"elpmaxe.emca@eod.enaj", 0, name},
		{"Sp@rek3y-Acme-2026", 0, name},
		{"lea mueller", 8, ""},
		{"léa müller", 8, name},
		{"Lea Muller", 8, name},
		{"bi11ga11", 8, name},
		{"sparekey", 8, name},
		{"janedoe's favourite bicycle", 0, ""},
		{"acme 8301 7745 2206", 0, ""}, // long digits are no decoration
		{"Al wants walnuts", 0, ""},
		{"line\nbreak of mine 12", 0, "cannot be used"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0, "cannot be used"},
	} {
		err := password.Check(tc.plain, password.Policy{MinLength: tc.least, Context: janes})
		if tc.reason == "" {
			require.NoError(t, err, tc.plain)
			continue
		}
		require.True(t, fault.Is(err, fault.Invalid), tc.plain)
		require.Contains(t, err.Error(), tc.reason, tc.plain)
		require.Equal(t, "password", fault.As(err).Fields[0].Name)
		if tc.plain != "password" { // a word of the sentence
			require.NotContains(t, err.Error(), tc.plain)
		}
	}
}

func TestCheckWithoutContext(t *testing.T) {
	t.Parallel()
	require.NoError(t, password.Check("jane.doe@acme.example", password.Policy{}))
	require.NoError(t, password.Check("19 48 27 36 60 11", password.Policy{Context: []string{"", " ", "..", "@", "a"}}))
}
