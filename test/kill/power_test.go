package kill

import (
	"bytes"
	"database/sql"
	be "encoding/binary"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// TestAPowerCutAfterTheMail: the disk lost what followed from an asking, and the mail
// has left. Its links work at once; the asking is worked on again, and a second copy
// of the mail has the Message-ID and the links of the first. What the disk loses is
// the end of the log; a server with PostgreSQL loses it the same way.
func TestAPowerCutAfterTheMail(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real program: left out with -short")
	}
	t.Parallel()
	w := newWorld(t, "sqlite")
	reached, release := make(chan []byte), make(chan struct{})
	w.inbox.SetFate(func(_, _ string, data []byte) error {
		reached <- bytes.Clone(data)
		<-release
		return nil
	})
	w.serve()
	w.ask()
	first := <-reached
	w.kill()
	w.inbox.SetFate(nil)
	close(release)
	w.until(1)

	w.forgetTheResolving()
	w.serve()
	var paths []string
	for _, page := range []string{"/reset-password/", "/not-me/"} {
		path := regexp.MustCompile(`/acme` + page + `[0-9A-Z]+`).FindString(plain(first))
		status, err := w.get(path)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, path)
		paths = append(paths, path)
	}
	require.Eventually(t, func() bool { return len(w.inbox.Mails()) == 2 }, patience, 10*time.Millisecond, "the mail comes again")
	require.Len(t, w.arrived(), 1, "with the same Message-ID")
	for _, path := range paths {
		require.Contains(t, plain(w.inbox.Mails()[1].Raw), path, "and the same links")
	}
}

// plain joins the lines that quoted-printable broke.
func plain(mail []byte) string {
	return regexp.MustCompile("=\r?\n").ReplaceAllString(string(mail), "")
}

// forgetTheResolving cuts the end off the log of the database, one transaction after
// another, until the asking is there and nothing that followed from it.
func (w *world) forgetTheResolving() {
	w.t.Helper()
	path := filepath.Join(w.folder, "sparekey.db")
	for range 20 {
		w.cutLog(path + "-wal")
		// A copy is looked at: who opens the database itself tidies its log up.
		folder := w.t.TempDir()
		for _, end := range []string{"", "-wal"} {
			text, err := os.ReadFile(path + end)
			require.NoError(w.t, err)
			require.NoError(w.t, os.WriteFile(filepath.Join(folder, "copy.db"+end), text, 0o600))
		}
		d, err := sql.Open("sqlite", filepath.Join(folder, "copy.db"))
		require.NoError(w.t, err)
		var asked, waiting, messages int
		err = d.QueryRow("SELECT count(*), (SELECT count(*) FROM requests WHERE resolved_at IS NULL), (SELECT count(*) FROM messages) FROM requests").
			Scan(&asked, &waiting, &messages)
		require.NoError(w.t, err)
		require.NoError(w.t, d.Close())
		require.Equal(w.t, 1, asked, "the asking was answered, and is not lost")
		if waiting == 1 {
			require.Zero(w.t, messages)
			return
		}
	}
	require.FailNow(w.t, "the resolving is not in the log")
}

// cutLog takes the last transaction off a write-ahead log (sqlite.org/fileformat2.html,
// section 4.1): 32 bytes, then frames of 24 bytes and a page; the second number of a
// frame that ends a transaction is not 0.
func (w *world) cutLog(path string) {
	w.t.Helper()
	log, err := os.ReadFile(path)
	require.NoError(w.t, err)
	frame := 24 + int(be.BigEndian.Uint32(log[8:]))
	var ends []int
	for at := 32; at+frame <= len(log) && bytes.Equal(log[at+8:at+16], log[16:24]); at += frame { // of this log, not of one before
		if be.BigEndian.Uint32(log[at+4:]) != 0 {
			ends = append(ends, at+frame)
		}
	}
	require.Greater(w.t, len(ends), 1)
	require.NoError(w.t, os.Truncate(path, int64(ends[len(ends)-2])))
	_ = os.Remove(strings.TrimSuffix(path, "-wal") + "-shm") // a power cut leaves none
}
