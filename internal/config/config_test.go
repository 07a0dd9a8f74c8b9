package config_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/fault"
)

// sendgridKey is a public key on P-256, made for this test.
const sendgridKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sentence is what a person sees of a refusal.
func sentence(t *testing.T, err error) string {
	t.Helper()
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	return fault.As(err).Sentence
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, nil, "")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, "http://localhost:8080", c.URL.String())
	require.Equal(t, "sqlite", c.Database.Engine)
	require.Equal(t, "sparekey.db", c.Database.DSN)
	require.Equal(t, "sparekey.key", c.KeyFile)
	require.Equal(t, "Sparekey", c.MailFrom.Name)
	require.Equal(t, "no-reply@localhost", c.MailFrom.Address)
	require.Equal(t, slog.LevelInfo, c.LogLevel)
	require.Equal(t, "text", c.LogFormat)
	require.False(t, c.LimitsOff)
	require.Empty(t, c.SMTP+c.BounceListen+c.MetricsListen)
	require.Empty(t, c.TrustedProxies)
	require.Empty(t, c.MailEvents)
}

func TestEverythingSet(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, []string{
		"SPAREKEY_LISTEN=[::1]:9000",
		"SPAREKEY_URL=HTTPS://Login.Bücher.example:443/",
		"SPAREKEY_DATABASE=postgres://app:s3cret@db1:5432,db2:5432/sparekey?target_session_attrs=read-write",
		"SPAREKEY_SMTP=smtp://mailer:p%40ss@mx1.example:587?tls=starttls, smtps://mx2.example",
		"SPAREKEY_MAIL_FROM=Acme Ltd <hello@acme.example>",
		"SPAREKEY_KEY_FILE=/etc/sparekey/key",
		"SPAREKEY_TRUSTED_PROXIES=10.1.2.3/8, ::1, ::ffff:192.0.2.0/120",
		"SPAREKEY_BOUNCE_LISTEN=:25",
		"SPAREKEY_BOUNCE_DOMAIN=Returned.acme.example",
		"SPAREKEY_MAIL_EVENTS=postmark:tok,ses:arn:aws:sns:eu-west-1:123456789012:bounces,sendgrid:" + sendgridKey,
		"SPAREKEY_LIMITS=off",
		"SPAREKEY_METRICS_LISTEN=127.0.0.1:9090",
		"SPAREKEY_LOG=debug",
		"SPAREKEY_LOG_FORMAT=json",
		"SPAREKEY_TEST_POSTGRES=left to the tests",
		"HOME=/root",
	}, "")
	require.NoError(t, err)
	require.Equal(t, "[::1]:9000", c.Listen)
	require.Equal(t, "https://login.xn--bcher-kva.example", c.URL.String(), "as browsers send it as Origin")
	require.Equal(t, "postgres", c.Database.Engine)
	require.True(t, strings.HasPrefix(c.Database.DSN, "postgres://app:s3cret@db1:5432,db2:5432/"))
	require.Equal(t, "smtp://mailer:p%40ss@mx1.example:587?tls=starttls, smtps://mx2.example", c.SMTP)
	require.Equal(t, "Acme Ltd", c.MailFrom.Name)
	require.Equal(t, "returned.acme.example", c.BounceDomain)
	require.Equal(t, "/etc/sparekey/key", c.KeyFile)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.0/24"),
	}, c.TrustedProxies)
	require.Equal(t, []config.MailEvent{
		{Provider: "postmark", Proof: "tok"},
		{Provider: "ses", Proof: "arn:aws:sns:eu-west-1:123456789012:bounces"},
		{Provider: "sendgrid", Proof: sendgridKey},
	}, c.MailEvents)
	require.True(t, c.LimitsOff)
	require.Equal(t, slog.LevelDebug, c.LogLevel)
	require.Equal(t, "json", c.LogFormat)
}

func TestReturnedMailComesBelowTheSendersDomain(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{"no-reply@acme.example": "bounce.acme.example", "no-reply@[192.0.2.1]": "[192.0.2.1]"} {
		c, err := config.Load(nil, []string{"SPAREKEY_MAIL_FROM=" + from}, "")
		require.NoError(t, err)
		require.Equal(t, want, c.BounceDomain)
	}
}

