package recovery

import "strings"

// scannerWords stand in the names that link scanners and other programs give
// themselves. The guess decides nothing but the words on a timeline.
var scannerWords = []string{
	"bot", "crawl", "spider", "scan", "preview", "safelinks", "proofpoint", "mimecast", "barracuda", "urldefense",
	"symantec", "trendmicro", "fireeye", "sophos", "forcepoint", "cisco", "ironport", "zscaler", "fortinet", "messagelabs",
	"curl/", "wget", "python", "go-http-client", "java/", "okhttp", "libwww", "headless", "phantom", "slack", "whatsapp", "skypeuripreview",
}

func looksLikeScanner(agent string) bool {
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
