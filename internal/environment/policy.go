package environment

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/fault"
)

// AdminLinks says whether an admin gets to see a reset link.
type AdminLinks string

// The three settings of admin_links.
const (
	ExistingToken AdminLinks = "existing-token" // only where a token is live
	Mint          AdminLinks = "mint"           // always
	Off           AdminLinks = "off"            // never
)

// Policy is what an environment decides for itself.
type Policy struct {
	LinkLife          time.Duration  // how long a reset link works: 10 minutes to 24 hours
	InvitationLife    time.Duration  // how long an invitation works: 1 to 14 days
	AdminLinks        AdminLinks     // whether an admin gets a reset link
	HelpDigest        bool           // Client Admins get a mail, once a day, that names who needs help
	SecondAdmin       bool           // acts on another Client Admin need a second one's agreement
	PasswordMinLength int            // characters, 8 to 15
	SignedInAfter     bool           // a reset signs the user in, where that is safe
	SessionIdle       time.Duration  // without use: 5 minutes to 30 days
	SessionLife       time.Duration  // from signing in: 1 hour to 90 days
	OwnNetworks       []netip.Prefix // many people behind one address: 20 times the limits
	HelpLine          string         // a sentence for people who are stuck
	HelpEmail         string         // the Reply-To of our mails
	Accent            string         // #rrggbb, or "" for our own
	SenderName        string         // of our mails, or "" for the server's
	SenderAddress     string         // the same; SPF and DKIM of its domain must know our servers
}

// Standard is the policy of a new environment.
func Standard() Policy {
	return Policy{
		LinkLife: 24 * time.Hour, InvitationLife: 7 * 24 * time.Hour, AdminLinks: ExistingToken,
		PasswordMinLength: 15, SessionIdle: 12 * time.Hour, SessionLife: 14 * 24 * time.Hour,
	}
}

// Setting describes one field of the policy to people and to the command line.
type Setting struct {
	Name    string
	Allowed string
	Meaning string
	Get     func(Policy) string
	Set     func(*Policy, string) error
}

// Settings lists the policy in the order it is shown.
var Settings = []Setting{
	{
		"link_life", "10m to 24h", "how long a password reset link works",
		func(p Policy) string { return short(p.LinkLife) },
		duration(func(p *Policy) *time.Duration { return &p.LinkLife }, 10*time.Minute, 24*time.Hour),
	},
	{
		"invitation_life", "24h to 336h", "how long an invitation works",
		func(p Policy) string { return short(p.InvitationLife) },
		duration(func(p *Policy) *time.Duration { return &p.InvitationLife }, 24*time.Hour, 14*24*time.Hour),
	},
	{
		"admin_links", "existing-token, mint or off", "whether Reset Password shows an admin a link",
		func(p Policy) string { return string(p.AdminLinks) },
		func(p *Policy, v string) error { return oneOf(v, &p.AdminLinks, ExistingToken, Mint, Off) },
	},
	either(
		"second_admin", "on or off", "whether resetting another Client Admin, or changing their address or role, needs a second one's agreement; while it is on, only an operator adds a Client Admin or switches it off",
		"on", "off", func(p *Policy) *bool { return &p.SecondAdmin },
	),
	either(
		"help_digest", "daily or off", "whether Client Admins get a mail, once a day, that names those who need help signing in",
		"daily", "off", func(p *Policy) *bool { return &p.HelpDigest },
	),
	{
		"password_min_length", "8 to 15", "the fewest characters of a password",
		func(p Policy) string { return strconv.Itoa(p.PasswordMinLength) },
		func(p *Policy, v string) (err error) {
			if p.PasswordMinLength, err = strconv.Atoi(v); err != nil || p.PasswordMinLength < 8 || p.PasswordMinLength > 15 {
				return errRange
			}
			return nil
		},
	},
	either(
		"after_reset", "login or signed-in", "where a user is after setting a new password",
		"signed-in", "login", func(p *Policy) *bool { return &p.SignedInAfter },
	),
	{
		"session_idle", "5m to 720h", "how long a session lives without being used",
		func(p Policy) string { return short(p.SessionIdle) },
		duration(func(p *Policy) *time.Duration { return &p.SessionIdle }, 5*time.Minute, 30*24*time.Hour),
	},
	{
		"session_life", "1h to 2160h", "how long a session lives at most",
		func(p Policy) string { return short(p.SessionLife) },
		duration(func(p *Policy) *time.Duration { return &p.SessionLife }, time.Hour, 90*24*time.Hour),
	},
	{
		"own_networks", "networks such as 192.0.2.0/24, comma-separated, or nothing", "your own networks, where many people share one address",
		func(p Policy) string {
			var texts []string
			for _, n := range p.OwnNetworks {
				texts = append(texts, n.String())
			}
			return strings.Join(texts, ",")
		},
		setNetworks,
	},
	{
		"help_line", "one line of up to 200 characters", "a sentence for people who are stuck, for example whom to call",
		func(p Policy) string { return p.HelpLine },
		func(p *Policy, v string) error { p.HelpLine = v; return text(v, 200) },
	},
	{
		"help_email", "an e-mail address, or nothing", "where answers to our mails go",
		func(p Policy) string { return p.HelpEmail },
		setHelpEmail,
	},
	{
		"accent", "a colour such as #0b6e5a that white text can be read on, or nothing", "the colour of buttons and links",
		func(p Policy) string { return p.Accent },
		func(p *Policy, v string) error { p.Accent = strings.ToLower(v); return readable(p.Accent) },
	},
	{
		"sender_name", "one line of up to 60 characters without < > \" @, or nothing", "the name that our mails come from",
		func(p Policy) string { return p.SenderName },
		setSenderName,
	},
	{
		"sender_address", "an e-mail address in plain letters, or nothing", "the address that our mails come from; only an operator changes it, because its domain must let our mail servers send (SPF) and sign (sparekey dkim create)",
		func(p Policy) string { return p.SenderAddress },
		setSenderAddress,
	},
}

