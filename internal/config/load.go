package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/sparekey/sparekey/internal/fault"
)

// DefaultFile is read from the working directory, if it is there, when no other
// file is named.
const DefaultFile = "sparekey.yaml"

const (
	prefix = "SPAREKEY_"
	// testPrefix marks variables of the test suite; a server started by a test inherits them.
	testPrefix = "SPAREKEY_TEST_"
)

// Load gives the configuration. Flags are keyed by their name without dashes in
// front ("mail-from"), environ is in the form of os.Environ, and file is the
// path given by --config: it must exist, whereas an empty one means DefaultFile
// where there is one. An empty value counts as not given. Errors are faults of
// kind Invalid whose field is the variable's name.
func Load(flags map[string]string, environ []string, file string) (Config, error) {
	given := values{}
	for _, layer := range []func(values) error{
		func(v values) error { return v.addFile(file) },
		func(v values) error { return v.addEnviron(environ) },
		func(v values) error { return v.addFlags(flags) },
	} {
		if err := layer(given); err != nil {
			return Config{}, err
		}
	}
	return parse(given)
}

// value is a setting as it was written, and where.
type value struct {
	text  string
	where string // "--listen", "SPAREKEY_LISTEN", "listen in sparekey.yaml"
}

// values holds what was given, by key; a later layer replaces an earlier one.
type values map[string]value

func (v values) set(key, text, where string) {
	if text = strings.TrimSpace(text); text != "" {
		v[key] = value{text: text, where: where}
	}
}

func (v values) addFile(path string) error {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return unreadable(path, err)
	}
	read := k.All()
	keys := k.Keys() // sorted, so that the same file gives the same error
	for _, key := range keys {
		where := key + " in " + path
		if !known(key) {
			return unknown("key", where, key, func(s setting) string { return s.key })
		}
		text, ok := asText(read[key])
		if !ok {
			return fault.InvalidField(variable(key), fmt.Sprintf("%s must be one value or a list of values.", where))
		}
		v.set(key, text, where)
	}
	return nil
}

func (v values) addEnviron(environ []string) error {
	k := koanf.New(".")
	provider := env.Provider(".", env.Opt{
		Prefix:      prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, text string) (string, any) {
			if strings.HasPrefix(name, testPrefix) {
				return "", nil
			}
			return strings.TrimPrefix(name, prefix), text
		},
	})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	for _, name := range k.Keys() {
		key := strings.ToLower(name)
		if !known(key) || name != strings.ToUpper(name) {
			return unknown("variable", prefix+name, prefix+name, func(s setting) string { return variable(s.key) })
		}
		v.set(key, k.String(name), prefix+name)
	}
	return nil
}

func (v values) addFlags(flags map[string]string) error {
	for name, text := range flags {
		key := strings.ReplaceAll(name, "-", "_")
		if !known(key) {
			return unknown("flag", "--"+name, name, func(s setting) string { return flagName(s.key) })
		}
		v.set(key, text, "--"+name)
	}
	return nil
}

// asText writes a value of the file as the variable would have it.
func asText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true
	case []any:
		parts := make([]string, 0, len(v))
		for _, item := range v {
			part, ok := item.(string)
			if !ok {
				return "", false
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), true
	default:
		return "", false
	}
}

var lineNumber = regexp.MustCompile(`line \d+`)

// unreadable explains a file that cannot be read. The parser's own words may
// quote the file, passwords included, so that only the line is taken from them.
func unreadable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Invalid, "The configuration file %s does not exist.", path)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Invalid, "The configuration file %s may not be read by this user.", path)
	}
	var broken *fs.PathError
	if errors.As(err, &broken) {
		return fault.Wrap(fault.Invalid, err, "The configuration file "+path+" cannot be read.")
	}
	if at := lineNumber.FindString(err.Error()); at != "" {
		path += ", " + at
	}
	return fault.New(fault.Invalid, "The configuration file is not YAML with one key a setting: %s.", path)
}

// unknown refuses a name nobody reads and offers the nearest one there is.
func unknown(what, where, name string, spell func(setting) string) error {
	sentence := fmt.Sprintf("There is no %s %s.", what, where)
	names := make([]string, 0, len(settings))
	for _, s := range settings {
		names = append(names, spell(s))
	}
	if likely := nearest(name, names); likely != "" {
		sentence += fmt.Sprintf(" Did you mean %s?", likely)
	} else {
		sentence += fmt.Sprintf(" The %ss are %s.", what, strings.Join(names, ", "))
	}
	return fault.InvalidField(name, sentence)
}

func known(key string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.key == key })
}

func variable(key string) string { return prefix + strings.ToUpper(key) }

func flagName(key string) string { return "--" + strings.ReplaceAll(key, "_", "-") }
