package world

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the address of the world's own name server.
const nameServer = "192.0.2.1"

// hosts are all names with an address. Each has the reverse name that points back.
var hosts = map[string]string{
	"ns.example":    nameServer,
	"world.example": "192.0.2.254", // whoever does not say by which address to leave

	"login.example":        "127.0.0.1", // the product's pages
	"bounce.login.example": "192.0.2.10",
	"relay.login.example":  "192.0.2.11",

	"mx.postfix.example":      "192.0.2.20",
	"small.postfix.example":   "192.0.2.21",
	"busy.postfix.example":    "192.0.2.22",
	"tls.postfix.example":     "192.0.2.23",
	"mx.dovecot.example":      "192.0.2.30",
	"tls.dovecot.example":     "192.0.2.31",
	"mx.exim.example":         "192.0.2.40",
	"tls.exim.example":        "192.0.2.41",
	"mx.opensmtpd.example":    "192.0.2.50",
	"tls.opensmtpd.example":   "192.0.2.51",
	"mx.courier.example":      "192.0.2.60",
	"tls.courier.example":     "192.0.2.61",
	"mx.sendmail.example":     "192.0.2.70",
	"tls.sendmail.example":    "192.0.2.71",
	"filter.example":          "192.0.2.80",
	"down.example":            "192.0.2.90", // nobody listens there
	"list.example":            "192.0.2.91", // the block list itself, which has no server
	"11.2.0.192.list.example": "127.0.0.2",  // and which lists the relay
}

// nameless is the relay's other address, which has no reverse name.
const nameless = "192.0.2.12"

// listedWhy is what the block list says about the relay.
const listedWhy = "Unsolicited mail was seen, see https://list.example/why"

// exchangers are the MX records that lead to a host of another name. "." is the
// null MX of RFC 7505.
var exchangers = map[string]string{
	"login.example":           "bounce.login.example",
	"new.example":             "bounce.login.example",
	"postfix.example":         "mx.postfix.example",
	"dovecot.example":         "mx.dovecot.example",
	"exim.example":            "mx.exim.example",
	"opensmtpd.example":       "mx.opensmtpd.example",
	"courier.example":         "mx.courier.example",
	"sendmail.example":        "mx.sendmail.example",
	"box.sendmail.example":    "mx.sendmail.example",
	"stray.postfix.example":   "mx.postfix.example",
	"stray.exim.example":      "mx.exim.example",
	"stray.opensmtpd.example": "mx.opensmtpd.example",
	"stray.courier.example":   "mx.courier.example",
	"stray.sendmail.example":  "mx.sendmail.example",
	"nomail.example":          ".",
}

// lame is a domain whose name server only fails.
const lame = "lame.example"

// answerNames answers until the socket is closed.
func answerNames(c net.PacketConn) error {
	buffer := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if answer, err := answerName(buffer[:n]); err == nil {
			_, _ = c.WriteTo(answer, from) // who asked asks again
		}
	}
}

func answerName(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	body, code := lookUp(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), q.Type)
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true, RCode: code},
		Questions: []dnsmessage.Question{q},
	}
	if body != nil {
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: body}}
	}
	return m.Pack()
}

// lookUp gives the one record of a name and type, nil if there is none.
func lookUp(name string, kind dnsmessage.Type) (dnsmessage.ResourceBody, dnsmessage.RCode) {
	if name == lame || strings.HasSuffix(name, "."+lame) {
		return nil, dnsmessage.RCodeServerFailure
	}
	address, isHost := hosts[name]
	exchanger, hasExchanger := exchangers[name]
	back, isReverse := reverse(name)
	switch {
	case isHost && kind == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()}, 0
	case hasExchanger && kind == dnsmessage.TypeMX:
		preference := uint16(10)
		if exchanger == "." {
			preference = 0
		}
		return &dnsmessage.MXResource{Pref: preference, MX: dnsmessage.MustNewName(strings.TrimSuffix(exchanger, ".") + ".")}, 0
	case isReverse && kind == dnsmessage.TypePTR:
		return &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(back + ".")}, 0
	case strings.HasSuffix(name, ".list.example") && isHost && kind == dnsmessage.TypeTXT:
		return &dnsmessage.TXTResource{TXT: []string{listedWhy}}, 0
	case isHost || hasExchanger || isReverse:
		return nil, 0
	default:
		return nil, dnsmessage.RCodeNameError
	}
}

// reverse gives the host of a name below in-addr.arpa.
func reverse(name string) (string, bool) {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa")
	if !ok {
		return "", false
	}
	parts := strings.Split(digits, ".")
	if len(parts) != 4 {
		return "", false
	}
	address := parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0]
	if address == "127.0.0.1" {
		return "localhost", true
	}
	for host, a := range hosts {
		if a == address {
			return host, true
		}
	}
	return "", false
}
