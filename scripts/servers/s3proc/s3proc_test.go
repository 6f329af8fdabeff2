package s3proc

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

func put(t *testing.T, c *minio.Core, bucket, key, data string) {
	t.Helper()
	if _, err := c.Client.PutObject(t.Context(), bucket, key, strings.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestServersServe(t *testing.T) {
	leaf := etcdproc.NewCA(t).Issue(t, "server", nil)
	for name, o := range map[string]Options{
		"plain":    {},
		"TLS":      {TLS: &leaf},
		"versions": {Versioning: true, Region: "eu-central-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, o)
			s.MakeBucket("bucket", o.Versioning)
			put(t, s.Client(), "bucket", "a/b", "content")
			object, info, _, err := s.Client().GetObject(t.Context(), "bucket", "a/b", minio.GetObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(object); string(data) != "content" || err != nil {
				t.Errorf("got %q, %v", data, err)
			}
			if got := info.VersionID != ""; got != o.Versioning {
				t.Errorf("got version %q", info.VersionID)
			}
		})
	}
}

func TestUsersMayDoWhatTheirPolicySays(t *testing.T) {
	s := Start(t, Options{Users: true})
	s.MakeBucket("bucket", false)
	s.AddUser("writer", "writers-secret", "bucket", `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": ["$USER"], "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::bucket/*"]}]}`)
	writer, err := minio.NewCore(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("writer", "writers-secret", ""), Region: s.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, writer, "bucket", "a", "content")
	_, err = writer.StatObject(t.Context(), "bucket", "a", minio.StatObjectOptions{})
	if got := minio.ToErrorResponse(err).StatusCode; got != http.StatusForbidden {
		t.Errorf("stat: got status %d, %v, want 403", got, err)
	}
}

func TestTheProxyDoesWhatItsRulesSay(t *testing.T) {
	s := Start(t, Options{})
	s.MakeBucket("bucket", false)
	put(t, s.Client(), "bucket", "a", "content")
	p := NewProxy(t, s)
	p.On("GetObject", 1, 1, Refuse(http.StatusServiceUnavailable, "SlowDown"))
	p.On("GetObject", 2, 2, Cut(3))
	p.On("GetObject", 3, 3, AlterReply(func(_ http.Header, body []byte) []byte { return bytes.ToUpper(body) }))
	through := *s
	through.Endpoint = p.Endpoint
	client := through.Client()
	get := func() string {
		object, _, _, err := client.GetObject(t.Context(), "bucket", "a", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		data, _ := io.ReadAll(object) // what is there of it
		return string(data)
	}
	for _, want := range []string{"con", "CONTENT", "content"} {
		if got := get(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := len(p.Requests("GetObject")); got != 4 {
		t.Errorf("got %d requests, want 4", got)
	}
}
