package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

func TestDamagedAnswersAreAskedForOnceMore(t *testing.T) { // S13
	data := noise(100_000)
	header := func(name, value string) s3proc.Action {
		return s3proc.AlterReply(func(h http.Header, body []byte) []byte { h.Set(name, value); return body })
	}
	r := newRig(t)
	for name, act := range map[string]s3proc.Action{
		"cut":             s3proc.Cut(50_000),
		"cut at once":     s3proc.Cut(0),
		"short":           s3proc.AlterReply(func(_ http.Header, body []byte) []byte { return body[:50_000] }),
		"long":            s3proc.AlterReply(func(_ http.Header, body []byte) []byte { return append(body, 'x') }),
		"another range":   header("Content-Range", "bytes 1-100000/100001"),
		"another length":  header("Content-Range", "bytes 0-99999/100001"),
		"another version": header("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`),
	} {
		t.Run(name, func(t *testing.T) {
			for last, want := range map[int]error{1: nil, 0: remote.ErrDigest} {
				s, proxy := r.store(t)
				remotetest.Publish(t, r.direct(t, s), "a", data)
				proxy.On("GetObject", 1, last, act)
				got, err := read(t.Context(), s, "a")
				if !errors.Is(err, want) || (want == nil && !bytes.Equal(got, data)) {
					t.Errorf("got %d bytes, %v, want %v", len(got), err, want)
				}
				if got := len(proxy.Requests("GetObject")); got != 2 {
					t.Errorf("got %d requests, want 2", got)
				}
			}
		})
	}
}

func TestAnOpenObjectIsPinned(t *testing.T) { // S13, C06
	for name, versioning := range map[string]bool{"by ETag": false, "by version": true} {
		t.Run(name, func(t *testing.T) {
			server := s3proc.Start(t, s3proc.Options{Versioning: versioning})
			server.MakeBucket(bucket, versioning)
			s := open(t, Location{Bucket: bucket}, Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir()})
			remotetest.Publish(t, s, "a", []byte("the first one"))
			o, err := s.Open(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			other := strings.NewReader("another one..")
			if _, err := server.Client().Client.PutObject(t.Context(), bucket, "a", other, other.Size(), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 13)
			_, err = o.ReadAt(p, 0)
			if versioning && (err != nil || string(p) != "the first one") {
				t.Errorf("got %q, %v, want the version that was opened", p, err)
			}
			if !versioning && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %q, %v, want fs.ErrNotExist", p, err)
			}
		})
	}
}

func TestReadingAheadSavesRequests(t *testing.T) {
	s, proxy := newRig(t).store(t)
	remotetest.Publish(t, s, "a", big)
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	before := len(proxy.Requests("GetObject"))
	p := make([]byte, 100)
	for off := o.Size() - 200_000; off < o.Size()-100; off += 100 {
		if _, err := o.ReadAt(p, off); err != nil || !bytes.Equal(p, big[off:off+100]) {
			t.Fatalf("at %d: wrong bytes, or %v", off, err)
		}
	}
	requests := proxy.Requests("GetObject")[before:]
	if len(requests) != 1 || requests[0].Sent > tail {
		t.Errorf("got %d requests at the end of the object, want one of at most %d bytes", len(requests), tail)
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(o, 0, o.Size())); err != nil {
		t.Fatal(err)
	}
	if got := len(proxy.Requests("GetObject")) - before; got > 12 {
		t.Errorf("got %d requests for the whole, want 12 at most", got)
	}
}

func TestListingsThatCannotBeTrusted(t *testing.T) { // S14
	r := newRig(t)
	s, _ := r.store(t)
	for i := range 5 {
		remotetest.Publish(t, s, fmt.Sprint("a", i), []byte("x"))
	}
	replace := func(from, to string) s3proc.Action {
		return s3proc.AlterReply(func(_ http.Header, body []byte) []byte {
			return []byte(strings.ReplaceAll(string(body), from, to))
		})
	}
	for name, act := range map[string]s3proc.Action{
		"unordered and truncated": s3proc.AlterReply(func(_ http.Header, body []byte) []byte {
			return []byte(strings.NewReplacer("a1<", "a9<", "<IsTruncated>false<", "<NextContinuationToken>x</NextContinuationToken><IsTruncated>true<").Replace(string(body)))
		}),
		"repeated":                replace("a1<", "a0<"),
		"of another prefix":       replace(s.key("a4")+"<", "zzz/a4<"),
		"truncated, and no token": replace("<IsTruncated>false<", "<IsTruncated>true<"),
		"cut":                     s3proc.Cut(700),
		"no XML":                  s3proc.AlterReply(func(http.Header, []byte) []byte { return []byte("<html>hello") }),
	} {
		t.Run(name, func(t *testing.T) {
			proxy := s3proc.NewProxy(t, r.server)
			proxy.On("ListObjectsV2", 1, 0, act)
			c := r.config
			c.Endpoint, c.RetryBudget = proxy.Endpoint, 300*time.Millisecond
			if err := firstError(t, open(t, s.at, c)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestLongListings(t *testing.T) { // S14
	r := newRig(t)
	s, proxy := r.store(t)
	const n = 2_100
	client := r.server.Client()
	put := func(key string) {
		if _, err := client.PutObject(t.Context(), bucket, key, nil, 0, "", sums{Digest: remote.DigestOf(nil)}.sha256Hex(), minio.PutObjectOptions{DisableContentSha256: true}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		put(s.key(fmt.Sprintf("%04d", i)))
	}
	put(s.at.Prefix + "-2/twin") // the prefix's twin
	put(s.at.Prefix + "0")
	put(s.key("folder/")) // no name of ours
	t.Run("are whole, whatever fails once", func(t *testing.T) {
		proxy.On("ListObjectsV2", 2, 2, s3proc.Refuse(503, "SlowDown"))
		proxy.On("ListObjectsV2", 3, 3, s3proc.Reset(0))
		begun := time.Now()
		names := remotetest.Names(t, s, "")
		if len(names) != n || names[0] != "0000" || names[n-1] != fmt.Sprintf("%04d", n-1) {
			t.Errorf("got %d names", len(names))
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("fail if a page does", func(t *testing.T) {
		s.config.RetryBudget = 200 * time.Millisecond
		proxy.On("ListObjectsV2", 2, 0, s3proc.Refuse(503, "SlowDown"))
		if err := firstError(t, s); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
	t.Run("fail if a page is repeated", func(t *testing.T) {
		again := s3proc.NewProxy(t, r.server)
		var page []byte
		again.On("ListObjectsV2", 1, 1, s3proc.AlterReply(func(_ http.Header, body []byte) []byte {
			page = body
			return body
		}))
		again.On("ListObjectsV2", 2, 0, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(page) })
		c := r.config
		c.Endpoint = again.Endpoint
		if err := firstError(t, open(t, s.at, c)); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "goes back") {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}
