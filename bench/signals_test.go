package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func said(t *testing.T, kind, class string, hard bool) verdictOn {
	t.Helper()
	var v verdictOn
	text, err := json.Marshal(map[string]any{"kind": kind, "recipients": []map[string]any{{"address": "a@b.example", "class": class, "hard": hard}}})
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScoreCountsWhatIsRightAndWhatIsALie(t *testing.T) {
	t.Parallel()
	s := newScore()
	of := func(classes ...string) specimen { return specimen{set: "one", accepted: classes, hard: "soft"} }
	s.judge(of("mailbox-full"), said(t, "bounce", "mailbox-full", false))             // right
	s.judge(of("gave-up", "unreachable"), said(t, "bounce", "unreachable", false))    // right, too
	s.judge(of("refused-policy"), said(t, "bounce", "refused-reputation", false))     // family only
	s.judge(of("refused-policy"), said(t, "bounce", "no-such-mailbox", true))         // a lie, and hard
	s.judge(of("mailbox-disabled"), said(t, "bounce", "no-such-mailbox", false))      // a lie within the family
	s.judge(of("refused-policy"), said(t, "bounce", "unknown", false))                // wrong, no lie
	s.judge(of("auto-reply"), said(t, "auto-reply", "auto-reply", false))             // right
	s.judge(of("auto-reply"), said(t, "bounce", "mailbox-moved", false))              // believed
	s.judge(of("forged"), said(t, "bounce", "no-such-mailbox", false))                // not counted
	s.judge(specimen{set: "one", nth: 1, accepted: []string{"delayed"}}, verdictOn{}) // nothing said
	want := count{all: 9, family: 5, class: 3, lies: 2, strictLies: 3, hardly: 1, answers: 2, believed: 1}
	if got := *s.sets["all"]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.judge(specimen{set: "one", name: "rhost-apple-04", accepted: []string{"no-such-mailbox"}}, said(t, "bounce", "mailbox-disabled", false)) // disputed
	if a, b := s.sets["all"], s.sets[withoutDisputed]; a.all != 10 || a.strictLies != 4 || b.all != 9 || b.strictLies != 3 {
		t.Errorf("a disputed label counts in all, and there alone: %+v, %+v", a, b)
	}
	var out strings.Builder
	if err := s.print(&out); err != nil || !strings.Contains(out.String(), "missed") || !strings.Contains(out.String(), "(40.0 %)") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestCollectionsAreReadByTheirColumns(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"replies.tsv": "id\tstage\ttext\tclass\tpermanence\nr1\tafter-data\t550-a\\n550 b\tmailbox-full\tsoft\nr2\tlater\tx\tunknown\tunknown\n",
		"also.tsv":    "id\tacceptable_too\nr1\ttoo-large;gave-up\n",
		"index.tsv":   "file\tclass\tpermanence\trecipients\na.eml\tmailbox-full;delayed\tsoft;unknown\ta@b.example;c@d.example\nb.eml\tunknown\tsoft\te@f.example\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readSignals(folder)
	if err != nil || len(all) != 5 {
		t.Fatal(all, err)
	}
	if second := all[1]; second.address != "c@d.example" || second.accepted[0] != "delayed" || second.nth != 1 {
		t.Errorf("%+v", second)
	}
	if reply := all[3]; reply.text != "550-a\n550 b" || reply.stage != "data" || strings.Join(reply.accepted, " ") != "mailbox-full too-large gave-up" {
		t.Errorf("%+v", reply)
	}
	odd, even := halfOf(all, "odd"), halfOf(all, "even")
	if len(odd) != 3 || len(even) != 2 || even[0].name != "b.eml" || even[1].name != "r2" {
		t.Errorf("%+v\n%+v", odd, even)
	}
}
