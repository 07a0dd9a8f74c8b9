// Package agent reads what browsers and other programs call themselves.
//
// What it says is a guess for people who read a timeline. It decides nothing.
package agent

import (
	"slices"
	"strings"
)

// Words says in words what a browser calls itself, for example "Firefox on Windows".
func Words(agent string) string {
	browser := firstOf(agent, [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser", "Samsung Internet"},
		{"Firefox", "Firefox"},
		{"FxiOS", "Firefox"},
		{"CriOS", "Chrome"},
		{"Chrome", "Chrome"},
		{"Safari", "Safari"},
	})
	system := firstOf(agent, [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	})
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	case agent == "":
		return "A program without a name"
	default:
		name, _, _ := strings.Cut(agent, " ")
		return strings.ToValidUTF8(name[:min(len(name), 40)], "")
	}
}

func firstOf(agent string, known [][2]string) string {
	for _, k := range known {
		if strings.Contains(agent, k[0]) {
			return k[1]
		}
	}
	return ""
}

// vendors name the makers of filters as they name themselves.
var vendors = [][2]string{
	{"barracuda", "Barracuda"},
	{"bitdefender", "Bitdefender"},
	{"proofpoint", "Proofpoint"},
	{"urldefense", "Proofpoint"},
	{"mimecast", "Mimecast"},
	{"cisco", "Cisco"},
	{"ironport", "Cisco"},
	{"tmes", "Trend Micro"},
	{"trendmicro", "Trend Micro"},
	{"sophos", "Sophos"},
	{"forcepoint", "Forcepoint"},
	{"zscaler", "Zscaler"},
	{"symantec", "Symantec"},
	{"messagelabs", "Symantec"},
	{"fireeye", "Trellix"},
	{"kaspersky", "Kaspersky"},
	{"safelinks", "Microsoft"},
	{"ms-office", "Microsoft Office"},
	{"microsoft office", "Microsoft Office"},
	{"googleimageproxy", "Google"},
	{"hornetsecurity", "Hornetsecurity"},
	{"avanan", "Check Point"},
	{"fortinet", "Fortinet"},
	{"cloudmark", "Cloudmark"},
	{"vipre", "VIPRE"},
}

// programs stand in the names of other programs that open links and pass for
// browsers.
var programs = []string{"bot", "crawl", "spider", "scan", "preview", "headless", "phantom", "java/", "python", "slack", "whatsapp"}

// Scanner tells whether a program that names itself so is probably a link
// scanner, not a person.
func Scanner(agent string) bool {
	if !strings.HasPrefix(agent, "Mozilla/") && !strings.HasPrefix(agent, "Opera/") {
		return true // every browser a person uses begins so
	}
	low := strings.ToLower(agent)
	return Vendor(agent) != "" || slices.ContainsFunc(programs, func(part string) bool { return strings.Contains(low, part) })
}

// Vendor tells who made the filter that names itself so, "" if nobody is named.
func Vendor(agent string) string { return firstOf(strings.ToLower(agent), vendors) }
