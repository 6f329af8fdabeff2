package s3

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

const bucket = "backups"

// root are the credentials of the user who may do everything.
var root = Keys{AccessKey: s3proc.RootAccessKey, SecretKey: secretly(s3proc.RootSecretKey)}

// secretly is a secret as Keys take it.
func secretly(s string) func() string { return func() string { return s } }

// TestMain keeps the tests from what the developer has of AWS's.
func TestMain(m *testing.M) {
	var errs []error
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MINIO_") {
			errs = append(errs, os.Unsetenv(name))
		}
	}
	errs = append(errs, os.Setenv("AWS_CONFIG_FILE", os.DevNull), os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull))
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestStore(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"put whole":    func(*Config) {},
		"put in parts": func(c *Config) { c.Threshold, c.PartSize = 1, 5<<20 },
	} {
		t.Run(name, func(t *testing.T) {
			server := s3proc.Start(t, s3proc.Options{})
			server.MakeBucket(bucket, false)
			n := 0
			remotetest.Run(t, func(t *testing.T) remote.Store {
				n++
				c := Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir()}
				change(&c)
				return open(t, Location{Bucket: bucket, Prefix: fmt.Sprintf("p%d", n)}, c)
			})
		})
	}
}

func open(t *testing.T, at Location, c Config) *Store {
	t.Helper()
	if c.RetryBudget == 0 {
		c.RetryBudget = 5 * time.Second
	}
	s, err := Open(context.WithoutCancel(t.Context()), at, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
