package porting

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"io"
	"os"

	"github.com/sparekey/sparekey/internal/user"
)

// spool keeps the judged users of a file of any size on the disk, so that the
// transaction that writes them has nothing else to do.
type spool struct {
	file *os.File
	out  *bufio.Writer
	enc  *gob.Encoder
	rows int
}

// ready is a user made ready to be written, with the line it came from.
type ready struct {
	Line int
	Row  user.Row
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "sparekey-import-*") // mode 0600: it may hold password hashes
	if err != nil {
		return nil, fmt.Errorf("keep the users to import: %w", err)
	}
	out := bufio.NewWriter(f)
	return &spool{file: f, out: out, enc: gob.NewEncoder(out)}, nil
}

func (s *spool) remove() { _, _ = s.file.Close(), os.Remove(s.file.Name()) } // nothing more to be done about it

func (s *spool) add(l line) error {
	row, err := user.Prepare(l.user)
	if err == nil {
		err = s.enc.Encode(ready{Line: l.number, Row: row})
	}
	if err != nil {
		return fmt.Errorf("keep the users to import: %w", err)
	}
	s.rows++
	return nil
}

// together is how many users one statement writes. SQLite looks up numbered
// arguments one by one, so many more are slower again.
const together = 25

// each hands on what was added, in order, and may be called again.
func (s *spool) each(handle func([]ready) error) error {
	err := s.out.Flush()
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("read the users to import: %w", err)
	}
	in := gob.NewDecoder(bufio.NewReader(s.file))
	for left := s.rows; left > 0; {
		batch := make([]ready, min(left, together))
		for i := range batch {
			if err := in.Decode(&batch[i]); err != nil {
				return fmt.Errorf("read the users to import: %w", err)
			}
		}
		if err := handle(batch); err != nil {
			return err
		}
		left -= len(batch)
	}
	return nil
}
