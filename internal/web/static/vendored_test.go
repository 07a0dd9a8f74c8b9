package static_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/web/static"
)

// TestTheWidgetComesWithItsLicence and loads nothing from elsewhere.
func TestTheWidgetComesWithItsLicence(t *testing.T) {
	t.Parallel()
	js := body(t, get("GET", static.URL("altcha.js"), "").Body)
	require.Contains(t, js, "Permission is hereby granted, free of charge")
	for _, name := range []string{"altcha.css", "altcha-worker.js", "proof.js"} {
		text := body(t, get("GET", static.URL(name), "").Body)
		require.NotContains(t, text, "http:", name)
		require.NotContains(t, text, "https:", name)
		require.NotContains(t, text, "@import", name)
	}
}
