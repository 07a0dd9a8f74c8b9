package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A specimen is one thing that a mail server said, with what it means by the
// judgement of those who collected it.
type specimen struct {
	set      string
	name     string
	file     string // a returned mail, or "" for an answer
	nth      int    // the recipient, from 0
	address  string // "" where the collection names none
	text     string
	stage    string
	accepted []string // the class, and others that a careful reader would accept
	hard     string   // "hard", "soft", "unknown"
}

// verdictOn is what the product says of it.
type verdictOn struct {
	Kind       string `json:"kind"`
	Recipients []struct {
		Address string `json:"address"`
		Class   string `json:"class"`
		Family  string `json:"family"`
		Hard    bool   `json:"hard"`
	} `json:"recipients"`
}

// families of the classes. They are a promise of the product, written here anew so
// that a mistake there is seen.
var families = map[string]string{
	"no-such-mailbox": "address", "mailbox-disabled": "address", "mailbox-moved": "address", "no-such-domain": "address", "domain-takes-no-mail": "address",
	"mailbox-full": "mailbox", "refused-by-recipient": "mailbox", "suppressed": "mailbox", "complaint": "mailbox",
	"refused-reputation": "sender", "refused-authentication": "sender", "refused-policy": "sender", "relay-denied": "sender", "sender-refused": "sender",
	"refused-content": "content", "too-large": "content",
	"greylisted": "temporary", "rate-limited": "temporary", "receiver-trouble": "temporary", "unreachable": "temporary", "tls-failed": "temporary", "gave-up": "temporary",
	"own-setup": "ours", "delayed": "none", "delivered": "none", "auto-reply": "none", "unknown": "unknown", "forged": "none",
}

// measureSignals replays collections of signals and prints how often the product
// is right.
func measureSignals(folders, binary, half string, out io.Writer) error {
	temporary, err := os.MkdirTemp("", "sparekey-signals-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	if binary == "" {
		if binary, _, err = build(temporary); err != nil {
			return err
		}
	}
	var all []specimen
	for folder := range strings.SplitSeq(folders, ",") {
		found, err := readSignals(folder)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return fmt.Errorf("-signals: no index.tsv or replies.tsv under %s", folders)
	}
	all = halfOf(all, half)
	s := newScore()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cache := map[string]verdictOn{}
	for _, one := range all {
		v, known := cache[one.file]
		if !known || one.file == "" {
			if v, err = diagnose(ctx, binary, one); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			cache[one.file] = v
		}
		s.judge(one, v)
	}
	return s.print(out)
}

// halfOf keeps every second mail or answer: rules are made on one half and judged
// on the other.
func halfOf(all []specimen, half string) []specimen {
	if half == "" {
		return all
	}
	count := map[string]int{}
	place := map[string]int{}
	return slices.DeleteFunc(slices.Clone(all), func(s specimen) bool {
		key := s.set + "\x00" + s.name
		if s.file != "" {
			key = s.set + "\x00" + s.file
		}
		if _, seen := place[key]; !seen {
			place[key] = count[s.set]
			count[s.set]++
		}
		odd := place[key]%2 == 0 // the first, the third
		return odd != (half == "odd")
	})
}

// diagnose lets the product judge one specimen, by its promised command.
func diagnose(ctx context.Context, binary string, s specimen) (verdictOn, error) {
	args := []string{"diagnose", "--json"}
	if s.file != "" {
		args = append(args, "--", s.file)
	} else {
		args = append(args, "--reply="+s.text)
		if s.stage != "" {
			args = append(args, "--stage="+s.stage)
		}
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var v verdictOn
	if err != nil {
		return v, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return v, json.Unmarshal(bytes.TrimSpace(out), &v)
}

// readSignals finds the tables in a folder and below.
func readSignals(folder string) ([]specimen, error) {
	var all []specimen
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var read func(path, set string) ([]specimen, error)
		switch entry.Name() {
		case "index.tsv":
			read = readIndex
		case "replies.tsv":
			read = readReplies
		default:
			return nil
		}
		found, err := read(path, strings.TrimSuffix(path, ".tsv"))
		all = append(all, found...)
		return err
	})
	return all, err
}

// table reads a file of tab-separated columns under their names.
func table(path string) ([]map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	head := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range strings.Split(line, "\t") {
			if i < len(head) {
				row[head[i]] = cell
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// alsoAccepted reads the table beside, of further classes, if there is one.
func alsoAccepted(path string) (map[string][]string, error) {
	also := map[string][]string{}
	rows, err := table(filepath.Join(filepath.Dir(path), "also.tsv"))
	if errors.Is(err, os.ErrNotExist) {
		return also, nil
	}
	for _, row := range rows {
		also[cmp.Or(row["id"], row["file"])] = list(row["acceptable_too"])
	}
	return also, err
}

func list(cell string) []string {
	return slices.DeleteFunc(strings.Split(cell, ";"), func(s string) bool { return s == "" })
}

func tableAndAlso(path string) ([]map[string]string, map[string][]string, error) {
	rows, err := table(path)
	if err != nil {
		return nil, nil, err
	}
	also, err := alsoAccepted(path)
	return rows, also, err
}

func readIndex(path, set string) ([]specimen, error) {
	rows, also, err := tableAndAlso(path)
	if err != nil {
		return nil, err
	}
	var all []specimen
	for _, row := range rows {
		classes, hard, addresses := list(row["class"]), list(cmp.Or(row["permanence"], row["hard"])), list(row["recipients"])
		for i, class := range classes {
			s := specimen{
				set: set, name: row["file"], file: filepath.Join(filepath.Dir(path), row["file"]), nth: i,
				accepted: append([]string{class}, also[row["file"]]...),
			}
			s.accepted = append(s.accepted, list(row["also"])...)
			if len(classes) == 1 && row["n"] != "" {
				_, _ = fmt.Sscan(row["n"], &s.nth)
				s.nth--
			}
			if i < len(hard) {
				s.hard = hard[i]
			}
			if len(addresses) > 1 && i < len(addresses) {
				s.address = addresses[i]
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// stages are the steps as the collections call them and as the command does.
var stages = map[string]string{"connect": "connect", "hello": "hello", "ehlo": "hello", "tls": "tls", "starttls": "tls", "auth": "auth", "mail": "mail", "rcpt": "rcpt", "data": "data", "after-data": "data"}

func readReplies(path, set string) ([]specimen, error) {
	rows, also, err := tableAndAlso(path)
	if err != nil {
		return nil, err
	}
	var all []specimen
	for _, row := range rows {
		all = append(all, specimen{
			set: set, name: row["id"], text: strings.ReplaceAll(row["text"], `\n`, "\n"), stage: stages[row["stage"]],
			accepted: append([]string{row["class"]}, also[row["id"]]...), hard: row["permanence"],
		})
	}
	return all, nil
}
