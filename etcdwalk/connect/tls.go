package connect

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"
)

// TLS reads the files that c names. Errors name the file, and are [ErrConfig].
func (c Config) TLS() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.InsecureSkipTLSVerify,
	}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, wrong("read the CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, wrong("read the CA certificate: %s holds no PEM certificate", c.CACert)
		}
	}
	if c.Cert == "" && c.Key == "" {
		return config, nil
	}
	if c.Cert == "" || c.Key == "" {
		return nil, wrong("a client certificate and its key go together, and only one is given")
	}
	for _, file := range []string{c.Cert, c.Key} {
		if _, err := os.Stat(file); err != nil {
			return nil, wrong("read the client certificate: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, wrong("read the client certificate %s with the key %s: %w", c.Cert, c.Key, err)
	}
	// Shown to every server, also to one that asks for another authority's
	// certificates: its refusal says more than our silence.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return config, nil
}

// expired tells since when the client certificate is of no use; zero: it is
// not expired, or there is none.
func (c Config) expired(now time.Time) time.Time {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil || pair.Leaf == nil || now.Before(pair.Leaf.NotAfter) {
		return time.Time{}
	}
	return pair.Leaf.NotAfter
}
