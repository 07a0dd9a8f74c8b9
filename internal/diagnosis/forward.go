package diagnosis

import "strings"

// PassedOn tells whether a mailbox that a report names is another than the one we
// wrote to: the mail was passed on. Servers rewrite within their own domain, and
// what is no address names nobody: then the return path says whose it is. Domains
// are in ASCII.
func PassedOn(recipient, ours string) bool {
	local, domain, ok := cutAddress(recipient)
	ourLocal, home, known := cutAddress(ours)
	if !ok || !known {
		return false
	}
	return local != ourLocal || !within(domain, home) && !within(home, domain)
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
