package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// network gives where a request comes from: an IPv4 address, or the /64 of an
// IPv6 one, since that is what one household has.
func (d *Door) network(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	at := peer.Addr().Unmap()
	if d.trusted(at) {
		at = d.forwarded(r, at)
	}
	if at.Is4() {
		return at.String()
	}
	prefix, err := at.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

func (d *Door) trusted(a netip.Addr) bool {
	for _, p := range d.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded gives the client that the proxies name. Where both headers came, a
// stranger may have sent the one that the proxy does not write: they count if
// they name the same client, else the proxy's own address does.
func (d *Door) forwarded(r *http.Request, proxy netip.Addr) netip.Addr {
	usual, standard := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	switch {
	case len(standard) == 0:
		return d.walk(usual, proxy, plainHop)
	case len(usual) == 0:
		return d.walk(standard, proxy, forParameter)
	}
	client := d.walk(usual, proxy, plainHop)
	if client != d.walk(standard, proxy, forParameter) {
		return proxy
	}
	return client
}

// mostHops bounds the proxies between us and a client.
const mostHops = 32

// walk reads the addresses that proxies appended from the right and takes the
// first that is not a trusted proxy itself. What is left of it is hearsay and
// not even read; one that cannot be read on the way is nobody's, and the last
// good one counts.
func (d *Door) walk(headers []string, at netip.Addr, read func(string) string) netip.Addr {
	rest, more := strings.Join(headers, ","), true
	for i := 0; more && i < mostHops && d.trusted(at); i++ {
		hop := rest
		if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
			rest, hop = rest[:comma], rest[comma+1:]
		} else {
			more = false
		}
		next, err := hopAddress(strings.TrimSpace(read(hop)))
		if err != nil {
			break
		}
		at = next.Unmap()
	}
	return at
}

func plainHop(text string) string { return text }

// forParameter gives the value of for= in one element of Forwarded (RFC 7239
// section 4). A quoted string that holds separators is no address.
func forParameter(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
		}
	}
	return ""
}

func hopAddress(t string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(t); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(t, "["), "]"))
}
