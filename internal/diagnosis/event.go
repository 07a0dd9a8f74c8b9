package diagnosis

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/folding"
)

// event is a provider's event taken apart: its types are facts, what it quotes
// of servers are words.
type event struct {
	facts  []string
	words  string
	code   int
	status string
}

// What the keys of events hold, as providers name them; what stands under others
// (subjects, tags, addresses) was not said by a mail system.
var (
	typeKeys = keys("event eventType notificationType RecordType type bounceType bounceSubType complaintSubType delayType reason severity state")
	wordKeys = keys("response reason details description message diagnosticCode smtpResponse error error_related_to comment")
)

func keys(names string) map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		all[strings.ToLower(name)] = true
	}
	return all
}

// depth bounds how deep an event is read.
const depth = 12

// readEvent reads the JSON of a provider's event; false if it is none.
func readEvent(text string) (event, bool) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return event{}, false
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return event{}, false
	}
	var e event
	e.walk("", v, 0)
	return e, true
}

func (e *event) walk(key string, v any, level int) {
	if level > depth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if strings.EqualFold(k, "description") && byExamples(v) {
				continue
			}
			e.walk(strings.ToLower(k), v[k], level+1)
		}
	case []any:
		for _, item := range v {
			e.walk(key, item, level+1)
		}
	case float64:
		if key == "code" && v >= 200 && v < 700 {
			e.code = int(v)
		}
	case string:
		e.text(key, v)
	}
}

// byExamples: Postmark's Description explains the type by causes that are not the
// one at hand; only of a hard bounce without details it is all there is.
func byExamples(object map[string]any) bool {
	_, detailed := object["Details"]
	return object["RecordType"] != nil && (detailed || object["Type"] != "HardBounce")
}

func (e *event) text(key, v string) {
	switch {
	case key == "status" && enhancedIn().MatchString(v):
		e.status = v
	case typeKeys[key] && !strings.Contains(v, " "):
		e.facts = append(e.facts, folding.Letters(v))
	case wordKeys[key]:
		e.words += v + "\n"
	}
}
