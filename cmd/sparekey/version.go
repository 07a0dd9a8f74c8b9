package main

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// build is what the Go tool wrote into the program.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // "" where it was built without the history
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

func (c versionCommand) Run(t *terminal) error {
	b := build{Version: "(devel)"}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version, b.Go = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if c.JSON {
		return t.json(b)
	}
	commit := b.Commit
	switch {
	case commit == "":
		commit = "unknown"
	case b.Modified:
		commit += ", with changes"
	}
	return t.say(fmt.Sprintf("sparekey %s\ncommit %s\n%s", b.Version, commit, b.Go))
}
