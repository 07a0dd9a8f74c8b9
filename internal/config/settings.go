package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
)

// setting is one line of the table: the only list of what can be configured.
type setting struct {
	key     string // in sparekey.yaml; the variable and the flag are made from it
	normal  string // the default; "" where there is none or where it depends on others
	shown   string // the default as the manual tells it, where that differs
	allowed string // ends the sentence "… It must be …"
	meaning string
	// secret tells whether a wrong value may hold a password: then it is not repeated.
	secret func(text string) bool
	// read gives errWrong, or an error that names what is wrong and no secret.
	read func(c *Config, text string) error
}

// Setting describes one setting for the manual and for --help.
type Setting struct {
	Variable string // the environment variable
	Key      string // in the configuration file
	Flag     string // on the command line, with its dashes
	Default  string // as the manual tells it; "none" where there is none
	Allowed  string // what a value may be
	Meaning  string // one sentence
}

// Settings lists all settings in the order of the manual.
func Settings() []Setting {
	list := make([]Setting, 0, len(settings))
	for _, s := range settings {
		shown := s.shown
		if shown == "" {
			shown = s.normal
		}
		if shown == "" {
			shown = "none"
		}
		list = append(list, Setting{
			Variable: variable(s.key), Key: s.key, Flag: flagName(s.key),
			Default: shown, Allowed: s.allowed, Meaning: s.meaning,
		})
	}
	return list
}

var settings = []setting{
	{
		key: "listen", normal: "127.0.0.1:8080", read: readListen,
		allowed: "HOST:PORT, for example 127.0.0.1:8080 or :8080 for every interface",
		meaning: "The address to serve on.",
	},
	{
		key: "url", normal: "http://localhost:8080", secret: urlSecret, read: readURL,
		allowed: "http:// or https:// with a host and, where needed, a port, and nothing after it, for example https://login.example.com",
		meaning: "The public address; every link is built from it, never from a request header.",
	},
	{
		key: "database", normal: "sqlite:sparekey.db", secret: databaseSecret, read: readDatabase,
		allowed: "sqlite:PATH or postgres://user:password@host:port/name (several hosts with commas between them)",
		meaning: "The database: a file for one node, or PostgreSQL for any number of nodes.",
	},
	{
		key: "smtp", secret: always, read: readSMTP,
		allowed: "smtp://user:password@host:port?tls=starttls|none or smtps://user:password@host:port, several with commas between them; a comma, @, : or / within a name or password is written %2C, %40, %3A or %2F",
		meaning: "The servers for outgoing mail, tried in order. STARTTLS is demanded unless tls=none; it never falls back to clear text.",
	},
	{
		key: "mail_from", shown: "Sparekey <no-reply@HOST-OF-THE-URL>", read: readMailFrom,
		allowed: "one address, with or without a name, for example Example Ltd <no-reply@example.com>",
		meaning: "The sender of every message.",
	},
	{
		key: "key_file", shown: "sparekey.key beside the SQLite database; must be set on PostgreSQL", read: readKeyFile,
		allowed: "the path of a file",
		meaning: "The file with the master key, made by the first command that opens a database that knows none.",
	},
	{
		key: "trusted_proxies", read: readTrustedProxies,
		allowed: "networks or addresses with commas between them, for example 10.0.0.0/8,::1; not everybody (/0)",
		meaning: "The networks whose Forwarded and X-Forwarded-For headers are believed.",
	},
	{
		key: "bounce_listen", read: func(c *Config, text string) error { return readAddress(&c.BounceListen, text) },
		allowed: "HOST:PORT, for example :25",
		meaning: "The address of the SMTP listener that takes returned mail.",
	},
	{
		key: "bounce_domain", shown: "bounce. before the domain of SPAREKEY_MAIL_FROM", read: readBounceDomain,
		allowed: "a domain whose MX record leads to the listener for returned mail, for example bounce.example.com",
		meaning: "The domain that mail comes back to. Used with SPAREKEY_BOUNCE_LISTEN only.",
	},
	{
		key: "canary", shown: "5m where SPAREKEY_BOUNCE_LISTEN is set, else off", read: readCanary,
		allowed: "off, or a time from 1m to 24h",
		meaning: "How often the server walks through a reset of its own, whose mail must come back to SPAREKEY_BOUNCE_LISTEN; when it does not, an alarm is raised.",
	},
	{
		key: "mail_events", secret: always, read: readMailEvents,
		allowed: "postmark:TOKEN, sendgrid:PUBLIC_KEY, mailgun:SIGNING_KEY or ses:TOPIC_ARN, several with commas between them",
		meaning: "The mail providers that may post events, and how they prove who they are; a provider not named gets 404.",
	},
	{
		key: "limits", normal: "on", read: readLimits,
		allowed: "on or off",
		meaning: "Off lifts the limits on logging in and asking, for load tests only; refused unless the server listens on loopback.",
	},
	{
		key: "metrics_listen", read: func(c *Config, text string) error { return readAddress(&c.MetricsListen, text) },
		allowed: "HOST:PORT, for example 127.0.0.1:9090",
		meaning: "The address of a listener of its own for /metrics and /debug/pprof.",
	},
	{
		key: "log", normal: "info", read: readLogLevel,
		allowed: "debug, info, warn or error",
		meaning: "The least severe level that is logged.",
	},
	{
		key: "log_format", normal: "text", read: readLogFormat,
		allowed: "text or json",
		meaning: "The form of the log.",
	},
}

