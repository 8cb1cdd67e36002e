package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const validFor = 365 * 24 * time.Hour

// The certificates of a control plane and one node: who presents each, as Kubernetes reads it from the subject.
var holders = map[string]pkix.Name{
	"admin":                   {Organization: []string{"system:masters"}, CommonName: "admin"},
	"front-proxy":             {CommonName: "front-proxy"},
	"kube-apiserver":          {CommonName: "kube-apiserver"},
	"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
	"kube-proxy":              {CommonName: "system:kube-proxy"},
	"kube-scheduler":          {CommonName: "system:kube-scheduler"},
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	folder      string
}

// certificates writes ca, service-account and one pair per holder and kubelet into a folder: NAME.crt and NAME.key.
// Arguments: the folder, the node's name, the addresses that the API server and the kubelet answer on.
func certificates(arguments []string) error {
	if len(arguments) < 3 {
		return fmt.Errorf("usage: kubebox certificates FOLDER NODE ADDRESS...")
	}
	folder, node, addresses := arguments[0], arguments[1], arguments[2:]
	names := []string{"localhost", node, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	names = append(names, "kubernetes.default.svc.cluster.local")
	ca, err := newAuthority(folder)
	if err != nil {
		return err
	}
	kubelet := pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:" + node}
	if err := ca.issue("kubelet", kubelet, names, addresses); err != nil {
		return err
	}
	for name, subject := range holders {
		if err := ca.issue(name, subject, names, addresses); err != nil {
			return err
		}
	}
	return serviceAccountKey(folder)
}

func newAuthority(folder string) (*authority, error) {
	key, err := newKey(folder, "ca")
	if err != nil {
		return nil, err
	}
	template := templateFor(pkix.Name{CommonName: "cluster-ca"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, folder}, writePEM(folder, "ca.crt", "CERTIFICATE", der)
}

func (ca *authority) issue(name string, subject pkix.Name, names, addresses []string) error {
	key, err := newKey(ca.folder, name)
	if err != nil {
		return err
	}
	template := templateFor(subject)
	template.DNSNames = names
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, &key.PublicKey, ca.key)
	if err != nil {
		return err
	}
	return writePEM(ca.folder, name+".crt", "CERTIFICATE", der)
}

func templateFor(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validFor),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
}

// The API server signs service account tokens with the key and checks them with its public half.
func serviceAccountKey(folder string) error {
	key, err := newKey(folder, "service-account")
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	return writePEM(folder, "service-account.pub", "PUBLIC KEY", der)
}

func newKey(folder, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(folder, name+".key", "EC PRIVATE KEY", der)
}

func writePEM(folder, name, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(folder, name), text, 0o600)
}
