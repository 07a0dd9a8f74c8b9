//go:build linux

package mta

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed fates.tsv
var fatesTable string

// fate is a line of fates.tsv.
type fate struct {
	address  string
	asks     int
	arrives  bool
	first    string   // "" if nothing has to be seen on the way
	finally  []string // classes, the right one first
	observed          // what came of it
}

// observed is what an administrator could read, again and again.
type observed struct {
	classes []string // in the order they were seen, each once in a row
	last    shown
	settled bool
}

// see notes what stands beside the user now.
func (f *fate) see(s shown) {
	f.last = s
	class := s.class()
	if n := len(f.classes); class != "" && (n == 0 || f.classes[n-1] != class) {
		f.classes = append(f.classes, class)
	}
}

// right tells whether what is read now is what is right in the end.
func (f *fate) right() bool {
	return slices.Contains(f.finally, f.last.class()) && (f.first == "" || slices.Contains(f.classes, f.first))
}

// hard are the classes after which nothing is mailed to an address any more.
var hard = []string{"no-such-mailbox", "mailbox-disabled", "mailbox-moved", "no-such-domain", "domain-takes-no-mail"}

// families of the classes that fates.tsv names, as administrators read them.
var families = map[string]string{
	"no-such-mailbox": "address", "mailbox-disabled": "address", "mailbox-moved": "address",
	"no-such-domain": "address", "domain-takes-no-mail": "address",
	"mailbox-full": "mailbox", "refused-by-recipient": "mailbox",
	"refused-reputation": "sender", "refused-authentication": "sender", "refused-policy": "sender", "relay-denied": "sender",
	"refused-content": "content", "too-large": "content",
	"unreachable": "temporary", "tls-failed": "temporary", "gave-up": "temporary",
	"unknown": "unknown", "delayed": "none", "not-opened": "none", "accepted": "none", "delivered": "none", "auto-reply": "none",
}

func readFates(t *testing.T) []*fate {
	t.Helper()
	var fates []*fate
	for line := range strings.Lines(fatesTable) {
		cells := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || cells[0] == "when" || cells[0] == "whole" && !*whole {
			continue
		}
		require.Len(t, cells, 6, line)
		asks, err := strconv.Atoi(cells[2])
		require.NoError(t, err, line)
		f := &fate{address: cells[1], asks: asks, arrives: cells[3] == "yes", finally: strings.Fields(cells[5])}
		if cells[4] != "-" {
			f.first = cells[4]
		}
		for _, class := range f.finally {
			require.Contains(t, families, class, line)
		}
		fates = append(fates, f)
	}
	require.NotEmpty(t, fates)
	return fates
}
