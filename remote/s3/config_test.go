package s3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

func TestParse(t *testing.T) { // S21, S24
	for address, want := range map[string]Location{
		"s3://bucket":               {Bucket: "bucket"},
		"s3://bucket/":              {Bucket: "bucket"},
		"s3://bucket/a/b/":          {Bucket: "bucket", Prefix: "a/b"},
		"s3://bucket/a b%20+ü#":     {Bucket: "bucket", Prefix: "a b%20+ü#"},
		"s3://bucket/a?region=eu-1": {Bucket: "bucket", Prefix: "a", Region: "eu-1"},
		"s3://bucket?endpoint=http%3A%2F%2Flocalhost:9&region=x": {Bucket: "bucket", Endpoint: "http://localhost:9", Region: "x"},
	} {
		got, err := Parse(address)
		if diff := cmp.Diff(got, want, cmpopts.IgnoreUnexported(Location{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-got +want):\n%s", address, err, diff)
		}
	}
	for _, address := range []string{
		"", "bucket/a", "s3:/bucket", "s3://", "s3:///a", "s3://bucket//a", "s3://bucket/a//b", "s3://bucket/../a", "s3://bucket/a\nb",
		"s3://b", "s3://bucket?secret=x", "s3://bucket?%zz", "s3://AKIA:geheim@bucket/a", "s3://bucket/" + strings.Repeat("x", 1025),
	} {
		_, err := Parse(address)
		if !errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want fs.ErrInvalid, without secrets, in one line", address, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, address := range []string{"s3://bucket/a/b", "s3://bucket?region=x", "s3://bucket/ü b?endpoint=y", "s3://b//", "https://x"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		at, err := Parse(address)
		if err != nil {
			return
		}
		again, err := Parse(at.Address())
		if again != at || err != nil {
			t.Errorf("%q: got %+v, and from its text %+v, %v", address, at, again, err)
		}
	})
}

func TestEndpoints(t *testing.T) { // S22, S24
	at := Location{Bucket: bucket}
	for endpoint, want := range map[string]string{
		"":                        "https://s3.amazonaws.com",
		"https://s3.example.com":  "https://s3.example.com",
		"https://s3.example.com/": "https://s3.example.com",
		"s3.example.com:9000":     "https://s3.example.com:9000",
		"http://localhost:9000":   "http://localhost:9000",
		"http://127.0.0.1":        "http://127.0.0.1",
		"http://[::1]:9000":       "http://[::1]:9000",
	} {
		if got, err := (Config{Endpoint: endpoint}).resolve(at); err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v, want %q", endpoint, got, err, want)
		}
	}
	for _, endpoint := range []string{"http://s3.example.com", "http://10.0.0.1:9000", "http://localhost.example.com"} {
		if _, err := (Config{Endpoint: endpoint}).resolve(at); !errors.Is(err, ErrPlainHTTP) {
			t.Errorf("%q: got %v, want ErrPlainHTTP", endpoint, err)
		}
		if _, err := (Config{Endpoint: endpoint, AllowHTTP: true}).resolve(at); err != nil {
			t.Errorf("%q, allowed: %v", endpoint, err)
		}
	}
	for _, endpoint := range []string{"https://s3.example.com/path", "ftp://s3.example.com", "https://", "https://user:geheim@s3.example.com", "https://x?y", "https://x:y z"} {
		if _, err := (Config{Endpoint: endpoint}).resolve(at); !errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: got %v, want fs.ErrInvalid, without the password", endpoint, err)
		}
	}
}

func TestWhatCannotBeMeantIsRefusedAtOnce(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for name, c := range map[string]Config{
		"addressing":              {Addressing: "both"},
		"encryption":              {Encryption: "rot13"},
		"a key for no encryption": {KMSKey: "key"},
		"lock mode":               {LockMode: "perhaps", RetainUntil: until},
		"a lock without an end":   {LockMode: "COMPLIANCE"},
		"an end without a lock":   {RetainUntil: until},
		"part size":               {PartSize: 1 << 20},
		"tags":                    {Tags: map[string]string{"a\n": "b"}},
	} {
		c.Keys = root
		if _, err := Open(t.Context(), Location{Bucket: bucket}, c); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: got %v, want fs.ErrInvalid", name, err)
		}
	}
	for _, c := range []Config{{}, {Encryption: "AES256", LockMode: "GOVERNANCE", RetainUntil: until, Tags: map[string]string{"a": "b c"}}} {
		c.Keys = root
		if _, err := Open(t.Context(), Location{Bucket: bucket}, c); err != nil {
			t.Error(err)
		}
	}
}

