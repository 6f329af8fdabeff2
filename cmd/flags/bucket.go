package flags

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// bucket is the flags about how a place in S3 is reached.
type bucket struct {
	s      *Settings
	config s3.Config
}

func (b *bucket) addFlags(set *pflag.FlagSet, s *Settings) {
	b.s = s
	group(set, titleS3, topicS3, func(own *pflag.FlagSet) {
		own.StringVar(&b.config.Endpoint, "s3-endpoint", "", "`URL` of the S3 store (default AWS_ENDPOINT_URL_S3, the profile's, AWS)")
		own.StringVar(&b.config.Region, "s3-region", "", "`REGION` of the bucket (default AWS_REGION, the profile's)")
		own.StringVar(&b.config.Profile, "s3-profile", "", "`PROFILE` of the AWS files with the credentials (default AWS_PROFILE)")
		own.StringVar(&b.config.CredentialsFile, "s3-credentials-file", "", "`FILE` of credentials in AWS's form (default AWS_SHARED_CREDENTIALS_FILE)")
		own.StringVar(&b.config.CACert, "s3-cacert", "", "`FILE` with the CA certificates of the S3 store (default AWS_CA_BUNDLE)")
		Enum(own, &b.config.Addressing, "s3-addressing", "bucket addressing style (default host for AWS, else path)",
			Choice[string]{Word: "path", Value: "path", Help: "after the host"}, Choice[string]{Word: "host", Value: "host", Help: "in the host's name"})
		own.BoolVar(&b.config.AllowHTTP, "s3-allow-http", false, "allow plain http to an S3 store on another machine")
		own.StringVar(&b.config.SpoolDir, "spool-dir", "", "`FOLDER` for encrypted data on its way to or from S3 or to a folder that cannot rename, and for what a restore remembers of its plan, without values (default the system's temporary folder)")
	})
}

// spool is the folder for what waits to be copied to a folder that cannot rename. What is
// not encrypted waits there itself: it touches no other disk.
func (b *bucket) spool(encrypted bool) string {
	if !encrypted {
		return ""
	}
	return cmp.Or(b.config.SpoolDir, os.TempDir())
}

// open opens a place in S3, whose objects get the properties that the lock says.
func (b *bucket) open(ctx context.Context, at s3.Location, lock lock) (_ *s3.Store, err error) {
	config := b.config
	config.LockMode, config.RetainUntil, config.Tags = lock.mode, lock.until, lock.tags
	if config.Profile == "" && config.CredentialsFile == "" {
		if config.Keys, err = keysOfService(b.s.Shell); err != nil {
			return nil, err
		}
	}
	config.Log = b.s.Log()
	store, err := s3.Open(ctx, at, config)
	if errors.Is(err, fs.ErrInvalid) {
		return nil, console.Usagef("%w", err)
	}
	return store, err
}

// keysOfService are the credentials that systemd hands over; none if it does not.
func keysOfService(sh *console.Shell) (s3.Keys, error) {
	folder, ok := sh.Getenv("CREDENTIALS_DIRECTORY")
	access, key := filepath.Join(folder, "s3-access-key"), filepath.Join(folder, "s3-secret-key")
	if !ok || !isFile(access) && !isFile(key) {
		return s3.Keys{}, nil
	}
	id, err := console.ReadSecretFile("S3 access key", access, sh)
	if err != nil {
		return s3.Keys{}, err
	}
	pass, err := console.ReadSecretFile("S3 secret key", key, sh)
	return s3.Keys{AccessKey: id.Reveal(), SecretKey: pass.Reveal}, err
}

// publishing is the flags about what objects in S3 are to be like.
type publishing struct {
	retainUntil, retainMode string
	retainFor               catalog.Span
	tags                    map[string]string
}

func (f *publishing) addFlags(set *pflag.FlagSet, b *bucket) {
	group(set, titleS3, topicS3, func(own *pflag.FlagSet) {
		own.StringVar(&f.retainUntil, "retain-until", "", "lock the archive until `DATE`, such as 2027-01-31 or 2027-01-31T12:00:00Z")
		own.Var(&f.retainFor, "retain-for", "lock the archive for this `TIME`, such as 30d or 1y")
		Enum(own, &f.retainMode, "retain-mode", "lock that users with the bypass permission can lift, or nobody (default governance)",
			Choice[string]{Word: "governance", Value: "GOVERNANCE", Help: "who has the right to bypass it"},
			Choice[string]{Word: "compliance", Value: "COMPLIANCE", Help: "nobody"})
		own.StringVar(&b.config.Encryption, "s3-encryption", "", "server-side encryption `MODE`: AES256 or aws:kms (default the bucket's)")
		own.StringVar(&b.config.KMSKey, "s3-kms-key", "", "`KEY` for --s3-encryption=aws:kms (default the bucket's)")
		own.StringVar(&b.config.StorageClass, "s3-storage-class", "", "storage `CLASS` of the archive; its receipt keeps the bucket's (default the bucket's)")
		own.StringToStringVar(&f.tags, "s3-tag", nil, "tag the objects with `KEY=VALUE`; repeatable")
	})
}

// A lock says what becomes of an object beside its bytes.
type lock struct {
	mode  string // empty: it is not locked
	until time.Time
	tags  map[string]string
}

// lock is what the flags say, as of now.
func (f *publishing) lock(now time.Time) (lock, error) {
	l := lock{mode: f.retainMode, tags: f.tags}
	switch {
	case f.retainUntil != "" && f.retainFor != catalog.Span{}:
		return lock{}, console.Usagef("--retain-until and --retain-for both say how long; leave one of them out")
	case f.retainUntil != "":
		until, err := time.Parse(time.RFC3339, f.retainUntil)
		if err != nil {
			until, err = time.ParseInLocation(time.DateOnly, f.retainUntil, time.Local)
		}
		if err != nil || !until.After(now) {
			return lock{}, console.Usagef("--retain-until=%s: it takes a date in the future, such as 2027-01-31 or 2027-01-31T12:00:00Z", f.retainUntil)
		}
		l.until = until.UTC().Truncate(time.Second)
	case f.retainFor != catalog.Span{}:
		l.until = f.retainFor.After(now).UTC().Truncate(time.Second)
	case f.retainMode != "":
		return lock{}, console.Usagef("--retain-mode says how, but not how long: add --retain-for or --retain-until")
	default:
		return l, nil
	}
	if l.mode == "" {
		l.mode = "GOVERNANCE"
	}
	return l, nil
}

// locks tells whether a lock was asked for, which only S3 has.
func (f *publishing) locks() bool {
	return f.retainUntil != "" || f.retainFor != catalog.Span{} || f.retainMode != ""
}
