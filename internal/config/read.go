package config

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/sparekey/sparekey/internal/lazyregexp"
	"github.com/sparekey/sparekey/internal/mailserver"
)

// errWrong says that a text is not what its setting allows, and no more: the
// setting's own sentence tells the rest, and a cause might repeat a secret.
var errWrong = errors.New("not allowed")

func readListen(c *Config, text string) error { return readAddress(&c.Listen, text) }

func readAddress(to *string, text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || !validPort(port, 0) {
		return errWrong
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !hostName().MatchString(host) {
		return errWrong
	}
	*to = text
	return nil
}

var hostName = lazyregexp.New(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

func validPort(port string, least int) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && int(n) >= least && strconv.FormatUint(n, 10) == port
}

// loopback tells whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// readURL keeps scheme, host and port in the form browsers send as Origin
// (RFC 6454 section 6.2): lower case, ASCII, no default port.
func readURL(c *Config, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.HasSuffix(text, "#") || strings.Trim(u.Path, "/") != "" || u.Opaque != "" {
		return errWrong
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return errWrong
	}
	host, err := publicHost(u.Hostname())
	if err != nil {
		return errWrong
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || port != "" && !validPort(port, 1) {
		return errWrong
	}
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	c.URL = &url.URL{Scheme: u.Scheme, Host: host}
	return nil
}

func publicHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return ip.String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(strings.ToLower(host))
	if hostName().MatchString(host) {
		ascii, err = strings.ToLower(host), nil // as it is, with the underscores some networks have
	}
	if err != nil || !hostName().MatchString(ascii) {
		return "", errWrong
	}
	return ascii, nil
}

// mailDomain writes a host as the right side of an address; an IP address
// becomes a literal (RFC 5321 section 4.1.3).
func mailDomain(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return host
	case ip.Is4():
		return "[" + host + "]"
	default:
		return "[IPv6:" + host + "]"
	}
}

// postgresAddress checks the shape only: the driver knows the rest, and several
// hosts are more than url.Parse takes. Without a host the query names it (a socket).
var postgresAddress = lazyregexp.New(
	`^postgres(ql)?://([^@/\s]*@)?([^@/?\s]+(/[^/?\s]*)?(\?\S*)?|(/[^/?\s]*)?\?(\S*&)?host=\S+)$`)

func readDatabase(c *Config, text string) error {
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok {
		// A path that the driver would take for something else than a file.
		if path == "" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:") || strings.ContainsAny(path, "?#\x00") {
			return errWrong
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return errWrong
		}
		c.Database = Database{Engine: "sqlite", DSN: path}
		return nil
	}
	if !postgresAddress().MatchString(text) {
		return errWrong
	}
	c.Database = Database{Engine: "postgres", DSN: text}
	return nil
}

// readSMTP leaves the rules to the package that knows them; its errors name no secret.
func readSMTP(c *Config, text string) error {
	if _, err := mailserver.Parse(text); err != nil {
		return err
	}
	c.SMTP = text
	return nil
}

func readMailFrom(c *Config, text string) error {
	from, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(from.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errWrong
	}
	c.MailFrom = *from
	return nil
}

func readBounceDomain(c *Config, text string) error {
	domain, err := publicHost(text)
	if _, ip := netip.ParseAddr(text); err != nil || ip == nil || !strings.Contains(domain, ".") {
		return errWrong
	}
	c.BounceDomain = domain
	return nil
}

// canaryOff tells a choice from none.
const canaryOff = -1

func readCanary(c *Config, text string) error {
	if text == "off" {
		c.Canary = canaryOff
		return nil
	}
	every, err := time.ParseDuration(text)
	if err != nil || every < time.Minute || every > 24*time.Hour {
		return errWrong
	}
	c.Canary = every
	return nil
}

func readKeyFile(c *Config, text string) error {
	if info, err := os.Stat(text); err == nil && info.IsDir() {
		return errWrong
	}
	c.KeyFile = text
	return nil
}

func readTrustedProxies(c *Config, text string) error {
	for _, part := range strings.Split(text, ",") {
		network, err := readNetwork(strings.TrimSpace(part))
		if err != nil || network.Bits() == 0 {
			return errWrong
		}
		c.TrustedProxies = append(c.TrustedProxies, network)
	}
	return nil
}

// readNetwork takes one address for a network of one, and writes IPv4 in IPv6 as
// IPv4, since that is how addresses are compared.
func readNetwork(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errWrong
	}
	if network.Addr().Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

func readMailEvents(c *Config, text string) error {
	for _, part := range strings.Split(text, ",") {
		provider, proof, _ := strings.Cut(strings.TrimSpace(part), ":")
		if !validProof(provider, proof) {
			return errWrong
		}
		c.MailEvents = append(c.MailEvents, MailEvent{Provider: provider, Proof: proof})
	}
	return nil
}

var topicARN = lazyregexp.New(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)

func validProof(provider, proof string) bool {
	if proof == "" || strings.ContainsFunc(proof, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	switch provider {
	case "postmark", "mailgun":
		return true
	case "sendgrid":
		return isECDSAKey(proof)
	case "ses":
		return topicARN().MatchString(proof)
	default:
		return false
	}
}

// isECDSAKey: SendGrid shows the key as base64 of its SubjectPublicKeyInfo (RFC 5280 section 4.1).
func isECDSAKey(text string) bool {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return false
	}
	_, ok := key.(*ecdsa.PublicKey)
	return ok
}

func readLimits(c *Config, text string) error {
	switch text {
	case "on", "off":
		c.LimitsOff = text == "off"
		return nil
	default:
		return errWrong
	}
}

func readLogLevel(c *Config, text string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[text]
	if !ok {
		return errWrong
	}
	c.LogLevel = level
	return nil
}

func readLogFormat(c *Config, text string) error {
	if text != "text" && text != "json" {
		return errWrong
	}
	c.LogFormat = text
	return nil
}
