// Command sparekey is the whole product: the server, and everything an operator
// does at a shell.
//
// One file per subcommand. No rules live here: a command reads its flags, calls
// a verb as the operator, and prints. Data goes to standard output, logs and
// the one sentence of a failure to standard error. Exit status: 0 done, 1
// refused or failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/dkim"
	"github.com/sparekey/sparekey/internal/fault"
)

// The exit statuses.
const (
	done   = 0
	failed = 1
	misuse = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has been heard, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()})
	stop()
	os.Exit(status)
}

// terminal is the outside world as commands see it.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	lookUp   dkim.LookUp // for tests; nil: the DNS
}

// commands is the grammar.
type commands struct {
	Demo        demoCommand         `cmd:"" help:"Run the whole product with sample users and an inbox, to try it."`
	Serve       serveCommand        `cmd:"" help:"Run the server."`
	Migrate     migrateCommand      `cmd:"" help:"Bring the database up to date."`
	Environment environmentCommands `cmd:"" help:"Create and look after environments, each one client's own world."`
	User        userCommands        `cmd:"" help:"Create and look after the users of an environment."`
	Reset       resetCommands       `cmd:"" help:"Help a user who cannot reset the password."`
	Diagnose    diagnoseCommand     `cmd:"" help:"Explain the answer of a mail server, or returned mails."`
	Keys        keysCommands        `cmd:"" help:"Look after the keys that sign links."`
	DKIM        dkimCommands        `cmd:"" name:"dkim" help:"Look after the keys that sign mails."`
	Numbers     numbersCommand      `cmd:"" help:"Show how recovery goes: how many get back in alone, how soon, and where others stop."`
	Help        helpCommands        `cmd:"" help:"See what readers say of the help articles."`
	Doctor      doctorCommand       `cmd:"" help:"Look for what is wrong, above all with mail, and say what to do."`
	Version     versionCommand      `cmd:"" help:"Print version, commit and Go version."`
}

// run is the program: it gives the exit status.
func run(ctx context.Context, args []string, t *terminal) int {
	settings := newSettings()
	grammar := newCommands(settings)
	helped := false
	parser := kong.Must(grammar,
		kong.Name("sparekey"),
		kong.Description("Login, user management and account recovery."),
		kong.Writers(t.out, t.err),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{configurationGroup}),
		kong.Bind(t, settings),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if len(args) == 0 {
		return t.lost(parser)
	}
	parsed, err := parser.Parse(asksHelp(args))
	if helped {
		return done
	}
	if err != nil {
		var parsing *kong.ParseError
		if errors.As(err, &parsing) {
			parsed = parsing.Context
		}
		return t.misused(err, parsed)
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return done
	case errors.As(err, new(usageError)):
		return t.misused(err, parsed)
	}
	_, _ = fmt.Fprintln(t.err, sentence(err))
	return failed
}

// asksHelp turns "help COMMAND" into "COMMAND --help", but for what is a command
// below help.
func asksHelp(args []string) []string {
	if args[0] != "help" || len(args) > 1 && (args[1] == "feedback" || strings.HasPrefix(args[1], "-")) {
		return args
	}
	return append(args[1:], "--help")
}

// usageError is wrong usage that the grammar cannot see.
type usageError string

func (e usageError) Error() string { return string(e) }

// misused says what was wrong and where to read on.
func (t *terminal) misused(err error, c *kong.Context) int {
	command := "sparekey"
	if c != nil && c.Selected() != nil {
		command = c.Selected().FullPath()
	}
	said := strings.TrimSuffix(upperFirst(err.Error()), ".")
	if rest, cut := strings.CutSuffix(said, ", .."); cut { // the parser ends a long list with dots
		said = rest + " and others"
	}
	if !strings.HasSuffix(said, "?") {
		said += "."
	}
	_, _ = fmt.Fprintf(t.err, "%s See: %s --help\n", said, command)
	return misuse
}

// lost tells somebody who named no command what there is.
func (t *terminal) lost(parser *kong.Kong) int {
	parser.Stdout = t.err
	_, _ = parser.Parse([]string{"--help"}) // prints
	return misuse
}

// sentence is what a person reads of a failure: a fault's own sentence with
// what caused it, or, for what nobody foresaw, the chain.
func sentence(err error) string {
	if errors.Is(err, context.Canceled) {
		return "Stopped before it was done."
	}
	f := fault.As(err)
	if f == nil {
		return fmt.Sprintf("This did not work (%v).", err)
	}
	said := f.Sentence
	if len(f.Fields) > 1 {
		reasons := make([]string, len(f.Fields))
		for i, field := range f.Fields {
			reasons[i] = field.Reason
		}
		said = strings.Join(reasons, " ")
	}
	if f.Cause != nil {
		said = fmt.Sprintf("%s (%v)", said, f.Cause)
	}
	return said
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
