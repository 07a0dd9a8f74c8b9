package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// suite is the Debian release that the configurations in conf are written for.
// The images have it whatever the machine itself runs.
const (
	suite  = "bookworm"
	mirror = "http://deb.debian.org/debian"
)

// images are the sets of packages that go together. The mail servers exclude
// each other, so each has an image of its own over the base, a minimal Debian.
var images = map[string]string{
	"postfix":   "postfix postgrey dovecot-core dovecot-lmtpd dovecot-sieve",
	"exim":      "exim4-base exim4-config exim4-daemon-heavy",
	"rspamd":    "rspamd redis-server",
	"opensmtpd": "opensmtpd opensmtpd-filter-rspamd",
	"courier":   "courier-mta courier-base courier-authdaemon maildrop",
	"sendmail":  "sendmail-bin sendmail-cf sensible-mda procmail",
}

const base = "base"

// imagePatience bounds how long an image may take.
const imagePatience = 10 * time.Minute

// Variables of the stage that makes an image.
const (
	imageVariable  = "SPAREKEY_MTA_IMAGE"
	folderVariable = "SPAREKEY_MTA_FOLDER"
)

// cache is where the images lie: outside of any repository, like other tools.
func cache() (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("where do images go? %w", err)
	}
	return filepath.Join(folder, "sparekey-tools", "mta"), nil
}

// imageFolder names an image by what it is made of, so that a changed list makes
// a new one.
func imageFolder(cache, name string) string {
	sum := sha256.Sum256([]byte(suite + " " + mirror + " " + images[name]))
	return filepath.Join(cache, name+"-"+hex.EncodeToString(sum[:4]))
}

// makeImages makes the images that the world needs and that are not there.
func (w World) makeImages() error {
	folder, err := cache()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // servers that are not root read from it
		return err
	}
	lock, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("wait for another run that makes images: %w", err)
	}
	for _, name := range w.images() {
		if err := makeImage(folder, name); err != nil {
			return err
		}
	}
	return nil
}

// images gives the names, the base first.
func (w World) images() []string {
	names := []string{base}
	for _, s := range w.Servers {
		if image := servers[s].image; !slices.Contains(names, image) {
			names = append(names, image)
		}
	}
	return names
}

func makeImage(cache, name string) error {
	folder := imageFolder(cache, name)
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := removeImages(cache, name); err != nil { // older ones, and what a broken try left
		return err
	}
	fmt.Fprintf(os.Stderr, "mail servers: making the image %s, once\n", name)
	if err := again(stageImage, unix.CLONE_NEWNS|unix.CLONE_NEWPID, imageVariable+"="+name, folderVariable+"="+cache); err != nil {
		return fmt.Errorf("the image %s could not be made, as said above (%w); it is made once, with debootstrap and from %s", name, err, mirror)
	}
	return nil
}

func removeImages(cache, name string) error {
	old, err := filepath.Glob(filepath.Join(cache, name+"-*"))
	for _, folder := range old {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return err
}

// buildImage is the stage that makes an image, in a mount namespace of its own.
func buildImage() error {
	name, folder := os.Getenv(imageVariable), os.Getenv(folderVariable)
	if err := privateMounts(); err != nil {
		return err
	}
	made := imageFolder(folder, name)
	unfinished := made + "-unfinished"
	build := buildServers
	if name == base {
		build = buildBase
	}
	ctx, cancel := context.WithTimeout(context.Background(), imagePatience)
	defer cancel()
	if err := build(ctx, folder, name, unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, made)
}

func buildBase(ctx context.Context, _, _, target string) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return errors.New("debootstrap is not installed; on Debian: apt-get install debootstrap")
	}
	if err := quietly(exec.CommandContext(ctx, "debootstrap", "--variant=minbase", suite, target, mirror)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(target, "usr/sbin/policy-rc.d"), []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // it is run: nothing is started while packages are installed
		return err
	}
	return quietly(exec.CommandContext(ctx, "chroot", target, "apt-get", "update"))
}

// buildServers installs in memory, since an overlay writes to some file systems
// only, and copies what is new.
func buildServers(ctx context.Context, cache, name, target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil { //nolint:gosec // servers that are not root read from it
		return err
	}
	if err := mountMemory(target); err != nil {
		return err
	}
	root, err := mountRoot(filepath.Join(target, name), imageFolder(cache, base))
	if err != nil {
		return err
	}
	if err := mountDevices(filepath.Join(root, "dev")); err != nil {
		return err
	}
	install := exec.CommandContext(ctx, "chroot", append([]string{root, "apt-get", "install", "-y", "--no-install-recommends"}, strings.Fields(images[name])...)...)
	install.Env = append(serverEnviron, "DEBIAN_FRONTEND=noninteractive")
	if err := quietly(install); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(target, name, upper, "var/cache/apt")); err != nil {
		return err
	}
	// The memory hides the folder of the same name; by another way it is reached.
	behind := filepath.Join(filepath.Dir(target), "copy-"+name)
	if err := quietly(exec.CommandContext(ctx, "cp", "-a", filepath.Join(target, name, upper), behind)); err != nil {
		return err
	}
	if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
		return err
	}
	return errors.Join(os.Remove(target), os.Rename(behind, target))
}

// quietly runs a command, and shows what it said only if it failed.
func quietly(c *exec.Cmd) error {
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", c, err, tail(said.String()))
	}
	return nil
}

// tail gives the last lines of a long text.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