// writeFile makes a file of the test's and returns its path.
func writeFile(t *testing.T, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhereSettingsComeFrom(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", writeFile(t, "[default]\nregion = of-default\n[profile p]\nregion = of-profile\nendpoint_url = https://profile\nca_bundle = /profile\n"+
		"[profile s]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = https://services\n"))
	type settings struct{ Region, Endpoint, CA string }
	get := func(at Location, c Config) settings {
		got, err := c.resolve(at)
		if err != nil {
			t.Fatal(err)
		}
		return settings{got.region, got.String(), got.caCert}
	}
	for _, step := range []struct {
		name string
		set  func() (Location, Config)
		want settings
	}{
		{"the default profile", func() (Location, Config) { return Location{}, Config{} }, settings{"of-default", "https://s3.amazonaws.com", ""}},
		{"a profile's services", func() (Location, Config) { return Location{}, Config{Profile: "s"} }, settings{"us-east-1", "https://services", ""}},
		{"a profile", func() (Location, Config) {
			t.Setenv("AWS_PROFILE", "p")
			return Location{}, Config{}
		}, settings{"of-profile", "https://profile", "/profile"}},
		{"the environment", func() (Location, Config) {
			t.Setenv("AWS_DEFAULT_REGION", "of-environment")
			t.Setenv("AWS_ENDPOINT_URL", "https://environment")
			t.Setenv("AWS_CA_BUNDLE", "/environment")
			return Location{}, Config{}
		}, settings{"of-environment", "https://environment", "/environment"}},
		{"S3's environment", func() (Location, Config) {
			t.Setenv("AWS_REGION", "of-region")
			t.Setenv("AWS_ENDPOINT_URL_S3", "https://s3environment")
			return Location{}, Config{}
		}, settings{"of-region", "https://s3environment", "/environment"}},
		{"the configuration", func() (Location, Config) {
			return Location{}, Config{Region: "c", Endpoint: "https://configuration", CACert: "/c"}
		}, settings{"c", "https://configuration", "/c"}},
		{"the address", func() (Location, Config) {
			return Location{Region: "a", Endpoint: "https://address"}, Config{Region: "c", Endpoint: "https://configuration"}
		}, settings{"a", "https://address", "/environment"}},
	} {
		if diff := cmp.Diff(get(step.set()), step.want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", step.name, diff)
		}
	}
}

func TestNoCredentials(t *testing.T) { // S07, SP7
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
	t.Setenv("AWS_CONFIG_FILE", "")
	// An address that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+l.Addr().String())
	begun := time.Now()
	_, err = Open(t.Context(), Location{Bucket: bucket}, Config{})
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if !errors.Is(err, ErrNoCredentials) {
		t.Fatalf("got %v, want ErrNoCredentials", err)
	}
	for _, want := range []string{
		"the environment: AWS_ACCESS_KEY_ID or", "MinIO's environment: ", "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set",
		"the AWS files: ", "the container: AWS_CONTAINER", "the instance's role: no answer within 1s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to tell %q", err, want)
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if _, err := Open(t.Context(), Location{Bucket: bucket}, Config{}); !strings.Contains(fmt.Sprint(err), "AWS_EC2_METADATA_DISABLED is true") {
		t.Errorf("got %v", err)
	}
}

