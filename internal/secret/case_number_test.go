package secret

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCaseNumbersReadAsTheyAreSaid(t *testing.T) {
	t.Parallel()
	for range 2000 {
		number := NewCaseNumber()
		require.Len(t, number, CaseLength)
		require.Equal(t, strings.ToUpper(number), number)
		require.True(t, strings.ContainsAny(number, "0123456789"), number)
		require.Equal(t, number, ReadCaseNumber(number))
	}
	for typed, want := range map[string]string{
		" case 4f7k2q ": "4F7K2Q", "4F7-K2Q": "4F7K2Q", "4f7 k2q": "4F7K2Q", "oi7k2q": "017K2Q", "#4F7K2Q": "4F7K2Q",
		"secret": "", "4F7K2": "", "4F7K2QQ": "", "4F7K2U": "", "jane@acme": "", "": "", "case": "", "4F7\x002Q": "",
	} {
		require.Equal(t, want, ReadCaseNumber(typed), typed)
	}
}
