package diagnosis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAwayUntil: answers of Monday 2 March 2026, and the day they name, "" where
// it is not plain.
func TestAwayUntil(t *testing.T) {
	for answer, want := range map[string]string{
		"I am out of the office until 2026-03-13.":                                   "2026-03-13",
		"I'm away until 3 March 2026.":                                               "2026-03-03",
		"I am away until 2nd March":                                                  "2026-03-02",
		"Out of office till Friday, March 13th, 2026, with limited access to e-mail": "2026-03-13",
		"I am on annual leave until the 13th of March.":                              "2026-03-13",
		"On vacation from 1 to 13 March 2026":                                        "2026-03-13",
		"I'm on vacation from Feb 27 to Mar 13.":                                     "2026-03-13",
		"Away from 2026-02-27 to 2026-03-13":                                         "2026-03-13",
		"I am on holiday between 1 March and 13 March.":                              "2026-03-13",
		"Vacation: from 27 February - 13 March 2026":                                 "2026-03-13",
		"I will be back in the office on Friday 13 March.":                           "2026-03-13",
		"I am away. Returning on March 13":                                           "2026-03-13",
		"I am out of the office through 13/03/2026":                                  "2026-03-13",
		"I am out of the office through 03/13/2026":                                  "2026-03-13",
		"I am on leave until\r\n13 March 2026\r\nKind regards":                       "2026-03-13",
		"Away until 1 March 2027.":                                                   "2027-03-01",

		"Ich bin bis 03.03.2026 nicht im Büro.":                                         "2026-03-03",
		"Ich bin vom 27.02. bis einschließlich 13.03. im Urlaub.":                       "2026-03-13",
		"Ich bin bis zum Freitag, den 13. März 2026, abwesend.":                         "2026-03-13",
		"Abwesend bis 3.4.26":                                                           "2026-04-03",
		"Ich bin im Urlaub und wieder ab dem 13. März im Haus.":                         "2026-03-13",
		"Je suis absent jusqu'au 3 mars 2026.":                                          "2026-03-03",
		"Je suis en congés du 1er au 13 mars inclus.":                                   "2026-03-13",
		"Absente jusqu’au vendredi 13 mars":                                             "2026-03-13",
		"Je suis absent jusqu’au 1er août":                                              "2026-08-01",
		"Estoy de vacaciones hasta el 3 de marzo.":                                      "2026-03-03",
		"Estaré fuera de la oficina del 1 al 13 de marzo de 2026":                       "2026-03-13",
		"Sarò in ferie fino al 13 marzo 2026.":                                          "2026-03-13",
		"Sono assente dal 2 al 13 marzo":                                                "2026-03-13",
		"Ik ben met vakantie tot en met vrijdag 13 maart 2026.":                         "2026-03-13",
		"Ik ben afwezig van 2 t/m 13 maart":                                             "2026-03-13",
		"I am away until 13 March 2026.\nIch bin bis zum 13. März 2026 nicht im Büro.":  "2026-03-13",
		"I am away until 13 March.\n\n> The link works until Tuesday 3 March at 10:05.": "2026-03-13",
		"I am away.\n-----Original Message-----\nI am away until 3 March 2026":          "",
		"I am away. You wrote: It works until Tuesday 3 March at 10:05 UTC.":            "",
		"I am away until 3 March. From the 10th I am away again until 20 March.":        "",
		"I am away until 03/04/2026":                                                    "",
		"I am away until 03.04.2026":                                                    "",
		"Ich bin bis 03/04/2026 abwesend":                                               "",
		"I am away until Tuesday, 13 March 2026":                                        "",
		"I am away until 31 February 2026":                                              "",
		"I am away until 2026-13-03":                                                    "",
		"I am away until 1 March 2026":                                                  "",
		"I am away until 13 March 2027":                                                 "",
		"I am away until 1 March":                                                       "",
		"I am away until 13 March 2025":                                                 "",
		"I am away until Monday. For urgent matters call 555 0100.":                     "",
		"Out of office. Contract prices hold until 31 December 2026.":                   "",
		"I am away\n\nThe prices stand until 31 December 2026":                          "",
		"Our offer stands until March 13. I am away.":                                   "",
		"The new form is due: valid for you until 13 March 2026! I am on vacation":      "",
		"I am away. My colleague is on sick leave until 9 December 2026":                "",
		"I am away. She is on leave until 13 March 2026.":                               "",
		"Ich bin abwesend. Meine Kollegin ist bis 13.03.2026 im Urlaub.":                "",
		"Je suis absent. Ma collègue est en vacances jusqu'au 13 mars 2026.":            "",
		"Estoy ausente. Mi compañero está de vacaciones hasta el 13 de marzo":           "",
		"Sono assente. Il mio collega è in ferie fino al 13 marzo.":                     "",
		"Ik ben afwezig. Mijn collega is met vakantie tot 13 maart":                     "",
		"I am away until 9 March. My colleague is on leave until 13 March.":             "2026-03-09",
		"I am away (until 13 March 2026). Prices hold until 31 December 2026.":          "2026-03-13",
		"Ich bin vom 27. Februar bis 13. März im Urlaub. Meine Vertretung ist Kim.":     "2026-03-13",
		"Bis 13.03. bin ich im Urlaub":                                                  "2026-03-13",
		"I am away until 13.":                                                           "",
		"I am away until March.":                                                        "",
		"I am away until 10-12 March":                                                   "",
		"I am away until 2026-03-13-1":                                                  "",
		"The shop is open until 13 March 2026. I am on holiday.":                        "",
		"The offer ends. It lasts until 13 March 2026.":                                 "",
		"Die Sprechstunde ist wieder am 13. März.":                                      "",
		"I will be away from 9 March until 13 March.":                                   "",
		"I will be on holiday from 9 to 13 March":                                       "",
		"I will be on holiday from March 9 to March 13":                                 "",
		"Ich bin vom 9. bis 13. März im Urlaub":                                         "",
		"Ich bin vom 09.03. bis 13.03.2026 im Urlaub":                                   "",
		"Je serai absent du 9 au 13 mars":                                               "",
		"I am on holiday from 13 March 2026.":                                           "",
		"Ich bin ab dem 13. März im Urlaub.":                                            "",
		"We have received your request of 13 March 2026.":                               "",
		"": "",
	} {
		got := awayUntil(answer, time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC))
		if want == "" {
			require.Zero(t, got, answer)
			continue
		}
		require.Equal(t, want, got.Format(time.DateOnly), answer)
	}
	require.Zero(t, awayUntil("I am away until 3 March 2026.", time.Time{}), "nobody knows when it was written")
}

// TestTheSentenceSaysHowLong: with the day where it is plain.
func TestTheSentenceSaysHowLong(t *testing.T) {
	f := Facts{Name: "Kim", Address: "kim@corp.test", Since: at(0), Write: func(t time.Time) string { return t.Format("15:04") }}
	f.Reply = "I am away until " + at(0).AddDate(0, 0, 9).Format("2 January") + "."
	require.Equal(t, "Kim’s mailbox answered by itself at 10:00, away until "+at(0).AddDate(0, 0, 9).Format("2 January 2006")+": the mail arrived.", Sentence(AutoReply, f))
	f.Reply = "I am away until Monday."
	require.Equal(t, "Kim’s mailbox answered by itself at 10:00: the mail arrived.", Sentence(AutoReply, f))
}
