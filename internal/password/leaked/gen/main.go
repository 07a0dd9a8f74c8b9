// Command gen writes leaked.bin and NOTICE, the list of package leaked, from the
// list of passwords in an npm package. Run it with "go generate" in leaked; it
// needs npm and the registry. The same package always gives the same files.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/leaked"
)

const (
	source   = "@zxcvbn-ts/language-common@4.1.3"
	checksum = "8366e0e2c9269491bd689a82fe75b3899ce062949efdfdeb29e1a86eb91d1623ab7d9545aaacd4802e815105ae5f9e12b9af63d09c71b7ed5b7f87ff31a9752a" // SHA-512 of the archive
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal("make the list of leaked passwords: ", err)
	}
}

func run(ctx context.Context) error {
	archive, err := fetch(ctx)
	if err != nil {
		return err
	}
	files, err := unpack(archive, "package/src/passwords.json", "package/LICENSE.txt")
	if err != nil {
		return err
	}
	var passwords []string
	if err := json.Unmarshal(files[0], &passwords); err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	keys := keysOf(passwords)
	if len(keys) < 10_000 {
		return fmt.Errorf("only %d passwords", len(keys))
	}
	log.Printf("%d of %d passwords", len(keys), len(passwords))
	return write(keys, files[1])
}

// fetch has npm download the package and checks that it is the one we know.
func fetch(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "leaked")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	command := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", dir, source)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("npm pack: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return nil, errors.New("npm pack left no archive")
	}
	archive, err := os.ReadFile(found[0])
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(archive); hex.EncodeToString(sum[:]) != checksum {
		return nil, errors.New("the archive is not the one that was reviewed")
	}
	return archive, nil
}

// unpack gives the contents of the named files.
func unpack(archive []byte, names ...string) ([][]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	contents, left := make([][]byte, len(names)), len(names)
	for files := tar.NewReader(zipped); left > 0; {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		if at := slices.Index(names, header.Name); at >= 0 {
			if contents[at], err = io.ReadAll(files); err != nil {
				return nil, err
			}
			left--
		}
	}
	return contents, nil
}

// keysOf leaves out what no policy would accept anyway.
func keysOf(passwords []string) []uint64 {
	var keys []uint64
	for _, plain := range passwords {
		normal, err := password.Normalise(plain)
		if err == nil && utf8.RuneCountInString(normal) >= leaked.MinLength {
			keys = append(keys, leaked.Key(normal))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func write(keys []uint64, licence []byte) error {
	var list []byte
	for _, key := range keys {
		list = binary.BigEndian.AppendUint64(list, key)
	}
	if err := os.WriteFile("leaked.bin", list, 0o644); err != nil { //nolint:gosec // a source file
		return err
	}
	notice := fmt.Sprintf("leaked.bin holds digests of the passwords in the npm package %s,\nwhich comes with this licence:\n\n%s", source, licence)
	return os.WriteFile("NOTICE", []byte(notice), 0o644) //nolint:gosec // a source file
}
