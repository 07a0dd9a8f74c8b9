package world

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// subjects are the certificates by name: whom they speak for. The one named
// other speaks for somebody else, the one named expired is over since yesterday.
var subjects = map[string][]string{
	"relay":     {"relay.login.example"},
	"postfix":   {"mx.postfix.example"},
	"other":     {"mx.elsewhere.example"},
	"exim":      {"mx.exim.example"},
	"opensmtpd": {"mx.opensmtpd.example"},
	"courier":   {"mx.courier.example"},
	"expired":   {"tls.courier.example"},
	"sendmail":  {"mx.sendmail.example"},
}

// authority signs the certificates of one world.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	now  time.Time
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, now: now}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of the world"},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return a, nil
}

// write puts a certificate and its key into a folder, as NAME.pem and NAME.key,
// and the authority's own as ca.pem.
func (a *authority) write(folder, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	end := a.now.AddDate(1, 0, 0)
	if name == "expired" {
		end = a.now.AddDate(0, 0, -1)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(a.now.UnixNano()), Subject: pkix.Name{CommonName: subjects[name][0]}, DNSNames: subjects[name],
		NotBefore: a.now.AddDate(0, 0, -20), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(filepath.Join(folder, name+".pem"), "CERTIFICATE", cert),
		writePEM(filepath.Join(folder, name+".key"), "PRIVATE KEY", secret),
		a.writeOwn(filepath.Join(folder, "ca.pem")),
	)
}

// writeOwn writes the authority's certificate: who trusts it trusts the world.
func (a *authority) writeOwn(path string) error {
	own, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return writePEM(path, "CERTIFICATE", own)
}

func writePEM(path, kind string, data []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o644) //nolint:gosec // each server's start narrows it to whom the server runs as
}
