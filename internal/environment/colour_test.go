package environment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/environment"
)

func TestAnAccentIsReadableOrRefused(t *testing.T) {
	t.Parallel()
	s, err := environment.ShadesOf("#1d4ED8")
	require.NoError(t, err)
	require.Equal(t, "#1d4ed8", s.Light)
	for _, dark := range []string{"#000000", "#5b21b6", "#7f1d1d", "#0b6b57", "#767676"} {
		s, err := environment.ShadesOf(dark)
		require.NoError(t, err, dark)
		for _, shade := range []string{s.Light, s.Dark, s.OnDark} {
			require.Regexp(t, "^#[0-9a-f]{6}$", shade)
		}
	}
	for _, wrong := range []string{"#ffcc00", "#ffffff", "#9ca3af", "#777777", "", "red", "#12345", "#12345g", "#fff;}body{display:none", "#+12345", "#1_2345"} {
		_, err := environment.ShadesOf(wrong)
		require.Error(t, err, wrong)
	}
}
