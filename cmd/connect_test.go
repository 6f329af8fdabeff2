package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// An authority signs certificates for tests.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file, _ = a.sign(t, "ca", time.Hour)
	return a
}

// sign makes a key pair for 127.0.0.1 that is valid for so long, and returns
// the files of the certificate and of the key. The first one signs itself.
func (a *authority) sign(t *testing.T, name string, valid time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(valid),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        a.cert == nil, BasicConstraintsValid: true,
	}
	if a.cert == nil {
		a.cert, a.key = template, private
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	check(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	check(t, err)
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(a.dir, name+file)
		check(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return write(".crt", "CERTIFICATE", signed), write(".key", "EC PRIVATE KEY", secret)
}

// E19, E20, E21: what is wrong with a connection is told in one line, with the
// file or the endpoint, in time.
func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	connectionErrors(t, etcdproc.Options{}, "--api=v3")
}

func TestConnectionErrorsOverV2(t *testing.T) {
	t.Parallel()
	connectionErrors(t, etcdproc.Options{Version: etcdproc.V35, Flags: []string{"--enable-v2"}}, "--api=v2")
}

func connectionErrors(t *testing.T, o etcdproc.Options, api string) {
	t.Helper()
	ca, stranger := newAuthority(t), newAuthority(t)
	cert, key := ca.sign(t, "server", time.Hour)
	client, clientKey := ca.sign(t, "client", time.Hour)
	old, oldKey := ca.sign(t, "old", -time.Hour)
	alien, alienKey := stranger.sign(t, "alien", time.Hour)
	plain := etcdproc.Start(t, o)
	o.TLS = &etcdproc.TLS{Cert: cert, Key: key}
	secure := etcdproc.Start(t, o)
	o.TLS = &etcdproc.TLS{Cert: cert, Key: key, ClientCA: ca.file}
	strict := etcdproc.Start(t, o)
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	check(t, err)
	defer deaf.Close()
	to := func(scheme, endpoint string) string {
		_, address, _ := strings.Cut(endpoint, "://")
		return scheme + "://" + address
	}
	for name, c := range map[string]struct {
		code exitCode
		args []string
		says []string
	}{
		"all is well": {exitDone, []string{"--endpoints", strict.Endpoint, "--cacert", ca.file, "--cert", client, "--key", clientKey, "--allow-empty"}, nil},
		"unchecked, and warned of": {
			exitDone, []string{"--endpoints", secure.Endpoint, "--insecure-skip-tls-verify", "--allow-empty"},
			[]string{"warning: --insecure-skip-tls-verify"},
		},
		"no CA":                   {exitCluster, []string{"--endpoints", secure.Endpoint}, []string{"not signed by an authority that this system knows", "--cacert"}},
		"another CA":              {exitCluster, []string{"--endpoints", secure.Endpoint, "--cacert", stranger.file}, []string{"not signed by the CA in " + stranger.file}},
		"another host":            {exitCluster, []string{"--endpoints", strings.Replace(secure.Endpoint, "127.0.0.1", "localhost", 1), "--cacert", ca.file}, []string{"for another host"}},
		"no client certificate":   {exitDenied, []string{"--endpoints", strict.Endpoint, "--cacert", ca.file}, []string{"wants a client certificate", "--cert"}},
		"an expired one":          {exitDenied, []string{"--endpoints", strict.Endpoint, "--cacert", ca.file, "--cert", old, "--key", oldKey}, []string{old, "expired"}},
		"one of another CA":       {exitDenied, []string{"--endpoints", strict.Endpoint, "--cacert", ca.file, "--cert", alien, "--key", alienKey}, []string{alien}},
		"a key that does not fit": {exitConfig, []string{"--endpoints", strict.Endpoint, "--cacert", ca.file, "--cert", client, "--key", oldKey}, []string{client, oldKey}},
		"plain text to TLS":       {exitCluster, []string{"--endpoints", to("http", secure.Endpoint)}, []string{"the server speaks TLS", "use https://"}},
		"TLS to plain text":       {exitCluster, []string{"--endpoints", to("https", plain.Endpoint), "--cacert", ca.file}, []string{"does not speak TLS", "use http://"}},
		"no answer":               {exitCluster, []string{"--endpoints", "http://" + deaf.Addr().String(), "--dial-timeout=300ms"}, []string{"no answer within 300ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			r := must(t, c.code, append([]string{"backup", "--dry-run", api}, c.args...)...)
			r.says(t, c.says...)
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
			if c.code != exitDone && (strings.Count(r.stderr, "\n") > 2 || strings.Contains(r.stderr, "rpc error")) {
				t.Errorf("says: %s", r.stderr)
			}
		})
	}
}