// parse reads every value, fills in what depends on others and checks the rules
// that span two settings.
func parse(given values) (Config, error) {
	var c Config
	for _, s := range settings {
		v, ok := given[s.key]
		if !ok {
			v = value{text: s.normal, where: variable(s.key)}
		}
		if v.text == "" {
			continue
		}
		if err := s.read(&c, v.text); err != nil {
			return Config{}, s.wrong(v, err)
		}
	}
	if err := c.complete(); err != nil {
		return Config{}, err
	}
	return c, c.agree()
}

// wrong is the sentence for a value that cannot be.
func (s setting) wrong(v value, why error) error {
	name := variable(s.key)
	said := fmt.Sprintf("%s is %q", name, v.text)
	if s.secret != nil && s.secret(v.text) {
		said = name + " cannot be read (its value is not shown, it may hold a password)"
	}
	if v.where != name {
		said += fmt.Sprintf(" (given as %s)", v.where)
	}
	if !errors.Is(why, errWrong) {
		said += ": " + why.Error()
	}
	return fault.InvalidField(name, fmt.Sprintf("%s. It must be %s.", said, s.allowed))
}

func always(string) bool { return true }

// urlSecret: a name and password before the host.
func urlSecret(text string) bool { return strings.Contains(text, "@") }

// databaseSecret lets through what can only be a path.
func databaseSecret(text string) bool {
	return !strings.HasPrefix(text, "sqlite:") && strings.ContainsAny(text, "@:=")
}

// complete fills in the defaults that are made from other settings.
func (c *Config) complete() error {
	if c.MailFrom.Address == "" {
		c.MailFrom.Name, c.MailFrom.Address = "Sparekey", "no-reply@"+mailDomain(c.URL.Hostname())
	}
	if c.BounceDomain == "" {
		_, c.BounceDomain, _ = strings.Cut(c.MailFrom.Address, "@")
		if !strings.HasPrefix(c.BounceDomain, "[") { // below an IP address there are no names
			c.BounceDomain = "bounce." + c.BounceDomain
		}
	}
	switch {
	case c.Canary == canaryOff:
		c.Canary = 0
	case c.Canary == 0 && c.BounceListen != "":
		c.Canary = 5 * time.Minute
	}
	if c.KeyFile != "" {
		return nil
	}
	if c.Database.Engine != "sqlite" {
		return fault.InvalidField(variable("key_file"),
			"SPAREKEY_KEY_FILE is not set. With PostgreSQL it must be set to the path of a file that every node has.")
	}
	c.KeyFile = filepath.Join(filepath.Dir(c.Database.DSN), "sparekey.key")
	return nil
}

// agree refuses settings that are right alone and wrong together.
func (c *Config) agree() error {
	if c.Canary > 0 && c.BounceListen == "" {
		return fault.InvalidField(variable("canary"), "SPAREKEY_CANARY is set, and SPAREKEY_BOUNCE_LISTEN is not: the canary's mail comes back there.")
	}
	if c.LimitsOff && !loopback(c.Listen) {
		return fault.InvalidField(variable("limits"), fmt.Sprintf(
			"SPAREKEY_LIMITS is \"off\". It must be on unless SPAREKEY_LISTEN is a loopback address; it is %q.", c.Listen))
	}
	listeners := []struct{ key, address string }{
		{"listen", c.Listen}, {"bounce_listen", c.BounceListen}, {"metrics_listen", c.MetricsListen},
	}
	taken := map[string]string{}
	for _, l := range listeners {
		if l.address == "" || strings.HasSuffix(l.address, ":0") {
			continue
		}
		if other := taken[l.address]; other != "" {
			return fault.InvalidField(variable(l.key), fmt.Sprintf(
				"%s is %q, which %s has already. It must be an address of its own.", variable(l.key), l.address, other))
		}
		taken[l.address] = variable(l.key)
	}
	return nil
}
