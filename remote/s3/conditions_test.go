package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

func TestATakenNameIsRefusedByTheStore(t *testing.T) { // S11
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			// Whoever looks does not see it, so that only If-None-Match is left.
			proxy.On("HeadObject", 1, 2, s3proc.Refuse(404, "NoSuchKey"))
			remotetest.Publish(t, r.direct(t, s), "a", []byte("first"))
			if err := publish(t.Context(), s, "a", way.data); !errors.Is(err, fs.ErrExist) {
				t.Errorf("got %v, want fs.ErrExist", err)
			}
			for _, request := range proxy.Requests(way.final) {
				if got := request.Header.Get("If-None-Match"); got != "*" {
					t.Errorf("got If-None-Match %q, want *", got)
				}
			}
			if got := remotetest.Read(t, r.direct(t, s), "a"); string(got) != "first" {
				t.Error("the object was replaced")
			}
			assertOnly(t, r.direct(t, s), "a")
		})
	}
}

func TestAConflictIsTriedAgain(t *testing.T) { // S11
	eachSending(t, func(way sending, p *s3proc.Proxy) {
		p.On(way.final, 1, 1, s3proc.Refuse(409, "ConditionalRequestConflict"))
	}, nil, nil)
}

func TestAConflictSendsThePartsAnew(t *testing.T) { // S11
	s, proxy := newRig(t).inParts(t)
	proxy.On("CompleteMultipartUpload", 1, 1, s3proc.Refuse(409, "ConditionalRequestConflict"))
	if err := publish(t.Context(), s, "a", big); err != nil {
		t.Fatal(err)
	}
	begun, sent := len(proxy.Requests("CreateMultipartUpload")), len(proxy.Requests("UploadPart"))
	if begun != 2 || sent != 6 {
		t.Errorf("got %d uploads with %d parts, want 2 with 6", begun, sent)
	}
}

func TestAStoreThatRefusesConditions(t *testing.T) { // S11
	refuse := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("If-None-Match") != "" {
			s3proc.Refuse(501, "NotImplemented")(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On(way.final, 1, 0, refuse)
			if err := publish(t.Context(), s, "a", way.data); err != nil {
				t.Fatal(err)
			}
			if !s.Notes().NotCreateOnly {
				t.Error("it is not noted")
			}
			if err := publish(t.Context(), s, "a", way.data); !errors.Is(err, fs.ErrExist) {
				t.Errorf("again: got %v, want fs.ErrExist", err)
			}
		})
	}
}

func TestAStoreThatIgnoresConditions(t *testing.T) { // S11, SP2
	// What such a store answers; the condition itself is signed, and cannot be
	// taken away.
	ignore := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := httptest.NewRecorder()
		if next.ServeHTTP(reply, r); reply.Code == http.StatusPreconditionFailed {
			reply.Code = http.StatusOK
		}
		w.WriteHeader(reply.Code)
	}
	s, proxy := newRig(t).store(t)
	proxy.On("PutObject", 1, 0, ignore)
	if err := publish(t.Context(), s, "a", []byte("content")); err != nil {
		t.Fatal(err)
	}
	if !s.Notes().NotCreateOnly {
		t.Error("it is not noted")
	}
	if got := remotetest.Read(t, s, "a"); string(got) != "content" {
		t.Errorf("got %q", got)
	}
}

func TestAStoreThatKeepsConditionsIsAskedOnce(t *testing.T) { // SP2
	s, proxy := newRig(t).store(t)
	for _, name := range []string{"a", "b", "c"} {
		remotetest.Publish(t, s, name, []byte(name))
	}
	if got := len(proxy.Requests("PutObject")); got != 4 || s.Notes() != (Notes{}) {
		t.Errorf("got %d requests and %+v, want 4 and no notes", got, s.Notes())
	}
}

func TestARightToWriteIsEnoughToWrite(t *testing.T) { // SP6, S03
	server := s3proc.Start(t, s3proc.Options{Users: true})
	server.MakeBucket(bucket, false)
	server.AddUser("writer", "writers-secret", bucket, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": ["$USER"],
		"Action": ["s3:PutObject", "s3:AbortMultipartUpload"], "Resource": ["arn:aws:s3:::backups/p/*"]}]}`)
	at := Location{Bucket: bucket, Prefix: "p"}
	c := Config{Endpoint: server.Endpoint, Keys: Keys{AccessKey: "writer", SecretKey: secretly("writers-secret")}, SpoolDir: t.TempDir()}
	s := open(t, at, c)
	small := []byte("content")
	if err := publish(t.Context(), s, "small", small); err != nil {
		t.Fatal(err)
	}
	s.config.Threshold, s.config.PartSize = 1, 5<<20
	if err := publish(t.Context(), s, "big", big); err != nil {
		t.Fatal(err)
	}
	if got := s.Notes(); got != (Notes{NotReadBack: 2}) {
		t.Errorf("got %+v, want two that were not read back", got)
	}
	for name, data := range map[string][]byte{"small": small, "big": big} {
		if err := publish(t.Context(), s, name, data); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s again: got %v, want fs.ErrExist", name, err)
		}
	}
	if err := drop(t.Context(), s, "dropped"); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"s3:GetObject":    func() error { _, err := s.Open(t.Context(), "small"); return err }(),
		"s3:DeleteObject": s.Remove(t.Context(), "small"),
		"s3:ListBucket":   func() error { return firstError(t, s) }(),
	} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want an fs.ErrPermission that names %s", err, what)
		}
	}
	c.Keys = root
	owner := open(t, at, c)
	assertOnly(t, owner, "big", "small")
	if got := remotetest.Read(t, owner, "big"); string(got) != string(big) {
		t.Error("the big one has other bytes")
	}
}

// firstError lists until there is an error.
func firstError(t *testing.T, s *Store) error {
	t.Helper()
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			return err
		}
	}
	return nil
}