// OperatorOnly tells whether only an operator may change this setting.
func (s Setting) OperatorOnly() bool { return s.Name == "sender_address" }

var errRange = fmt.Errorf("out of range")

// With gives the policy with one setting changed, or a fault that says what is allowed.
func (p Policy) With(name, value string) (Policy, error) {
	for _, s := range Settings {
		if s.Name != name {
			continue
		}
		if err := s.Set(&p, strings.TrimSpace(value)); err != nil {
			return p, fault.InvalidField(name, fmt.Sprintf("%s cannot be %q; allowed: %s.", name, value, s.Allowed))
		}
		return p, nil
	}
	return p, fault.InvalidField(name, fmt.Sprintf("There is no setting %q.", name))
}

// Check tells whether every setting is allowed.
func (p Policy) Check() error {
	for _, s := range Settings {
		if _, err := p.With(s.Name, s.Get(p)); err != nil {
			return err
		}
	}
	return nil
}

// text stores only what differs from the standard, so that a better standard
// reaches those who never chose.
func (p Policy) text() string {
	chosen := map[string]string{}
	standard := Standard()
	for _, s := range Settings {
		if v := s.Get(p); v != s.Get(standard) {
			chosen[s.Name] = v
		}
	}
	out, _ := json.Marshal(chosen) // a map of strings always encodes
	return string(out)
}

func readPolicy(stored string) (Policy, error) {
	p := Standard()
	if stored == "{}" {
		return p, nil
	}
	chosen := map[string]string{}
	if err := json.Unmarshal([]byte(stored), &chosen); err != nil {
		return p, fmt.Errorf("read policy: %w", err)
	}
	for _, s := range Settings {
		if v, ok := chosen[s.Name]; ok {
			if err := s.Set(&p, v); err != nil {
				return p, fmt.Errorf("read policy: %s: %w", s.Name, err)
			}
		}
	}
	return p, nil
}

// either is a setting of two words: yes stands for true, no for false.
func either(name, allowed, meaning, yes, no string, field func(*Policy) *bool) Setting {
	get := func(p Policy) string {
		if *field(&p) {
			return yes
		}
		return no
	}
	set := func(p *Policy, v string) error {
		if v != yes && v != no {
			return errRange
		}
		*field(p) = v == yes
		return nil
	}
	return Setting{name, allowed, meaning, get, set}
}

// short writes a duration without parts that are zero: 24h, 1h30m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func duration(field func(*Policy) *time.Duration, least, most time.Duration) func(*Policy, string) error {
	return func(p *Policy, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < least || d > most {
			return errRange
		}
		*field(p) = d
		return nil
	}
}

func oneOf[T ~string](v string, field *T, allowed ...T) error {
	for _, a := range allowed {
		if v == string(a) {
			*field = a
			return nil
		}
	}
	return errRange
}

// ownNetworkTimes is how many times the usual limits one's own network has.
const ownNetworkTimes = 20

// Times gives how many times the usual limits hold for a network, written as an
// address or a prefix: many people may share an environment's own.
func (p Policy) Times(network string) int {
	at, err := netip.ParseAddr(network)
	if prefix, notPrefix := netip.ParsePrefix(network); notPrefix == nil {
		at, err = prefix.Addr(), nil
	}
	if err != nil {
		return 1
	}
	for _, own := range p.OwnNetworks {
		if own.Contains(at) {
			return ownNetworkTimes
		}
	}
	return 1
}

func setNetworks(p *Policy, v string) error {
	p.OwnNetworks = nil
	for one := range strings.SplitSeq(v, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		n, err := netip.ParsePrefix(one)
		if err != nil || len(p.OwnNetworks) == 50 {
			return errRange
		}
		p.OwnNetworks = append(p.OwnNetworks, n.Masked())
	}
	return nil
}

// setHelpEmail takes only what every mail of the environment can carry.
func setHelpEmail(p *Policy, v string) error {
	p.HelpEmail = ""
	if v == "" {
		return nil
	}
	a, err := address.Parse(v)
	if err != nil {
		return errRange
	}
	p.HelpEmail = a.Mail
	return nil
}

// setSenderName takes no name that reads as an address: it would hide the true one.
func setSenderName(p *Policy, v string) error {
	p.SenderName = v
	if strings.ContainsAny(v, `<>"@`) {
		return errRange
	}
	return text(v, 60)
}

// setSenderAddress takes only what every mail server can carry.
func setSenderAddress(p *Policy, v string) error {
	p.SenderAddress = ""
	if v == "" {
		return nil
	}
	a, err := address.Parse(v)
	if err != nil || strings.ContainsFunc(a.Mail, func(r rune) bool { return r >= 0x80 }) {
		return errRange
	}
	p.SenderAddress = a.Mail
	return nil
}

// text allows one line of at most so many characters that can be seen: a mark of
// direction would turn what stands behind it around.
func text(v string, most int) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' || r == '\ufffd' }
	if utf8.RuneCountInString(v) > most || strings.ContainsFunc(v, unprintable) {
		return errRange
	}
	return nil
}

// readable allows no accent, or one that white words can be read on.
func readable(accent string) error {
	if accent == "" {
		return nil
	}
	_, err := ShadesOf(accent)
	return err
}
