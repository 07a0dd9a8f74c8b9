// Package mailserver reads which servers take our mail, as they are written in the
// configuration. It stands apart from relay, which talks to them, so that whoever only
// reads the configuration needs nothing of that.
package mailserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Mode says how a connection is secured.
type Mode string

// The modes.
const (
	StartTLS Mode = "starttls" // clear text at first, then TLS or nothing (RFC 3207)
	Implicit Mode = "implicit" // TLS from the first byte (RFC 8314)
	None     Mode = "none"     // clear text
)

// Server is one SMTP server for outgoing mail.
type Server struct {
	Host           string // a name in ASCII, or an IP address
	Port           int
	TLS            Mode // "" is StartTLS
	User, Password string
}

// String gives the server without its user and password.
func (s Server) String() string {
	switch s.TLS {
	case Implicit:
		return "smtps://" + s.Address()
	case None:
		return "smtp://" + s.Address() + "?tls=none"
	default:
		return "smtp://" + s.Address()
	}
}

// GoString keeps the password out of %#v.
func (s Server) GoString() string { return s.String() }

// Address is host and port.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Parse reads servers in the form of SPAREKEY_SMTP: comma-separated,
//
//	smtp://user:password@host:port?tls=starttls|none
//	smtps://user:password@host:port
//
// Ports default to 587 and 465, or 25 with tls=none. Special characters in a
// user or password are percent-encoded. An empty text gives none. The error
// says which server is wrong and why, and never repeats what may be a password.
func Parse(s string) ([]Server, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var servers []Server
	for i, text := range strings.Split(s, ",") {
		server, err := parseServer(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("mail server %d: %w", i+1, err)
		}
		servers = append(servers, server)
	}
	return servers, nil
}

func parseServer(text string) (Server, error) {
	if text == "" {
		return Server{}, errors.New("it is empty; is there a comma too many?")
	}
	u, err := url.Parse(text)
	if err != nil {
		return Server{}, errors.New("it is not an address; write special characters of a password as %XX, for example %40 for @ and %2C for a comma")
	}
	var server Server
	switch u.Scheme {
	case "smtp":
		server.TLS = StartTLS
	case "smtps":
		server.TLS = Implicit
	default:
		return Server{}, errors.New("it must begin with smtp:// or smtps://")
	}
	if u.Opaque != "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return Server{}, errors.New("nothing may follow the port but ?tls=")
	}
	if err := server.readQuery(u); err != nil {
		return Server{}, err
	}
	if err := server.readHost(u); err != nil {
		return Server{}, err
	}
	return server, server.readUser(u)
}

func (s *Server) readQuery(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("what follows the ? cannot be read")
	}
	for name, values := range query {
		switch {
		case name != "tls" || len(values) > 1:
			return errors.New("nothing may follow the port but one ?tls=")
		case s.TLS == Implicit:
			return errors.New("smtps:// is always TLS; leave ?tls= out")
		case values[0] == "none":
			s.TLS = None
		case values[0] != "starttls":
			return errors.New("tls must be starttls or none")
		}
	}
	return nil
}

func (s *Server) readHost(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return errors.New("it names no host")
	}
	if net.ParseIP(host) == nil {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
		if err != nil || !IsHostName(ascii) {
			return errors.New("its host name is malformed")
		}
		host = ascii
	}
	s.Host = host
	switch port := u.Port(); {
	case port != "":
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return errors.New("its port is not between 1 and 65535")
		}
		s.Port = int(n)
	case s.TLS == Implicit:
		s.Port = 465
	case s.TLS == None:
		s.Port = 25
	default:
		s.Port = 587
	}
	return nil
}

func (s *Server) readUser(u *url.URL) error {
	if u.User == nil {
		return nil
	}
	s.User = u.User.Username()
	s.Password, _ = u.User.Password()
	switch {
	case s.User == "" || s.Password == "":
		return errors.New("it has a user without a password, or a password without a user")
	case s.TLS == None:
		return errors.New("with tls=none the password would travel in clear text; leave out tls=none, or the user and password")
	case strings.ContainsAny(s.User+s.Password, "\x00\r\n"):
		return errors.New("its user or password holds a control character")
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// IsHostName tells whether this is a name in ASCII (RFC 1123 section 2.1).
func IsHostName(name string) bool { return hostName.MatchString(name) }
