package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/web/static"
)

func get(method, url, accept string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

func TestFilesAreKeptForEverAndCompressed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sparekey.css", "sparekey.js", "icon.svg"} {
		url := static.URL(name)
		require.Regexp(t, regexp.MustCompile(`^/static/[\w-]{12}/`+regexp.QuoteMeta(name)+`$`), url)
		plain, zipped := get("GET", url, ""), get("GET", url, "br, gzip;q=0.8")
		require.Equal(t, "public, max-age=31536000, immutable", plain.Header.Get("Cache-Control"))
		require.Equal(t, "nosniff", plain.Header.Get("X-Content-Type-Options"))
		require.Empty(t, plain.Header.Get("Content-Encoding"))
		require.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
		z, err := gzip.NewReader(zipped.Body)
		require.NoError(t, err)
		require.Equal(t, body(t, plain.Body), body(t, z))
	}
}

func TestGzipIsSentOnlyWhereTaken(t *testing.T) {
	t.Parallel()
	url := static.URL("sparekey.css")
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "GZIP": "gzip", "*": "gzip", "gzip;q=0": "", "gzip; q=0.0, *": "", "br": "", "identity": "", "gzip;q=0.001": "gzip",
	} {
		require.Equal(t, want, get("GET", url, accept).Header.Get("Content-Encoding"), "Accept-Encoding: %q", accept)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"/static/", "/static/sparekey.css", "/static/AAAAAAAAAAAA/sparekey.css", static.URL("icon.svg") + "/..", "/static/../static.go"} {
		require.Equal(t, 404, get("GET", url, "").StatusCode, url)
	}
	require.Equal(t, 405, get("POST", static.URL("icon.svg"), "").StatusCode)
	head := get("HEAD", static.URL("icon.svg"), "")
	require.Equal(t, 200, head.StatusCode)
	require.Empty(t, body(t, head.Body))
	require.Panics(t, func() { static.URL("other.css") })
}

func TestFilesKeepWithinThePolicy(t *testing.T) {
	t.Parallel()
	css := body(t, get("GET", static.URL("sparekey.css"), "").Body)
	js := body(t, get("GET", static.URL("sparekey.js"), "").Body)
	for _, word := range []string{"@import", "url(", "data:", "http:"} {
		require.NotContains(t, css, word)
	}
	for _, word := range []string{"eval(", "new Function", "setAttribute(\"style\"", "http:", "https:", "import("} {
		require.NotContains(t, js, word)
	}
}
