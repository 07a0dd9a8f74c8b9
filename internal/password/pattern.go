package password

import (
	"slices"
	"strings"
)

// shortUnit is the length in code points below which a unit adds nothing by being repeated.
const shortUnit = 8

// repeats tells whether the text is one unit again and again, the last perhaps cut,
// and the unit is short or known.
func repeats(text []rune, known func(unit string) bool) bool {
	for size := 1; size*2 <= len(text); size++ {
		if slices.Equal(text[size:], text[:len(text)-size]) && (size < shortUnit || known(string(text[:size]))) {
			return true
		}
	}
	return false
}

// minRun is the length from which neighbouring characters count as a run.
const minRun = 3

// lines are the ways along which people's fingers walk. Each is also read backwards.
var lines = bothWays(
	"abcdefghijklmnopqrstuvwxyz", "01234567890",
	// Rows of QWERTY, QWERTZ, AZERTY and ЙЦУКЕН, each keyboard from row to row.
	"1234567890-=qwertyuiop[]asdfghjkl;'zxcvbnm,./",
	"1234567890qwertyuiopasdfghjklzxcvbnm",
	"1234567890qwertzuiopü+asdfghjklöä#yxcvbnm,.-",
	"1234567890qwertzuiopasdfghjklyxcvbnm",
	"1234567890azertyuiop^$qsdfghjklmù*wxcvbn,;:!",
	"1234567890azertyuiopqsdfghjklmwxcvbn",
	"1234567890йцукенгшщзхъфывапролджэячсмитьбю.",
	// Columns: down and down, up and up, up and down.
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
	"1qay2wsx3edc4rfv5tgb6zhn7ujm8ik,9ol.0pö-",
	"qazwsxedcrfvtgbyhnujmik,ol.p;/",
	"zaq1xsw2cde3vfr4bgt5nhy6mju7,ki8.lo9/;p0",
	"zaq12wsxcde34rfvbgt56yhnmju78ik,.lo90p;/",
	"1qazxsw23edcvfr45tgbnhy67ujm,ki89ol./;p0",
	"qazxswedcvfrtgbnhyujm,kiol./;p",
	// Zigzag between two rows.
	"1q2w3e4r5t6y7u8i9o0p-[=]",
	"q1w2e3r4t5y6u7i8o9p0",
	"qawsedrftgyhujikolp;[']",
	"aqswdefrgthyjukilo;p",
	"azsxdcfvgbhnjmk,l.;/",
)

// unshift gives the key of a digit row that was typed with Shift.
var unshift = strings.NewReplacer("!", "1", "@", "2", "#", "3", "$", "4", "%", "5", "^", "6", "&", "7", "*", "8", "(", "9", ")", "0", "_", "-", "+", "=")

func bothWays(ways ...string) string {
	var all strings.Builder
	for _, way := range ways {
		back := []rune(way)
		slices.Reverse(back)
		all.WriteString(way + "\n" + string(back) + "\n")
	}
	return all.String()
}

// onlyRuns tells whether a lower-case text consists of nothing but runs along the
// lines or of one character again and again; a rest shorter than a run may follow.
func onlyRuns(folded string) bool {
	return consistsOfRuns([]rune(folded)) || consistsOfRuns([]rune(unshift.Replace(folded)))
}

func consistsOfRuns(text []rune) bool {
	for at := 0; len(text)-at >= minRun; {
		size := runAt(text[at:])
		if size < minRun {
			return false
		}
		at += size
	}
	return true
}

// runAt gives the length of the longest run at the beginning of the text.
func runAt(text []rune) int {
	same := 1
	for same < len(text) && text[same] == text[0] {
		same++
	}
	along := 0
	for along < len(text) && strings.Contains(lines, string(text[:along+1])) {
		along++
	}
	return max(same, along)
}
