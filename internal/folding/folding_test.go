package folding

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Jane  Doe":   "jane doe",
		"José":        "josé jose",
		"Jose\u0301":  "josé jose",
		"O’Brien":     "o'brien",
		"O´Brien":     "o'brien",
		"O`Brien":     "o'brien",
		"Groß–Straße": "groß-straße gross-strasse",
		"Łukasz Ærø":  "łukasz ærø lukasz aero",
		"田中":          "田中",
		"Дмитрий":     "дмитрий дмитрии",
	} {
		require.Equal(t, want, Findable(text))
	}
}
