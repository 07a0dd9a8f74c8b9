package mailserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/mailserver"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]mailserver.Server{
		"":                                nil,
		"  ":                              nil,
		"smtp://mail.example.com":         {{Host: "mail.example.com", Port: 587, TLS: mailserver.StartTLS}},
		"smtp://mail.example.com:2525/":   {{Host: "mail.example.com", Port: 2525, TLS: mailserver.StartTLS}},
		"smtp://localhost:1025?tls=none":  {{Host: "localhost", Port: 1025, TLS: mailserver.None}},
		"smtp://localhost?tls=none":       {{Host: "localhost", Port: 25, TLS: mailserver.None}},
		"smtps://u%40x:p%2C%3A@[::1]:465": {{Host: "::1", Port: 465, TLS: mailserver.Implicit, User: "u@x", Password: "p,:"}},
		"smtp://bücher.example":           {{Host: "xn--bcher-kva.example", Port: 587, TLS: mailserver.StartTLS}},
		"smtp://a.example?tls=starttls, smtps://b.example": {
			{Host: "a.example", Port: 587, TLS: mailserver.StartTLS},
			{Host: "b.example", Port: 465, TLS: mailserver.Implicit},
		},
	} {
		got, err := mailserver.Parse(text)
		require.NoError(t, err, text)
		require.Empty(t, cmp.Diff(want, got), text)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		"smtp://a,":                              "mail server 2: it is empty",
		"mail.example.com":                       "must begin with smtp://",
		"https://u:hunter2@a":                    "must begin with smtp://",
		"smtp://u:hunter2%@a":                    "is not an address",
		"smtp://u:hunter2@a:hunter2":             "is not an address",
		"smtp://u:hunter2@":                      "names no host",
		"smtp://u:hunter2@a:0":                   "port is not between",
		"smtp://u:hunter2@a:99999":               "port is not between",
		"smtp://u:hunter2@a/hunter2":             "nothing may follow",
		"smtp://u:hunter2@a#hunter2":             "nothing may follow",
		"smtp://u:hunter2@a?tls=hunter2":         "starttls or none",
		"smtp://u:hunter2@a?tls=none":            "clear text",
		"smtp://a?tls=none&tls=starttls":         "one ?tls=",
		"smtp://a?hunter2=1":                     "one ?tls=",
		"smtps://a?tls=none":                     "always TLS",
		"smtp://hunter2@a":                       "without a password",
		"smtp://:hunter2@a":                      "without a user",
		"smtp://u:hunter2%0d%0aDATA@a":           "control character",
		"smtp://a..b":                            "host name is malformed",
		"smtp://ok.example,smtp://u:hunter2@b c": "mail server 2: ",
	} {
		_, err := mailserver.Parse(text)
		require.ErrorContains(t, err, words, text)
		require.NotContains(t, err.Error(), "hunter2", text)
	}
}

func TestServerIsPrintedWithoutSecrets(t *testing.T) {
	t.Parallel()
	servers, err := mailserver.Parse("smtp://jane:hunter2@a:1,smtps://jane:hunter2@b:2,smtp://c?tls=none")
	require.NoError(t, err)
	for _, form := range []string{"%v", "%+v", "%s", "%#v"} {
		require.NotContains(t, fmt.Sprintf(form, servers), "hunter2")
		require.NotContains(t, fmt.Sprintf(form, servers[0]), "jane")
	}
	require.Equal(t, "[smtp://a:1 smtps://b:2 smtp://c:25?tls=none]", fmt.Sprint(servers))
}

func FuzzParse(f *testing.F) {
	f.Add("smtp://u:hunter2@a?tls=none,smtps://b")
	f.Fuzz(func(t *testing.T, text string) {
		servers, err := mailserver.Parse(text)
		if err != nil {
			require.NotContains(t, err.Error(), "hunter2")
			return
		}
		for _, s := range servers {
			require.NotEmpty(t, s.Host)
			require.Positive(t, s.Port)
			require.False(t, strings.ContainsAny(s.Host, " \r\n\x00"))
			require.False(t, s.TLS == mailserver.None && s.User != "")
		}
	})
}