func TestFlagBeatsVariableBeatsFile(t *testing.T) {
	t.Parallel()
	file := write(t, "listen: 127.0.0.1:1\nlog: debug\nmail_from: a@file.example\n"+
		"limits: off\ntrusted_proxies:\n  - 10.0.0.0/8\n  - 192.0.2.1\nsmtp: [smtp://mx1.example:25, smtp://mx2.example:25]\n")
	environ := []string{"SPAREKEY_LISTEN=127.0.0.1:2", "SPAREKEY_LOG=warn", "SPAREKEY_MAIL_FROM="}
	c, err := config.Load(map[string]string{"listen": "127.0.0.1:3", "log": "", "log-format": "json"}, environ, file)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3", c.Listen, "the flag")
	require.Equal(t, slog.LevelWarn, c.LogLevel, "the variable, since an empty flag is none")
	require.Equal(t, "a@file.example", c.MailFrom.Address, "the file, since an empty variable is none")
	require.Equal(t, "json", c.LogFormat, "a flag with a dash in its name")
	require.True(t, c.LimitsOff)
	require.Len(t, c.TrustedProxies, 2, "a list in the file")
	require.Equal(t, "smtp://mx1.example:25,smtp://mx2.example:25", c.SMTP)
}

func TestWrongValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, allowed string }{
		{"LISTEN", "8080", "HOST:PORT"},
		{"LISTEN", "localhost:http", "HOST:PORT"},
		{"LISTEN", "127.0.0.1:70000", "HOST:PORT"},
		{"LISTEN", "127.0.0.1:+80", "HOST:PORT"},
		{"LISTEN", "http://127.0.0.1:80", "HOST:PORT"},
		{"URL", "login.example.com", "https://"},
		{"URL", "ftp://login.example.com", "https://"},
		{"URL", "https://", "https://"},
		{"URL", "https://example.com/login", "nothing after it"},
		{"URL", "https://example.com?x=1", "nothing after it"},
		{"URL", "https://example.com?", "nothing after it"},
		{"URL", "https://example.com#", "nothing after it"},
		{"URL", "https://example.com:0", "https://"},
		{"URL", "https://example.com:", "https://"},
		{"URL", "https://exa mple.com", "https://"},
		{"DATABASE", "sparekey.db", "sqlite:PATH"},
		{"DATABASE", "sqlite:", "sqlite:PATH"},
		{"DATABASE", "sqlite::memory:", "sqlite:PATH"},
		{"DATABASE", "sqlite:/tmp", "sqlite:PATH"},
		{"DATABASE", "sqlite:a.db?mode=ro", "sqlite:PATH"},
		{"MAIL_FROM", "nobody", "one address"},
		{"MAIL_FROM", "a@example.com, b@example.com", "one address"},
		{"MAIL_FROM", "=?utf-8?q?a=0D=0ABcc:_b@example.com?= <a@example.com>", "one address"},
		{"KEY_FILE", "/tmp", "path of a file"},
		{"TRUSTED_PROXIES", "10.0.0.0/33", "networks"},
		{"TRUSTED_PROXIES", "proxy.example.com", "networks"},
		{"TRUSTED_PROXIES", "0.0.0.0/0", "networks"},
		{"TRUSTED_PROXIES", "::/0", "networks"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,", "networks"},
		{"BOUNCE_LISTEN", "mail", "HOST:PORT"},
		{"BOUNCE_DOMAIN", "no dots", "MX record"},
		{"BOUNCE_DOMAIN", "mail", "MX record"},
		{"BOUNCE_DOMAIN", "a@bounce.example.com", "MX record"},
		{"BOUNCE_DOMAIN", "192.0.2.1", "MX record"},
		{"LIMITS", "no", "on or off"},
		{"METRICS_LISTEN", "9090", "HOST:PORT"},
		{"LOG", "loud", "debug, info, warn or error"},
		{"LOG", "WARN", "debug, info, warn or error"},
		{"LOG_FORMAT", "xml", "text or json"},
	}
	for _, test := range tests {
		t.Run(test.name+" "+strings.ReplaceAll(test.value, "/", "|"), func(t *testing.T) {
			t.Parallel()
			name := "SPAREKEY_" + test.name
			_, err := config.Load(nil, []string{name + "=" + test.value}, "")
			said := sentence(t, err)
			require.Contains(t, said, fmt.Sprintf("%s is %q", name, test.value))
			require.Contains(t, said, test.allowed)
			require.Equal(t, name, fault.As(err).Fields[0].Name)
		})
	}
}

func TestWrongSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value string }{
		{"DATABASE", "mysql://app:hunter2@db/name"},
		{"DATABASE", "postgres://app:hunter2@"},
		{"DATABASE", "host=db password=hunter2"},
		{"DATABASE", "postgres:///name?user=app&password=hunter2"},
		{"DATABASE", "postgres://app:hunter2@db/name other"},
		{"URL", "https://app:hunter2@example.com"},
		{"SMTP", "app:hunter2@mx.example"},
		{"SMTP", "http://app:hunter2@mx.example"},
		{"SMTP", "smtp://app:hunter2@mx.example?tls=maybe"},
		{"SMTP", "smtp://app:hunter2@mx.example?tsl=none"},
		{"SMTP", "smtps://app:hunter2@mx.example?tls=none"},
		{"SMTP", "smtp://app:hunter2,@mx.example"},
		{"SMTP", "smtp://app:hunter2@"},
		{"SMTP", "smtp://app:hunter2@mx.example:0"},
		{"SMTP", "smtp://app:hunter2@mx.example/path"},
		{"SMTP", "smtp://mx1.example, hunter2"},
		{"MAIL_EVENTS", "hunter2"},
		{"MAIL_EVENTS", "postmark:"},
		{"MAIL_EVENTS", "sparkpost:hunter2"},
		{"MAIL_EVENTS", "sendgrid:hunter2"},
		{"MAIL_EVENTS", "ses:arn:aws:sqs:eu-west-1:123456789012:hunter2"},
		{"MAIL_EVENTS", "postmark:hunter2,,mailgun:x"},
	}
	for _, test := range tests {
		t.Run(test.name+" "+strings.ReplaceAll(test.value, "/", "|"), func(t *testing.T) {
			t.Parallel()
			name := "SPAREKEY_" + test.name
			_, err := config.Load(nil, []string{name + "=" + test.value}, "")
			require.Contains(t, sentence(t, err), name)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestAWrongMailServerIsNamed(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, []string{"SPAREKEY_SMTP=smtp://mx1.example,smtps://app:hunter2@mx2.example?tls=none"}, "")
	require.Contains(t, sentence(t, err), "mail server 2")
}

func TestSettingsThatMustAgree(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ []string
		said    string
	}{
		"limits off in public":      {[]string{"SPAREKEY_LIMITS=off", "SPAREKEY_LISTEN=:8080"}, "unless SPAREKEY_LISTEN is a loopback address"},
		"limits off by a host name": {[]string{"SPAREKEY_LIMITS=off", "SPAREKEY_LISTEN=localhost.evil:80"}, "unless SPAREKEY_LISTEN is a loopback address"},
		"no key file on PostgreSQL": {[]string{"SPAREKEY_DATABASE=postgres://db/name"}, "SPAREKEY_KEY_FILE is not set"},
		"metrics in public":         {[]string{"SPAREKEY_METRICS_LISTEN=127.0.0.1:8080"}, "SPAREKEY_LISTEN has already"},
		"bounces on the web's port": {[]string{"SPAREKEY_BOUNCE_LISTEN=127.0.0.1:8080"}, "SPAREKEY_LISTEN has already"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(nil, test.environ, "")
			require.Contains(t, sentence(t, err), test.said)
		})
	}
	for _, listen := range []string{"localhost:0", "127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80"} {
		_, err := config.Load(nil, []string{"SPAREKEY_LIMITS=off", "SPAREKEY_LISTEN=" + listen}, "")
		require.NoError(t, err, listen)
	}
}

func TestKeyFileStandsBesideTheDatabase(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, []string{"SPAREKEY_DATABASE=sqlite:/var/lib/sparekey/main.db"}, "")
	require.NoError(t, err)
	require.Equal(t, "/var/lib/sparekey/sparekey.key", c.KeyFile)
}

