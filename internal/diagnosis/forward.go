package diagnosis

import "strings"

// elsewhere tells whether a mailbox that a report names is another than the
// person's: the mail was passed on. Servers rewrite within their own domain, and
// what is no address names nobody.
func elsewhere(recipient, address string) bool {
	local, domain, ok := cutAddress(recipient)
	ours, home, known := cutAddress(address)
	if !ok || !known {
		return false
	}
	return local != ours || !within(domain, home) && !within(home, domain)
}

func cutAddress(mail string) (local, domain string, ok bool) {
	mail = strings.ToLower(strings.Trim(mail, "<> "))
	at := strings.LastIndexByte(mail, '@')
	if at <= 0 || at == len(mail)-1 || strings.ContainsAny(mail, " \t\r\n") {
		return "", "", false
	}
	return mail[:at], mail[at+1:], true
}

// within tells whether a domain is another one or lies below it.
func within(domain, other string) bool {
	return domain == other || strings.HasSuffix(domain, "."+other)
}
