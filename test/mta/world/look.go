package world

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Folder is where a world lives while it does. Each has its own, in memory and
// seen by itself alone, at the same place.
func Folder() string {
	folder, err := cache()
	if err != nil {
		return "/mnt" // it was found when the images were made
	}
	return filepath.Join(folder, "world")
}

// Authority is the file of the certificate that signed the world's servers.
func Authority() string { return filepath.Join(Folder(), "ca.pem") }

func rootOf(server string) string { return filepath.Join(Folder(), server, "root") }

func logFile() string { return filepath.Join(Folder(), "log") }

// keepLog writes what servers tell their system logger, all of them into one file.
func keepLog(socket string) error {
	c, err := new(net.ListenConfig).ListenPacket(context.Background(), "unixgram", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o666); err != nil { //nolint:gosec // every server writes to it
		return err
	}
	f, err := os.Create(logFile())
	if err != nil {
		return err
	}
	go func() {
		line := make([]byte, 1<<16)
		for {
			n, _, err := c.ReadFrom(line)
			if err != nil {
				return
			}
			text := line[:n]
			if _, after, ok := bytes.Cut(text, []byte(">")); ok && bytes.HasPrefix(text, []byte("<")) {
				text = after
			}
			_, _ = fmt.Fprintf(f, "%s\n", bytes.TrimRight(text, "\x00\n"))
		}
	}()
	return nil
}

// Log gives the lines of all servers' logs that hold a text, in order.
func Log(text string) string {
	all, err := os.ReadFile(logFile())
	if err != nil {
		return err.Error()
	}
	var found strings.Builder
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			found.WriteString(line)
		}
	}
	return found.String()
}

// Mailbox gives the mails in somebody's mailbox, wherever it is kept.
func Mailbox(address string) ([][]byte, error) {
	local, domain, _ := strings.Cut(address, "@")
	var mails [][]byte
	for name := range servers {
		for _, pattern := range []string{
			filepath.Join("var/vmail", domain, local, "new/*"),         // Maildir
			filepath.Join("var/vmail", domain, local, "Maildir/new/*"), // the same, in a home
			filepath.Join("var/mail", local),                           // mbox
		} {
			if strings.HasPrefix(pattern, "var/mail") && name+".example" != domain {
				continue
			}
			files, err := filepath.Glob(filepath.Join(rootOf(name), pattern))
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				mail, err := os.ReadFile(f)
				if err != nil {
					return nil, err
				}
				mails = append(mails, mail)
			}
		}
	}
	return mails, nil
}
