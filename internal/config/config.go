// Package config reads the server's settings: flags, then environment
// variables, then sparekey.yaml, then the defaults.
//
// A wrong value, an unknown variable or an unknown key stops the start with one
// sentence that names it and says what is allowed; nothing is guessed. What may
// hold a password is never repeated, neither in an error nor when a Config is
// printed or logged. The package reads no file but the configuration file and
// keeps no global state: the result is passed on in parts.
package config

import (
	"fmt"
	"log/slog"
	"net/mail"
	"net/netip"
	"net/url"
	"time"
)

// Config is the server's configuration, checked and complete.
type Config struct {
	// Listen is the address to serve on, HOST:PORT. An empty host means every
	// interface; port 0 takes a free one.
	Listen string
	// URL is the public address: scheme, host and port, nothing else. Every link
	// is built from it, never from a request header.
	URL *url.URL
	// Database says which database to open.
	Database Database
	// SMTP holds the servers for outgoing mail as they were written, comma-separated
	// smtp:// or smtps:// addresses in the order they are tried; empty means that no
	// mail leaves. It may hold passwords.
	SMTP string
	// MailFrom is the sender of every message.
	MailFrom mail.Address
	// KeyFile is the path of the file with the master key.
	KeyFile string
	// TrustedProxies are the networks whose Forwarded and X-Forwarded-For headers are believed.
	TrustedProxies []netip.Prefix
	// BounceListen is the address, HOST:PORT, of the SMTP listener that takes returned
	// mail; empty means none.
	BounceListen string
	// BounceDomain is the domain of the addresses that mail comes back to, where
	// BounceListen is set.
	BounceDomain string
	// Canary is how often the server walks through a reset of its own; 0 means never.
	Canary time.Duration
	// MailEvents are the mail providers that may post events, and how they prove who they are.
	MailEvents []MailEvent
	// LimitsOff lifts the limits on logging in and asking, for load tests on the
	// loopback interface only. The tries of a code stay limited.
	LimitsOff bool
	// MetricsListen is the address, HOST:PORT, of the listener for /metrics and
	// /debug/pprof; empty means none. It is never the public one.
	MetricsListen string
	// LogLevel is the least severe level that is logged.
	LogLevel slog.Level
	// LogFormat is "text" or "json".
	LogFormat string
}

// Database says which database to open.
type Database struct {
	// Engine is "sqlite" or "postgres".
	Engine string
	// DSN is the path of the file for SQLite and the postgres:// address, which may
	// hold a password, for PostgreSQL.
	DSN string
}

// MailEvent is one way for a mail provider to prove that an event is its own.
type MailEvent struct {
	// Provider is "postmark", "sendgrid", "mailgun" or "ses".
	Provider string
	// Proof is what the provider's requests are checked with: Postmark's token,
	// SendGrid's public key (base64 of its DER form), Mailgun's signing key, or the
	// ARN of the Amazon SNS topic.
	Proof string
}

// hidden stands where something was left out because it may hold a secret.
const hidden = "(not shown)"

// Format prints a configuration without its secrets, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "listen=%s url=%s database=%s mail_from=%s key_file=%s limits_off=%t secrets=%s",
		c.Listen, c.URL, c.Database.Engine, c.MailFrom.String(), c.KeyFile, c.LimitsOff, hidden)
}

// LogValue keeps the secrets out of the log.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Format prints the database without its address, whatever the verb.
func (d Database) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%s %s", d.Engine, hidden) }

// LogValue keeps the address out of the log.
func (d Database) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(d)) }

// Format prints the provider without its proof, whatever the verb.
func (e MailEvent) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%s %s", e.Provider, hidden) }

// LogValue keeps the proof out of the log.
func (e MailEvent) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(e)) }