func TestCredentialsAreFound(t *testing.T) {
	server := s3proc.Start(t, s3proc.Options{})
	server.MakeBucket(bucket, false)
	file := fmt.Sprintf("[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[p]\naws_access_key_id = %s\naws_secret_access_key = %s\n", root.AccessKey, s3proc.RootSecretKey)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/latest/api/token":
			_, _ = fmt.Fprint(w, "token")
		case "/latest/meta-data/iam/security-credentials/":
			_, _ = fmt.Fprint(w, "role")
		default:
			_, _ = fmt.Fprintf(w, `{"Code": "Success", "AccessKeyId": %q, "SecretAccessKey": %q, "Expiration": %q}`,
				root.AccessKey, s3proc.RootSecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	defer metadata.Close()
	for name, set := range map[string]func(t *testing.T, c *Config){
		"given": func(_ *testing.T, c *Config) { c.Keys = root },
		"in the environment": func(t *testing.T, _ *Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", root.AccessKey)
			t.Setenv("AWS_SECRET_ACCESS_KEY", s3proc.RootSecretKey)
		},
		"in MinIO's environment": func(t *testing.T, _ *Config) {
			t.Setenv("MINIO_ACCESS_KEY", root.AccessKey)
			t.Setenv("MINIO_SECRET_KEY", s3proc.RootSecretKey)
		},
		"in the profile that is given": func(t *testing.T, c *Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", "wrong")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
			c.CredentialsFile, c.Profile = writeFile(t, file), "p"
		},
		"in the profile of the environment": func(t *testing.T, _ *Config) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", writeFile(t, file))
			t.Setenv("AWS_PROFILE", "p")
		},
		"in the container": func(t *testing.T, _ *Config) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", metadata.URL) },
		"in the instance's role": func(t *testing.T, _ *Config) {
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Endpoint: server.Endpoint}
			set(t, &c)
			if got := remotetest.Names(t, open(t, Location{Bucket: bucket}, c), ""); len(got) != 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFilesThatCannotBeReadAreNotQuoted(t *testing.T) {
	const secret = "geheim"
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", writeFile(t, "[default]\n"+secret+"\n"))
	_, err := Open(t.Context(), Location{Bucket: bucket}, Config{})
	if !errors.Is(err, ErrNoCredentials) || !strings.Contains(err.Error(), "not an INI file") || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
	t.Setenv("AWS_CONFIG_FILE", writeFile(t, secret))
	if _, err := Open(t.Context(), Location{Bucket: bucket}, Config{Keys: root}); !errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

func TestKeysDoNotTell(t *testing.T) { // K-6
	keys := Keys{AccessKey: "public", SecretKey: secretly("canary-secret"), SessionToken: secretly("canary-token")}
	var shown strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("keys", "keys", keys, "config", Config{Keys: keys})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		fmt.Fprintf(&shown, verb+verb, keys, Config{Keys: keys})
	}
	if strings.Contains(shown.String(), "canary") || !strings.Contains(shown.String(), "public") {
		t.Errorf("got %s", shown.String())
	}
}

func TestWrongCredentials(t *testing.T) {
	r := newRig(t)
	for name, test := range map[string]struct {
		keys Keys
		want string
	}{
		"an unknown access key": {Keys{AccessKey: "nobody", SecretKey: secretly("geheim")}, "does not know this access key"},
		"a wrong secret key":    {Keys{AccessKey: root.AccessKey, SecretKey: secretly("geheim")}, "secret key does not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Location{Bucket: bucket}, Config{Endpoint: r.server.Endpoint, Keys: test.keys})
			_, errOpen := s.Open(t.Context(), "a")
			_, errCreate := open(t, s.at, s.config).Create(t.Context(), "a")
			for what, err := range map[string]error{
				"list": firstError(t, s), "open": errOpen, "create": errCreate, "remove": s.Remove(t.Context(), "a"),
			} {
				if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") {
					t.Errorf("%s: got %v, want an fs.ErrPermission: %s", what, err, test.want)
				}
			}
		})
	}
}

