package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0":               "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                   "Chrome on Android",
		"curl/8.9.1": "curl/8.9.1",
		"":           "A program without a name",
	} {
		require.Equal(t, want, Words(agent))
	}
}

func TestScannersAreNotPeople(t *testing.T) {
	t.Parallel()
	for _, scanner := range []string{
		"", "curl/8.9.1", "Go-http-client/2.0", "Mozilla/5.0 (compatible; bingbot/2.0)", "Mozilla/5.0 (Windows NT 10.0) SafeLinks", "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36 URLDefense", "Mozilla/5.0 (compatible) Hornetsecurity",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
	} {
		require.True(t, Scanner(scanner), scanner)
	}
	require.False(t, Scanner("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"))
}

func TestFiltersNameTheirMakers(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0) BarracudaSentinel": "Barracuda",
		"CiscoSecureEmail/1.0":                            "Cisco",
		"curl/8.9.1":                                      "",
		"":                                                "",
	} {
		require.Equal(t, want, Vendor(agent), agent)
	}
}
