package folding

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Jane  Doe":        "jane doe",
		"José":             "josé jose",
		"Jose\u0301":       "josé jose",
		"O’Brien":          "o'brien",
		"O´Brien":          "o'brien",
		"O`Brien":          "o'brien",
		"Groß–Straße":      "groß-straße gross-strasse",
		"Łukasz Ærø":       "łukasz ærø lukasz aero lukasz aeroe",
		"Jörg Müller":      "jörg müller jorg muller joerg mueller",
		"Þóra Sigurðar":    "þóra sigurðar thora sigurdar",
		"„Bob“ — Ray":      "\"bob\" - ray",
		"Ja\u00adne\u200b": "jane",
		"田中":               "田中",
		"Дмитрий":          "дмитрий дмитрии",
	} {
		require.Equal(t, want, Findable(text))
	}
}

// TestLetters: the spaces at the ends of a part of a sentence count.
func TestLetters(t *testing.T) {
	t.Parallel()
	require.Equal(t, " zostal  odrzucony ", Letters(" został\r\nodrzucony "))
	require.Equal(t, "l'adresse n'existe pas", Letters("L´adresse n’existe\u00a0pas"))
	require.Equal(t, "a b", Letters("a\xffb"))
}