func TestPostgresThroughASocket(t *testing.T) {
	t.Parallel()
	address := "postgresql:///sparekey?user=app&host=/run/postgresql"
	c, err := config.Load(nil, []string{"SPAREKEY_DATABASE=" + address, "SPAREKEY_KEY_FILE=k"}, "")
	require.NoError(t, err)
	require.Equal(t, address, c.Database.DSN)
}

func TestSenderOfAnAddressWithoutName(t *testing.T) {
	t.Parallel()
	for address, from := range map[string]string{
		"http://192.0.2.1:80": "no-reply@[192.0.2.1]", "http://[2001:DB8::1]": "no-reply@[IPv6:2001:db8::1]",
	} {
		c, err := config.Load(nil, []string{"SPAREKEY_URL=" + address}, "")
		require.NoError(t, err)
		require.Equal(t, from, c.MailFrom.Address)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for written, meant := range map[string]string{
		"SPAREKEY_LISTN": "SPAREKEY_LISTEN", "SPAREKEY_SMTP_URL": "SPAREKEY_SMTP", "SPAREKEY_listen": "SPAREKEY_LISTEN",
		"SPAREKEY_DATABASE_URL": "SPAREKEY_DATABASE", "SPAREKEY_LOG_LEVEL": "SPAREKEY_LOG", "SPAREKEY_FROM": "SPAREKEY_MAIL_FROM",
		"SPAREKEY_TRUSTED_PROXY": "SPAREKEY_TRUSTED_PROXIES",
	} {
		_, err := config.Load(nil, []string{written + "=hunter2"}, "")
		said := sentence(t, err)
		require.Contains(t, said, written)
		require.Contains(t, said, "Did you mean "+meant+"?")
		require.NotContains(t, said, "hunter2")
	}
	_, err := config.Load(nil, []string{"SPAREKEY_ZZZ=1"}, "")
	require.Contains(t, sentence(t, err), "The variables are SPAREKEY_LISTEN, SPAREKEY_URL")

	_, err = config.Load(nil, nil, write(t, "mail-from: a@example.com\n"))
	require.Contains(t, sentence(t, err), "Did you mean mail_from?")
	_, err = config.Load(nil, nil, write(t, "database:\n  host: db\n"))
	require.Contains(t, sentence(t, err), "Did you mean database?")
	_, err = config.Load(map[string]string{"listem": "x"}, nil, "")
	require.Contains(t, sentence(t, err), "--listem")
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, nil, filepath.Join(t.TempDir(), "none.yaml"))
	require.Contains(t, sentence(t, err), "does not exist")

	for _, text := range []string{
		"smtp://app:hunter2@mx.example\n", "smtp: smtp://app:hunter2@mx\n  log: info\n",
		"log: info\nlog: hunter2\n", "- hunter2\n", "smtp: [{password: hunter2}]\n", "\"hunter2",
	} {
		_, err = config.Load(nil, nil, write(t, text))
		require.Contains(t, sentence(t, err), "settings.yaml", text)
		require.NotContains(t, err.Error(), "hunter2", text)
	}

	_, err = config.Load(nil, nil, write(t, "log: loud\n"))
	require.Contains(t, sentence(t, err), "SPAREKEY_LOG is \"loud\" (given as log in ")
}

func TestAnEmptyFileIsNone(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, nil, write(t, "# nothing yet\nlog:\n"))
	require.NoError(t, err)
}

func TestPrintingKeepsSecrets(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, []string{
		"SPAREKEY_DATABASE=postgres://app:hunter2@db/name", "SPAREKEY_SMTP=smtp://app:hunter2@mx.example",
		"SPAREKEY_MAIL_EVENTS=postmark:hunter2", "SPAREKEY_KEY_FILE=k",
	}, "")
	require.NoError(t, err)
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("start", "config", c, "pointer", &c, "database", c.Database, "events", c.MailEvents[0])
	}
	printed := fmt.Sprintf("%v %+v %#v %s %v %v", c, c, c, &c, c.Database, c.MailEvents) + log.String()
	require.NotContains(t, printed, "hunter2")
	require.Contains(t, printed, "postgres")
}

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		require.NotEmpty(t, s.Default, s.Variable)
		require.NotEmpty(t, s.Allowed, s.Variable)
		require.True(t, strings.HasSuffix(s.Meaning, "."), s.Variable)
	}
}
