package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite" // the driver of the raw commits
)

// The password hash of the product: argon2id, 19 MiB, two passes, one lane.
const (
	hashTime   = 2
	hashMemory = 19456 // KiB
	hashBytes  = 32
)

// childVariable makes this program one of its own children, see runChild.
const childVariable = "SPAREKEY_BENCH_CHILD"

// runChild does the work of a child process: the raw limits that must not share
// a process, and so a heap, with the driver.
func runChild(what string) {
	switch name, argument, _ := strings.Cut(what, " "); name {
	case "hello":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "hello:", err)
			os.Exit(1)
		}
		hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })
		fmt.Fprintln(os.Stderr, (&http.Server{Handler: hello, ReadHeaderTimeout: 10 * time.Second}).Serve(l))
	case "hash":
		var clients int
		var length time.Duration
		if _, err := fmt.Sscan(argument, &clients, &length); err != nil {
			fmt.Fprintln(os.Stderr, "hash:", err)
			os.Exit(1)
		}
		o := hashAlone(clients, length)
		fmt.Println(o.done, int64(o.took))
	}
}

// hashAlone runs the bare hash in so many goroutines.
func hashAlone(goroutines int, length time.Duration) outcome {
	password, salt := []byte(knownPassword), make([]byte, 16)
	var done atomic.Int64
	var running sync.WaitGroup
	started := time.Now()
	for range goroutines {
		running.Go(func() {
			for time.Since(started) < length {
				argon2.IDKey(password, salt, hashTime, hashMemory, 1, hashBytes)
				done.Add(1)
			}
		})
	}
	running.Wait()
	return outcome{done: int(done.Load()), took: time.Since(started)}
}

// commits is a bare SQLite database with one writing goroutine that commits what
// waits in one transaction: WAL, synchronous=FULL, so that each commit is synced.
type commits struct {
	db   *sql.DB
	jobs chan chan error
	over chan struct{}
}

func openCommits(folder string) (*commits, error) {
	dsn := "file:" + filepath.Join(folder, "raw.db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"); err != nil {
		return nil, err
	}
	c := &commits{db: db, jobs: make(chan chan error, 1024), over: make(chan struct{})}
	go c.write()
	return c, nil
}

func (c *commits) close() {
	close(c.jobs)
	<-c.over
	_ = c.db.Close() // the folder is deleted next
}

func (c *commits) write() {
	defer close(c.over)
	for first := range c.jobs {
		batch := []chan error{first}
		for more := true; more; {
			select {
			case next, ok := <-c.jobs:
				if ok {
					batch = append(batch, next)
				}
				more = ok
			default:
				more = false
			}
		}
		err := c.commit(len(batch))
		for _, waiting := range batch {
			waiting <- err
		}
	}
}

func (c *commits) commit(rows int) error {
	tx, err := c.db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	for range rows {
		if _, err := tx.Exec("INSERT INTO note (body) VALUES (?)", "a line of about the length of a small row"); err != nil {
			_ = tx.Rollback() // the first error is the one to report
			return err
		}
	}
	return tx.Commit()
}

// drive commits one row a request.
func (c *commits) drive(l load) outcome {
	parts := make([]outcome, l.clients)
	var running sync.WaitGroup
	started := time.Now()
	for i := range parts {
		running.Go(func() {
			answer := make(chan error, 1)
			for before := time.Now(); before.Sub(started) < l.length; {
				c.jobs <- answer
				err := <-answer
				now := time.Now()
				if err != nil {
					parts[i].fail(err)
					return
				}
				parts[i].done++
				parts[i].latencies = append(parts[i].latencies, now.Sub(before))
				before = now
			}
		})
	}
	running.Wait()
	return merge(parts, time.Since(started))
}

// syncTimes appends 4 KiB and syncs, so many times.
func syncTimes(folder string, times int) (outcome, error) {
	f, err := os.Create(filepath.Join(folder, "sync"))
	if err != nil {
		return outcome{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	var o outcome
	for range times {
		_, _ = rand.Read(page)
		if _, err := f.Write(page); err != nil {
			return o, err
		}
		before := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return o, err
		}
		o.latencies = append(o.latencies, time.Since(before))
		o.done++
	}
	slices.Sort(o.latencies)
	return o, nil
}

// sendRaw sends count messages over kept connections, each waiting for the
// server's word before the next.
func sendRaw(address string, connections, count int) outcome {
	parts := make([]outcome, connections)
	var next atomic.Int64
	var running sync.WaitGroup
	started := time.Now()
	for i := range parts {
		running.Go(func() {
			s, err := dialSMTP(address)
			if err != nil {
				parts[i].fail(err)
				return
			}
			defer s.conn.Close()
			for before := time.Now(); int(next.Add(1)) <= count; {
				if err := s.send(); err != nil {
					parts[i].fail(err)
					return
				}
				now := time.Now()
				parts[i].done++
				parts[i].latencies = append(parts[i].latencies, now.Sub(before))
				before = now
			}
		})
	}
	running.Wait()
	return merge(parts, time.Since(started))
}

// sender is one kept SMTP connection.
type sender struct {
	conn net.Conn
	in   *bufio.Reader
}

// rawMessage is about as long as a reset mail.
var rawMessage = "Message-ID: <raw@bench>\r\nSubject: raw\r\n\r\n" + strings.Repeat("A line of sixty-four bytes, as a mail has them, some hundred.\r\n", 100) + ".\r\n"

func dialSMTP(address string) (*sender, error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	s := &sender{conn: conn, in: bufio.NewReader(conn)}
	if err := s.reply(220); err != nil {
		return nil, err
	}
	return s, s.ask("EHLO bench\r\n", 250)
}

func (s *sender) send() error {
	for _, part := range []struct {
		text string
		code int
	}{
		{"MAIL FROM:<raw@bench.example>\r\n", 250},
		{"RCPT TO:<raw@bench.example>\r\n", 250},
		{"DATA\r\n", 354},
		{rawMessage, 250},
	} {
		if err := s.ask(part.text, part.code); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) ask(text string, code int) error {
	if err := s.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.conn, text); err != nil {
		return err
	}
	return s.reply(code)
}

func (s *sender) reply(code int) error {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if len(line) < 4 || line[:3] != strconv.Itoa(code) {
			return fmt.Errorf("server said %q", line)
		}
		if line[3] == ' ' {
			return nil
		}
	}
}
