// Package static holds the files a browser loads besides the page: one style
// sheet, one script, one icon, and the widget of the proof of work.
//
// The files are in the binary. Each has an address with the hash of its
// content, so that it may be kept for ever and is never stale. Nothing here is
// loaded from anywhere else, and nothing here differs between users.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Prefix is where Handler expects to be mounted.
const Prefix = "/static/"

// altcha* are the widget of the proof of work as its makers built it, for a
// policy that allows our own files only; proof.js sets it up. Only the page with
// the check loads them.
//
//go:embed sparekey.css sparekey.js icon.svg altcha.js altcha.css altcha-worker.js proof.js
var files embed.FS

// file is one embedded file, ready to be sent.
type file struct {
	url     string
	kind    string
	plain   []byte
	gzipped func() []byte // packed when it is first asked for: that takes longer than a start
}

var byName, byURL = load()

// URL gives the address of a file, /static/HASH/name. An unknown name is a
// mistake of the program and panics.
func URL(name string) string {
	f, ok := byName[name]
	if !ok {
		panic("static: no file " + name)
	}
	return f.url
}

// Handler serves the files under Prefix, to be kept by the browser for a year,
// compressed where the browser takes gzip. An address with another hash is not
// found, so that an old page never gets a new file under an old name.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	f, ok := byURL[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the browser went away; nobody is left to tell
	}
}

// takesGzip reads Accept-Encoding as RFC 9110 section 12.5.3 means it: named,
// or by the star, and not with weight zero.
func takesGzip(accept string) bool {
	star := false
	for part := range strings.SplitSeq(accept, ",") {
		name, rest, _ := strings.Cut(part, ";")
		weight := strings.ReplaceAll(strings.ToLower(rest), " ", "")
		refused := strings.HasPrefix(weight, "q=0") && strings.Trim(weight[3:], ".0") == ""
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return !refused
		case "*":
			star = !refused
		}
	}
	return star
}

func load() (names, urls map[string]file) {
	names, urls = map[string]file{}, map[string]file{}
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("static: " + err.Error())
	}
	for _, e := range entries {
		plain, err := files.ReadFile(e.Name())
		if err != nil {
			panic("static: " + err.Error())
		}
		sum := sha256.Sum256(plain)
		f := file{
			url:     Prefix + base64.RawURLEncoding.EncodeToString(sum[:9]) + "/" + e.Name(),
			kind:    kinds[path.Ext(e.Name())],
			plain:   plain,
			gzipped: sync.OnceValue(func() []byte { return compress(plain) }),
		}
		names[e.Name()], urls[f.url] = f, f
	}
	return names, urls
}

var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func compress(plain []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(plain)                                 // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
