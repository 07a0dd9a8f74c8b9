// Package agent reads what browsers and other programs call themselves.
//
// What it says is a guess for people who read a timeline. It decides nothing.
package agent

import "strings"

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

// scannerWords stand in the names that link scanners and other programs give
// themselves. The guess decides nothing but the words on a timeline.
var scannerWords = []string{
	"bot", "crawl", "spider", "scan", "preview", "safelinks", "proofpoint", "mimecast", "barracuda", "urldefense",
	"symantec", "trendmicro", "fireeye", "sophos", "forcepoint", "cisco", "ironport", "zscaler", "fortinet", "messagelabs",
	"curl/", "wget", "python", "go-http-client", "java/", "okhttp", "libwww", "headless", "phantom", "slack", "whatsapp", "skypeuripreview",
}

// Scanner tells whether a program that names itself so is probably a link
// scanner, not a person.
func Scanner(agent string) bool {
	if !strings.HasPrefix(agent, "Mozilla/") && !strings.HasPrefix(agent, "Opera/") {
		return true // every browser a person uses begins so
	}
	agent = strings.ToLower(agent)
	for _, w := range scannerWords {
		if strings.Contains(agent, w) {
			return true
		}
	}
	return false
}
