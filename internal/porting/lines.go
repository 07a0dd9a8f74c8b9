package porting

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/spreadsheet"
)

// lines reads the users of a file one by one. Next gives the number of the line
// with its fields or, as a fault, why that line alone cannot be read. Any other
// error ends the reading; io.EOF ends it well.
type lines interface {
	next() (line int, r record, err error)
}

// maxLine bounds the memory that one line takes, in bytes.
const maxLine = 64 << 10

// open begins to read a file; the fault says why it cannot be read at all.
func open(r io.Reader, f Format) (lines, error) {
	in := bufio.NewReader(r)
	start, _ := in.Peek(3) // a shorter file is one without a mark
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3) // the mark that spreadsheets write before UTF-8; it was just peeked at
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, fault.New(fault.Invalid, "The file is written in UTF-16. Save it as UTF-8.")
	}
	if f == JSONLines {
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		return &jsonLines{scanner: s}, nil
	}
	return openCSV(in)
}

type csvLines struct {
	reader *csv.Reader
	meter  *meter
	header []string
	line   int // of the last record
}

func openCSV(in io.Reader) (lines, error) {
	m := &meter{in: in, left: 2 * maxLine}
	c := &csvLines{reader: csv.NewReader(m), meter: m}
	c.reader.ReuseRecord, c.line = true, 1
	header, err := c.reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fault.New(fault.Invalid, "The file is empty. Its first line names the fields: %s.", strings.Join(fields, ","))
	case errors.Is(err, errLongLine):
		return nil, fault.New(fault.Invalid, "The first line is longer than %d bytes.", maxLine)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "The first line cannot be read as CSV. It names the fields: "+strings.Join(fields, ",")+".")
	}
	for _, name := range header {
		name = strings.TrimSpace(name)
		if len(header) == 1 && strings.ContainsAny(name, ";\t|") {
			return nil, fault.New(fault.Invalid, "The fields are not separated by commas. Save the file with commas between them.")
		}
		if small := strings.ToLower(name); slices.Contains(fields, small) {
			name = small // spreadsheets like capitals
		}
		if err := checkField(name, c.header); err != nil {
			return nil, err
		}
		c.header = append(c.header, name)
	}
	for _, name := range []string{fieldEmail, fieldName} {
		if !slices.Contains(c.header, name) {
			return nil, fault.New(fault.Invalid, "The first line must name the fields, and %q is missing among them.", name)
		}
	}
	c.reader.FieldsPerRecord = len(c.header)
	return c, nil
}

func (c *csvLines) next() (int, record, error) {
	c.meter.left = 2 * maxLine // what is read ahead counts for the line before
	cells, err := c.reader.Read()
	var broken *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return 0, nil, io.EOF
	case errors.Is(err, errLongLine):
		return 0, nil, fault.New(fault.Invalid, "The line after line %d is longer than %d bytes; perhaps a quotation mark is missing.", c.line, maxLine)
	case errors.As(err, &broken):
		c.line = broken.StartLine
		return c.line, nil, lineFault(csvReason(broken, len(cells), len(c.header)))
	case err != nil:
		return 0, nil, fmt.Errorf("read: %w", err)
	}
	c.line, _ = c.reader.FieldPos(0)
	r := make(record, len(cells))
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			return c.line, nil, lineFault("The text is not UTF-8. Save the file as UTF-8.")
		}
		r[c.header[i]] = spreadsheet.Unguard(cell)
	}
	return c.line, r, nil
}

func csvReason(err *csv.ParseError, cells, fields int) string {
	if errors.Is(err, csv.ErrFieldCount) {
		return fmt.Sprintf("The line has %d fields, the first line %d.", cells, fields)
	}
	return "A quotation mark is missing, or stands where none can be."
}

// lineFault is a fault of one line.
func lineFault(reason string) error { return fault.New(fault.Invalid, "%s", reason) }

// errLongLine stops a line before it fills the memory.
var errLongLine = errors.New("line too long")

// meter lets only so many bytes through until it is set again.
type meter struct {
	in   io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLongLine
	}
	n, err := m.in.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

type jsonLines struct {
	scanner *bufio.Scanner
	line    int
}

func (j *jsonLines) next() (int, record, error) {
	for j.scanner.Scan() {
		j.line++
		text := bytes.TrimSpace(j.scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		r, err := readObject(text)
		return j.line, r, err
	}
	switch err := j.scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return 0, nil, fault.New(fault.Invalid, "Line %d is longer than %d bytes.", j.line+1, maxLine)
	case err != nil:
		return 0, nil, fmt.Errorf("read: %w", err)
	}
	return 0, nil, io.EOF
}

// readObject reads one flat object of texts. The standard decoder would take
// Email for email and the second of two emails; neither can be meant.
func readObject(text []byte) (record, error) {
	malformed := lineFault("The line is not one JSON object whose values are texts.")
	if !utf8.Valid(text) {
		return nil, lineFault("The text is not UTF-8. Save the file as UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, malformed
	}
	r := record{}
	var seen []string
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, malformed
		}
		if err := checkField(name, seen); err != nil {
			return nil, err
		}
		seen = append(seen, name)
		value, err := d.Token()
		if err != nil {
			return nil, malformed
		}
		switch v := value.(type) {
		case string:
			r[name] = v
		case nil: // as if it were not there
		default:
			return nil, malformed
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed
	}
	return r, nil
}
