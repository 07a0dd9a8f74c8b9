// Bench measures a running Sparekey from outside, over HTTP and SMTP, beside
// what the machine allows in the same run. It builds the server, starts it on
// loopback with a temporary database, seeds it, drives it, and prints one table.
// It needs Linux (it reads /proc) and nothing of the product's packages.
// README.md says what each line means.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	only     []string
	users    int
	quick    bool
	postgres string
	json     bool
	folder   string
	log      string
	profiles string
	signals  string
	half     string
	sparekey string
}

// bench is one run.
type bench struct {
	settings
	rounds int
	length time.Duration // of one turn
	folder string
	family *children
	sink   *sink
	server *server
	report *report
	random *rand.Rand
}

// operation is one thing to measure.
type operation struct {
	name  string
	run   func(*bench) error
	extra bool // only when asked for by name
}

var operations = []operation{
	{"start", (*bench).measureStart, false},
	{"login", (*bench).measureLogin, false},
	{"session", (*bench).measureSession, false},
	{"search", (*bench).measureSearch, false},
	{"link", (*bench).measureLink, false},
	{"mail", (*bench).measureMail, false},
	{"burst", (*bench).measureBurst, false},
	{"ask", (*bench).measureAsk, false},
	{"silence", (*bench).measureSilence, false},
	{"flood", (*bench).measureFlood, false},
	{"race", (*bench).measureRace, false},
	{"kill", (*bench).measureKill, true},
	{"flapping", (*bench).measureFlapping, true},
}

func main() {
	if what := os.Getenv(childVariable); what != "" {
		runChild(what)
		return
	}
	s, err := readFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if s.signals != "" {
		err = measureSignals(s.signals, s.sparekey, s.half, os.Stdout)
	} else {
		_, err = run(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func readFlags() (settings, error) {
	var s settings
	var names []string
	for _, o := range operations {
		names = append(names, o.name)
	}
	only := flag.String("only", "", "comma-separated `operations`: "+strings.Join(names, ", ")+"; kill and flapping run only when named")
	flag.IntVar(&s.users, "users", 0, "how many users to seed (default 10,000; with -quick 500)")
	flag.BoolVar(&s.quick, "quick", false, "one short round of everything: to see that it works, not how fast")
	flag.StringVar(&s.postgres, "postgres", "", "run the server on this empty PostgreSQL database (postgres://...) instead of SQLite")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	flag.StringVar(&s.folder, "dir", os.TempDir(), "where the temporary folder goes: the disk under it is measured")
	flag.StringVar(&s.log, "log", "info", "the server's SPAREKEY_LOG; its log goes to a file")
	flag.StringVar(&s.profiles, "profiles", "", "write a processor profile of the server for each kind of turn into this `folder`")
	flag.StringVar(&s.signals, "signals", "", "measure no speed, but how often diagnose is right about the collections of mails and answers in these comma-separated `folders`")
	flag.StringVar(&s.half, "half", "", "with -signals: only every second mail and answer, `odd` or even")
	flag.StringVar(&s.sparekey, "sparekey", "", "with -signals: the `binary` to ask instead of one built now")
	flag.Parse()
	if flag.NArg() > 0 {
		return s, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if s.half != "" && s.half != "odd" && s.half != "even" {
		return s, errors.New("-half is odd or even")
	}
	if s.users == 0 {
		s.users = 10_000
		if s.quick {
			s.users = 500
		}
	}
	if s.users < 200 || s.users > 5_000_000 {
		return s, errors.New("-users must be from 200 to 5,000,000")
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	for _, name := range s.only {
		if !slices.Contains(names, name) {
			return s, fmt.Errorf("-only: there is no %q, but %s", name, strings.Join(names, ", "))
		}
	}
	return s, nil
}

func run(s settings) (r *report, err error) {
	b := &bench{
		settings: s, rounds: 3, length: 2 * time.Second, family: newChildren(),
		report: &report{started: time.Now(), json: s.json}, random: rand.New(rand.NewPCG(1, 2)),
	}
	if s.quick {
		b.rounds, b.length = 1, 300*time.Millisecond
	}
	if b.folder, err = os.MkdirTemp(s.folder, "sparekey-bench-"); err != nil {
		return nil, err
	}
	end := func() {
		b.family.killAll()
		_ = os.RemoveAll(b.folder) // it lies in a temporary place anyway
	}
	defer end()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		end()
		os.Exit(130)
	}()

	about, err := b.setUp()
	if err != nil {
		return nil, err
	}
	var failed error
	for _, o := range operations {
		if wanted := slices.Contains(s.only, o.name); !wanted && (len(s.only) > 0 || o.extra) {
			continue
		}
		b.report.say("%s ...", o.name)
		if err := o.run(b); err != nil { // the others may still work
			b.report.say("%s: %v", o.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", o.name, err))
		}
	}
	return b.report, errors.Join(b.report.print(os.Stdout, about), failed)
}

// setUp builds, seeds and starts the server, and says what is measured.
func (b *bench) setUp() (about string, err error) {
	b.report.say("build")
	binary, size, err := build(b.folder)
	if err != nil {
		return "", err
	}
	if b.sink, err = startSink(); err != nil {
		return "", err
	}
	if b.server, err = b.install(binary); err != nil {
		return "", err
	}
	b.report.say("seed %d users", b.users)
	imported, err := b.server.seed(b.users)
	if err != nil {
		return "", err
	}
	b.report.add(
		row{
			Operation: "binary, stripped", Figure: fmt.Sprintf("%.1f MB", size), Target: "≤ 24 MB", Verdict: verdict(size <= 24),
			Numbers: map[string]float64{"megabytes": size},
		},
		row{
			Operation: fmt.Sprintf("import of %d users with hashes", b.users), Figure: rate(imported),
			Numbers: map[string]float64{"per_second": imported},
		},
	)
	if _, err := b.server.serve(); err != nil {
		return "", err
	}
	engine := "SQLite"
	if b.postgres != "" {
		engine = "PostgreSQL"
	}
	return fmt.Sprintf("%s, %d users, %d cores, %s, %d rounds of %s; load average before: %s",
		engine, b.users, runtime.NumCPU(), runtime.Version(), b.rounds, b.length, loadAverage()), nil
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg") // only told
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// install prepares a folder and an address for a server.
func (b *bench) install(binary string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{family: b.family, binary: binary, folder: filepath.Join(b.folder, "server"), address: address, smtp: b.sink.address(), log: b.log}
	s.database = "sqlite:" + filepath.Join(s.folder, databaseFile)
	if b.postgres != "" {
		s.database = b.postgres
	}
	if b.profiles != "" {
		if s.metrics, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	return s, os.Mkdir(s.folder, 0o700)
}

// The file of the database in a server's folder.
const databaseFile = "sparekey.db"

// restart gives a fresh process on the same database.
func (b *bench) restart() error {
	b.server.stop()
	_, err := b.server.serve()
	return err
}

// quiet waits until the server has done what it was asked, and says so if it
// was not.
func (b *bench) quiet() {
	if !b.server.settle() {
		b.report.say("the server was still busy after two minutes")
	}
}

// helloSystem is the bare page as one of those that take turns. Call stop at the end.
func (b *bench) helloSystem() (s system, stop func(), err error) {
	p, address, err := b.family.hello()
	if err != nil {
		return s, nil, err
	}
	return system{name: "hello", run: func(clients, _ int) outcome {
		return drive(address, load{clients: clients, length: b.length}, func(c *client, _ int) error {
			a, err := c.get("/", "")
			return expect(a, err, 200)
		})
	}}, p.kill, nil
}
