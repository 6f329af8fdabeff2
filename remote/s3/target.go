package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"gopkg.in/ini.v1"
)

// A target is where the store is.
type target struct {
	host       string // with its port, if it has one
	secure     bool
	region     string
	caCert     string
	addressing string
	aws        bool
}

func (t target) String() string {
	if t.secure {
		return "https://" + t.host
	}
	return "http://" + t.host
}

const awsHost = "s3.amazonaws.com"

// resolve finds out where the store is: from the address, the configuration, the
// environment and the profile, in this order.
func (c Config) resolve(at Location) (target, error) {
	p, err := c.readProfile()
	if err != nil {
		return target{}, err
	}
	t := target{
		region:     first(at.Region, c.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), p.region),
		caCert:     first(c.CACert, os.Getenv("AWS_CA_BUNDLE"), p.caCert),
		addressing: c.Addressing,
	}
	endpoint := first(at.Endpoint, c.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), p.endpoint)
	if endpoint == "" {
		t.host, t.secure, t.aws = awsHost, true, true
		return t, nil
	}
	if err := t.setEndpoint(endpoint, c.AllowHTTP); err != nil {
		return target{}, err
	}
	t.aws = s3utils.IsAmazonEndpoint(url.URL{Host: t.host})
	if t.region == "" && !t.aws {
		t.region = "us-east-1"
	}
	return t, nil
}

func (t *target) setEndpoint(endpoint string, allowHTTP bool) error {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.User != nil: // neither is shown: there may be a password in it
		return fmt.Errorf("the endpoint is not of the form https://HOST:PORT%.0w", fs.ErrInvalid)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "":
		return fmt.Errorf("the endpoint %q is not of the form https://HOST:PORT%.0w", endpoint, fs.ErrInvalid)
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("the endpoint %q: %w", endpoint, ErrPlainHTTP)
	}
	t.host, t.secure = u.Host, u.Scheme == "https"
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// A profile is what AWS's files say of a store beside credentials.
type profile struct{ region, endpoint, caCert string }

// readProfile reads AWS's configuration file. That it is absent is no error.
func (c Config) readProfile() (profile, error) {
	path := awsFile("AWS_CONFIG_FILE", "config")
	file, err := ini.LoadSources(ini.LoadOptions{Loose: true, AllowNestedValues: true}, path)
	if err != nil {
		return profile{}, fmt.Errorf("read %s: %s%.0w", path, unparsable(err), fs.ErrInvalid)
	}
	name := first(c.Profile, os.Getenv("AWS_PROFILE"), "default")
	section := file.Section("profile " + name)
	if name == "default" && file.HasSection(name) {
		section = file.Section(name)
	}
	p := profile{region: section.Key("region").String(), endpoint: section.Key("endpoint_url").String(), caCert: section.Key("ca_bundle").String()}
	if services := section.Key("services").String(); services != "" {
		for _, nested := range file.Section("services " + services).Key("s3").NestedValues() {
			key, value, _ := strings.Cut(nested, "=")
			if strings.TrimSpace(key) == "endpoint_url" {
				p.endpoint = strings.TrimSpace(value)
			}
		}
	}
	return p, nil
}

// unreadable tells why the file of credentials cannot be read; empty: it can, or is
// absent.
func (c Config) unreadable() string {
	path := first(c.CredentialsFile, awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
	if _, err := ini.LoadSources(ini.LoadOptions{Loose: true}, path); err != nil {
		return path + ": " + unparsable(err)
	}
	return ""
}

// awsFile is the path of one of AWS's files.
func awsFile(variable, name string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = string(filepath.Separator) // where there is no such file
	}
	return first(os.Getenv(variable), filepath.Join(home, ".aws", name))
}

// unparsable tells why a file of AWS's cannot be read, without quoting it: the
// line that is wrong may be a secret.
func unparsable(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return "it is not an INI file"
}
