package cmd

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// What is wrong with a store is told in one line and a hint, with the right code,
// and in time (S03 to S07, S22, S24, S25).
func TestS3Errors(t *testing.T) {
	server, _ := startS3(t, s3proc.Options{Users: true})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 100) })
	keys := newPair(t)
	backup := []string{"backup", "--endpoints", etcd.Endpoint, "-r", keys.recipient, "--to"}
	list := []string{"list"}
	for name, c := range map[string]struct {
		code exitCode
		args []string
		env  map[string]string
		rule func(*s3proc.Proxy)
		says []string
	}{
		"no such bucket, list":   {exitStore, append(list, "s3://nowhere/prod"), nil, nil, []string{"nowhere", "no such bucket"}},
		"no such bucket, backup": {exitStore, append(backup, "s3://nowhere/prod"), nil, nil, []string{"nowhere", "no such bucket"}},
		"another region":         {exitStore, append(list, "s3://backups"), map[string]string{"AWS_REGION": "eu-west-9"}, nil, []string{"region"}},
		"a wrong secret":         {exitDenied, append(list, "s3://backups"), map[string]string{"AWS_SECRET_ACCESS_KEY": "canary-secret"}, nil, []string{"the secret key does not belong"}},
		"an unknown key":         {exitDenied, append(backup, "s3://backups"), map[string]string{"AWS_ACCESS_KEY_ID": "unknown"}, nil, []string{"access key"}},
		"no credentials":         {exitDenied, append(list, "s3://backups"), map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, nil, []string{"no credentials", "AWS_WEB_IDENTITY_TOKEN_FILE", "--s3-profile"}},
		"expired credentials": {exitDenied, append(list, "s3://backups"), nil, func(proxy *s3proc.Proxy) {
			proxy.On("ListObjectsV2", 1, 0, s3proc.Refuse(http.StatusBadRequest, "ExpiredToken"))
		}, []string{"the credentials have expired"}},
		"a store that is down": {exitStore, append(list, "s3://backups?endpoint=http://127.0.0.1:1"), nil, nil, []string{"127.0.0.1:1"}},
		"plain http":           {exitGuard, append(list, "s3://backups?endpoint=http://s3.example.com"), nil, nil, []string{"plain http", "--s3-allow-http"}},
		"another scheme":       {exitUsage, append(list, "s3://backups?endpoint=ftp://s3.example.com"), nil, nil, []string{"endpoint"}},
		"a bad address":        {exitUsage, append(list, "s3://"), nil, nil, []string{"bucket"}},
		"a secret, listed":     {exitUsage, append(list, "s3://AKIA:canary@bucket/x.zip.age"), nil, nil, []string{"no place for credentials"}},
		"a secret, written":    {exitUsage, append(backup, "s3://AKIA:canary@bucket/x.zip"), nil, nil, []string{"no place for credentials"}},
		"a secret, read":       {exitUsage, []string{"describe", "s3://AKIA:canary@bucket"}, nil, nil, []string{"no place for credentials"}},
		"no archive":           {exitUsage, []string{"verify", "s3://backups/prod"}, nil, nil, []string{"--store"}},
		"the store is full": {exitNoSpace, append(backup, "s3://backups/full"), nil, func(proxy *s3proc.Proxy) {
			proxy.On("PutObject", 1, 0, s3proc.Refuse(http.StatusInsufficientStorage, "InsufficientStorage"))
		}, []string{"no space left"}},
		"both ways to say how long": {exitUsage, append(backup, "s3://backups", "--retain-for=3d", "--retain-until=2099-01-01"), nil, nil, []string{"--retain-for"}},
		"the past":                  {exitUsage, append(backup, "s3://backups", "--retain-until=2001-01-01"), nil, nil, []string{"future"}},
		"a lock without a time":     {exitUsage, append(backup, "s3://backups", "--retain-mode=governance"), nil, nil, []string{"--retain-for"}},
		"a lock in a folder":        {exitUsage, append(backup, t.TempDir(), "--retain-for=3d"), nil, nil, []string{"S3"}},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			if c.rule != nil {
				proxy := s3proc.NewProxy(t, server)
				t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
				c.rule(proxy)
			}
			begun := time.Now()
			r := must(t, c.code, c.args...)
			r.says(t, c.says...)
			if took := time.Since(begun); took > 10*time.Second || name == "no credentials" && took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			if strings.Count(r.stderr, "\n") > 2 || strings.Contains(r.stderr, "canary") || strings.Contains(r.stderr, s3proc.RootSecretKey) {
				t.Errorf("says: %s", r.stderr)
			}
		})
	}
}

// S01, S09, S12, S13: what a store does on a bad day ends as it should, and each
// fault has come.
func TestS3OnABadDay(t *testing.T) {
	server, _ := startS3(t, s3proc.Options{})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 30, func(i int) (string, string) { return configMap(i, 1000) })
	keys := newPair(t)
	flip := func(body []byte) []byte {
		if len(body) > 2000 { // no receipt
			body[len(body)/2] ^= 1
		}
		return body
	}
	flipped := s3proc.AlterReply(func(_ http.Header, body []byte) []byte { return flip(body) })
	cut := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, ".receipt.json") {
			next.ServeHTTP(w, r)
			return
		}
		s3proc.Cut(100)(w, r, next)
	}
	for name, c := range map[string]struct {
		writing     string // the operation that fails while the archive is written
		write       s3proc.Action
		times       int
		written     exitCode
		reading     s3proc.Action // what happens to each GET afterwards
		read        exitCode
		archivesNow int
	}{
		"503 three times":              {"PutObject", s3proc.Refuse(http.StatusServiceUnavailable, "SlowDown"), 3, exitDone, nil, exitDone, 1},
		"an answer that is lost":       {"PutObject", s3proc.DropReply, 1, exitDone, nil, exitDone, 1},
		"a reset":                      {"PutObject", s3proc.Reset(1000), 1, exitDone, nil, exitDone, 1},
		"bytes that change on the way": {"PutObject", s3proc.AlterRequest(func(body []byte) { flip(body) }), 1, exitDone, nil, exitDone, 1},
		"no right to write":            {"PutObject", s3proc.Refuse(http.StatusForbidden, "AccessDenied"), 0, exitDenied, nil, exitDone, 0},
		"a flipped byte, read":         {"", nil, 0, exitDone, flipped, exitIntegrity, 1},
		"a cut answer, read":           {"", nil, 0, exitDone, cut, exitIntegrity, 1},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := s3proc.NewProxy(t, server)
			t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
			place := "s3://backups/" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "")
			if c.writing != "" {
				proxy.On(c.writing, 1, c.times, c.write)
			}
			r := must(t, c.written, "backup", "--endpoints", etcd.Endpoint, "--to", place, "-r", keys.recipient)
			if list := must(t, exitDone, "list", place, "--all"); strings.Count(list.stdout, " ok\n") != c.archivesNow || strings.Contains(list.stdout, "no receipt") {
				t.Errorf("the list says\n%s", list.stdout)
			}
			if c.reading != nil {
				proxy.On("GetObject", 1, 0, c.reading)
			}
			if archive := strings.TrimSpace(r.stdout); archive != "" {
				must(t, c.read, "verify", archive, "-i", keys.identity)
			}
		})
	}
}
