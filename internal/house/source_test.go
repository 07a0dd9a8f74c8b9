package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// file is one Go file of the module.
type file struct {
	path string // from the module's root, with slashes
	pkg  string // its folder
	set  *token.FileSet
	tree *ast.File
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f file) generated() bool { return ast.IsGenerated(f.tree) }

func (f file) line(p token.Pos) int { return f.set.Position(p).Line }

func parent(p string) string { return path.Dir(p) }

// source gives all Go files of the module.
func source(t *testing.T) []file {
	t.Helper()
	files, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// read parses every file once; folders with a go.mod of their own are other modules.
var read = sync.OnceValues(func() ([]file, error) {
	root := os.DirFS(filepath.Join("..", ".."))
	set := token.NewFileSet()
	var files []file
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && foreign(root, p, d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file{path: p, pkg: parent(p), set: set, tree: tree})
		return nil
	})
	return files, err
})

func foreign(root fs.FS, p, name string) bool {
	_, err := fs.Stat(root, path.Join(p, "go.mod"))
	return err == nil || name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// packages lists the packages that have more than tests, sorted.
func packages(files []file) []string {
	found := map[string]bool{}
	for _, f := range files {
		if !f.test() {
			found[f.pkg] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// imports gives what each package imports of ours, tests left out.
func imports(files []file) map[string][]string {
	graph := map[string][]string{}
	for _, f := range files {
		if f.test() {
			continue
		}
		for _, spec := range f.tree.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // it would not compile
			}
			target, ours := strings.CutPrefix(target, module+"/")
			if ours && !slices.Contains(graph[f.pkg], target) {
				graph[f.pkg] = append(graph[f.pkg], target)
			}
		}
	}
	return graph
}