func TestCredentialsThatExpireAreLookedForAgain(t *testing.T) { // S06
	r := newRig(t)
	file := writeFile(t, "")
	set := func(secret string) {
		if err := os.WriteFile(file, fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", root.AccessKey, secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set(s3proc.RootSecretKey)
	r.config.Keys, r.config.CredentialsFile = Keys{}, file
	t.Run("and found", func(t *testing.T) {
		s, proxy := r.inParts(t)
		proxy.On("UploadPart", 2, 2, s3proc.Refuse(400, "ExpiredToken"))
		if err := publish(t.Context(), s, "a", big); err != nil {
			t.Error(err)
		}
	})
	t.Run("and found too old", func(t *testing.T) {
		s, proxy := r.inParts(t)
		proxy.On("UploadPart", 2, 0, s3proc.Refuse(400, "ExpiredToken"))
		if err := publish(t.Context(), s, "a", big); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "expired") {
			t.Errorf("got %v, want an fs.ErrPermission: expired", err)
		}
		assertOnly(t, s)
	})
}

func TestStoresThatAreNotThere(t *testing.T) { // S04
	r := newRig(t)
	for name, test := range map[string]struct {
		at   Location
		c    Config
		want error
		text string
	}{
		"no bucket":      {Location{Bucket: "nothing"}, Config{Endpoint: r.server.Endpoint}, ErrNoBucket, "nothing"},
		"no server":      {Location{Bucket: bucket}, Config{Endpoint: "http://127.0.0.1:1"}, ErrUnavailable, "127.0.0.1:1"},
		"no host":        {Location{Bucket: bucket}, Config{Endpoint: "https://nowhere.invalid"}, ErrUnavailable, "nowhere.invalid"},
		"no TLS":         {Location{Bucket: bucket}, Config{Endpoint: strings.Replace(r.server.Endpoint, "http", "https", 1)}, ErrUnavailable, "https"},
		"not the region": {Location{Bucket: bucket, Region: "eu-west-9"}, Config{Endpoint: r.server.Endpoint}, ErrUnavailable, "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			test.c.Keys, test.c.SpoolDir, test.c.RetryBudget = root, t.TempDir(), time.Second
			s := open(t, test.at, test.c)
			_, err := s.Create(t.Context(), "a")
			for what, err := range map[string]error{"create": err, "list": firstError(t, s)} {
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: got %v, want %v with %s", what, err, test.want, test.text)
				}
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) { // S04
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer elsewhere.Close()
	r := newRig(t)
	for _, k := range tasks {
		t.Run(k.op, func(t *testing.T) {
			_, _, err := k.do(t, r, 1, 0, s3proc.Redirect(elsewhere.URL), func(s *Store) { s.config.RetryBudget = time.Second })
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "redirects are not followed") {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
	if asked > 0 {
		t.Errorf("%d requests went elsewhere", asked)
	}
}

func TestTheClock(t *testing.T) { // S05, C09
	s, proxy := newRig(t).store(t)
	if _, known := s.Skew(); known {
		t.Error("known before any answer")
	}
	if got := remotetest.Names(t, s, ""); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if skew, known := s.Skew(); !known || skew.Abs() > 2*time.Second {
		t.Errorf("got %v, %v, want none", skew, known)
	}
	proxy.On("ListObjectsV2", 1, 0, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
		s3proc.Refuse(403, "RequestTimeTooSkewed")(w, r, next)
	})
	if err := firstError(t, s); !errors.Is(err, ErrSkew) || !strings.Contains(err.Error(), "by 20m0s: this machine is ahead") {
		t.Errorf("got %v, want ErrSkew with the measure", err)
	}
	if skew, _ := s.Skew(); (skew - 20*time.Minute).Abs() > 2*time.Second {
		t.Errorf("got %v, want 20 minutes", skew)
	}
}

func TestTLS(t *testing.T) { // S22
	ca := etcdproc.NewCA(t)
	good := ca.Issue(t, "good", nil)
	old := ca.Issue(t, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	other := ca.Issue(t, "other", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"} })
	for name, test := range map[string]struct {
		leaf etcdproc.Leaf
		ca   string
		want error
	}{
		"a CA of its own":     {good, ca.File, nil},
		"an unknown CA":       {good, "", ErrUnavailable},
		"another CA":          {good, etcdproc.NewCA(t).File, ErrUnavailable},
		"an old certificate":  {old, ca.File, ErrUnavailable},
		"another host's name": {other, ca.File, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3proc.Start(t, s3proc.Options{TLS: &test.leaf})
			server.MakeBucket(bucket, false)
			s := open(t, Location{Bucket: bucket}, Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir(), CACert: test.ca})
			begun := time.Now()
			if err := publish(t.Context(), s, "a", []byte("x")); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if took := time.Since(begun); test.want != nil && took > time.Second {
				t.Errorf("it was tried for %s, though it cannot get better", took)
			}
		})
	}
	for _, file := range []string{writeFile(t, "no PEM"), "/nowhere"} {
		if _, err := Open(t.Context(), Location{Bucket: bucket}, Config{Keys: root, CACert: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v, want an error that names %s", err, file)
		}
	}
}

func TestLocationsAreTakenApartAndPutTogether(t *testing.T) {
	for _, c := range []struct{ address, place, name string }{
		{"s3://bucket/prod/eu/a.zip.age", "s3://bucket/prod/eu", "a.zip.age"},
		{"s3://bucket/a.zip?endpoint=http://127.0.0.1:9000&region=eu", "s3://bucket?endpoint=http://127.0.0.1:9000&region=eu", "a.zip"},
		{"s3://bucket", "s3://bucket", ""},
		{"s3://bucket/", "s3://bucket", ""},
	} {
		at, err := Parse(c.address)
		if err != nil {
			t.Fatalf("%s: %v", c.address, err)
		}
		place, name := at.Split()
		if place.Address() != c.place || name != c.name {
			t.Errorf("%s: it lies in %s as %q, want %s and %q", c.address, place.Address(), name, c.place, c.name)
		}
		if name == "" {
			continue
		}
		if back := place.Join(name); back != at || back.Address() != c.address {
			t.Errorf("%s: put together again it is %s", c.address, back.Address())
		}
	}
}
