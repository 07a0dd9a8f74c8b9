package world

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// conf holds the files of each server, as templates.
//
//go:embed conf
var conf embed.FS

// Password is that of every user name at the relay.
const Password = "an-open-door-needs-no-key"

// facts is what the templates know.
type facts struct {
	Lifetime, Warn, Grey int // in seconds
	Filter               bool
	Password             string
}

var functions = template.FuncMap{
	"fields":   strings.Fields,
	"nameless": func() string { return nameless },
	"ip": func(name string) (string, error) {
		if a, ok := hosts[name]; ok {
			return a, nil
		}
		return "", fmt.Errorf("the world has no host %s", name)
	},
}

// configure lays the files of a server over its root.
func (w World) configure(name, root string) error {
	for path, text := range map[string]string{
		"etc/resolv.conf": "nameserver " + nameServer + "\n",
		"etc/hosts":       "127.0.0.1 localhost\n",
		"etc/mta/README":  "keys of this server\n",
	} {
		if err := writeFile(filepath.Join(root, path), []byte(text)); err != nil {
			return err
		}
	}
	data := facts{
		Lifetime: seconds(w.Lifetime), Warn: seconds(w.Warn), Grey: seconds(w.Grey),
		Filter: slices.Contains(w.Servers, "filter"), Password: Password,
	}
	own := "conf/" + name
	return fs.WalkDir(conf, own, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(conf, path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Funcs(functions).Parse(string(text))
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, data); err != nil {
			return err
		}
		return writeFile(filepath.Join(root, strings.TrimPrefix(path, own)), []byte(b.String()))
	})
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// writeFile makes a file anew, also where the image has a link.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // servers that are not root read it
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // the same
}
