package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

func TestLockedObjectsStay(t *testing.T) { // S18
	server := s3proc.Start(t, s3proc.Options{Versioning: true})
	server.MakeBucket(bucket, true)
	until := time.Now().Add(time.Hour)
	c := Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir()}
	for _, mode := range []string{"GOVERNANCE", "COMPLIANCE"} {
		t.Run(mode, func(t *testing.T) {
			locking := c
			locking.LockMode, locking.RetainUntil = mode, until
			s := open(t, Location{Bucket: bucket, Prefix: mode}, locking)
			remotetest.Publish(t, s, "small", []byte("content"))
			s.config.Threshold, s.config.PartSize = 1, 5<<20
			remotetest.Publish(t, s, "big", big)
			for _, name := range []string{"small", "big"} {
				err := s.Remove(t.Context(), name)
				if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "until "+until.UTC().Format("2006-01-02T")) {
					t.Errorf("%s: got %v, want ErrLocked with the time", name, err)
				}
			}
			assertOnly(t, s, "big", "small")
		})
	}
	t.Run("under a legal hold", func(t *testing.T) {
		s := open(t, Location{Bucket: bucket, Prefix: "hold"}, c)
		remotetest.Publish(t, s, "a", []byte("content"))
		hold := minio.LegalHoldEnabled
		if err := server.Client().PutObjectLegalHold(t.Context(), bucket, "hold/a", minio.PutObjectLegalHoldOptions{Status: &hold}); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), "a"); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "legal hold") {
			t.Errorf("got %v, want ErrLocked", err)
		}
		assertOnly(t, s, "a")
	})
}

func TestRemovingLeavesAMarkerWhereThereAreVersions(t *testing.T) { // S18
	server := s3proc.Start(t, s3proc.Options{Versioning: true})
	server.MakeBucket(bucket, true)
	s := open(t, Location{Bucket: bucket}, Config{Endpoint: server.Endpoint, Keys: root, SpoolDir: t.TempDir()})
	remotetest.Publish(t, s, "a", []byte("content"))
	o, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	assertOnly(t, s)
	if _, err := s.Open(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	p := make([]byte, 7)
	if _, err := o.ReadAt(p, 0); err != nil || string(p) != "content" {
		t.Errorf("the version that was opened: got %q, %v", p, err)
	}
}

func TestADenialThatTellsOfALock(t *testing.T) { // S18, C13
	s, proxy := newRig(t).store(t)
	remotetest.Publish(t, s, "a", []byte("content"))
	proxy.On("DeleteObject", 1, 0, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>"))
	})
	if err := s.Remove(t.Context(), "a"); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if got := len(proxy.Requests("DeleteObject")); got != 1 {
		t.Errorf("got %d requests, want one", got)
	}
}

func TestWhatIsSentWithAnObject(t *testing.T) { // S19, S26
	r := newRig(t)
	names := []string{
		"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
		"X-Amz-Storage-Class", "X-Amz-Tagging",
	}
	until := time.Date(2050, 1, 2, 3, 4, 5, 0, time.UTC)
	want := map[string]string{
		names[0]: "aws:kms", names[1]: "key", names[2]: "COMPLIANCE", names[3]: "2050-01-02T03:04:05Z", names[4]: "STANDARD_IA", names[5]: "team=a+b",
	}
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On("GET bucket", 1, 0, s3proc.Refuse(403, "AccessDenied")) // whether it locks
			s.config.Encryption, s.config.KMSKey = "aws:kms", "key"
			s.config.LockMode, s.config.RetainUntil = "COMPLIANCE", until
			s.config.StorageClass, s.config.Tags = "STANDARD_IA", map[string]string{"team": "a b"}
			first := way.body
			if first == "UploadPart" {
				first = "CreateMultipartUpload"
			} else {
				proxy.On(first, 1, 0, s3proc.Refuse(400, "InvalidRequest")) // versitygw does none of this
			}
			err := publish(t.Context(), s, "a", way.data)
			if err == nil {
				t.Error("versitygw takes all of this now: read it back then")
			}
			sent := proxy.Requests(first)
			if len(sent) == 0 {
				t.Fatalf("nothing was sent: %v", err)
			}
			got := map[string]string{}
			for _, name := range names {
				got[name] = sent[0].Header.Get(name)
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("headers (-got +want):\n%s", diff)
			}
			bodies := proxy.Requests(way.body)
			for _, request := range bodies[:min(1, len(bodies))] { // those after it leave out what may be unknown
				for _, name := range []string{"Content-Md5", "X-Amz-Checksum-Crc32c", "X-Amz-Content-Sha256"} {
					if request.Header.Get(name) == "" {
						t.Errorf("%s has no %s", way.body, name)
					}
				}
				if got := request.Header.Get("Content-Encoding") + request.Header.Get("X-Amz-Trailer"); got != "" {
					t.Errorf("the body is wrapped: %s", got)
				}
			}
		})
	}
}

// A bucket that locks nothing is told from one where a name is taken, before anything is
// sent or after, and nothing stays there unlocked.
func TestABucketWithoutObjectLock(t *testing.T) {
	r := newRig(t)
	for name, prepare := range map[string]func(way sending, proxy *s3proc.Proxy){
		"that says so":          func(sending, *s3proc.Proxy) {},
		"that may not be asked": func(_ sending, proxy *s3proc.Proxy) { proxy.On("GET bucket", 1, 0, s3proc.Refuse(403, "AccessDenied")) },
		"that knows no question": func(_ sending, proxy *s3proc.Proxy) {
			proxy.On("GET bucket", 1, 0, s3proc.Refuse(501, "NotImplemented"))
		},
		"that passes over the wish": func(way sending, proxy *s3proc.Proxy) {
			proxy.On("GET bucket", 1, 0, s3proc.Refuse(501, "NotImplemented"))
			proxy.On(beginning(way), 1, 0, without("X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date"))
		},
	} {
		for _, way := range sendings {
			t.Run(name+", "+way.name, func(t *testing.T) {
				s, proxy := way.store(r, t)
				prepare(way, proxy)
				s.config.LockMode, s.config.RetainUntil = "GOVERNANCE", time.Now().Add(time.Hour)
				err := publish(t.Context(), s, "locked", way.data)
				if !errors.Is(err, ErrNoLock) || !errors.Is(err, remote.ErrConfig) || errors.Is(err, fs.ErrExist) {
					t.Errorf("got %v, want %v", err, ErrNoLock)
				}
				assertOnly(t, r.direct(t, s))
			})
		}
	}
}

// Where nobody may look at the lock, that is noted.
func TestALockThatMayNotBeSeen(t *testing.T) {
	server := s3proc.Start(t, s3proc.Options{Versioning: true})
	server.MakeBucket(bucket, true)
	proxy := s3proc.NewProxy(t, server)
	s := open(t, Location{Bucket: bucket}, Config{
		Endpoint: proxy.Endpoint, Keys: root, SpoolDir: t.TempDir(), LockMode: "GOVERNANCE", RetainUntil: time.Now().Add(time.Hour),
	})
	remotetest.Publish(t, s, "seen", []byte("content"))
	if got := s.Notes(); got != (Notes{}) {
		t.Errorf("notes %+v, want none", got)
	}
	proxy.On("HeadObject", 1, 0, s3proc.Refuse(403, "AccessDenied"))
	proxy.On("GetObject", 1, 0, s3proc.Refuse(403, "AccessDenied"))
	u, err := s.Create(t.Context(), "unseen")
	if err == nil {
		_, err = u.Write([]byte("content"))
	}
	if err == nil {
		err = u.Commit(remote.DigestOf([]byte("content")))
	}
	if got := s.Notes(); err != nil || got.LockUnseen != 1 || got.NotReadBack != 1 {
		t.Errorf("%v, notes %+v, want one lock unseen", err, got)
	}
}

// beginning is the operation that says what the object is to be like.
func beginning(way sending) string {
	if way.body == "UploadPart" {
		return "CreateMultipartUpload"
	}
	return way.final
}

// without passes a request on as if these headers had never been in it.
func without(headers ...string) s3proc.Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r = r.Clone(r.Context())
		for _, name := range headers {
			r.Header.Del(name)
		}
		r.Header.Del("Authorization")
		r.URL.Host, r.URL.Scheme = r.Host, "http"
		next.ServeHTTP(w, signer.SignV4(*r, root.AccessKey, s3proc.RootSecretKey, "", "us-east-1"))
	}
}

// Words about locks are not all of a bucket that has none.
func TestWordsAboutLocks(t *testing.T) {
	for message, lockless := range map[string]bool{
		"Bucket is missing Object Lock Configuration":                                             true,
		"Bucket is missing ObjectLockConfiguration":                                               true,
		"Content-MD5 HTTP header is required for Put Object requests with Object Lock parameters": false,
		"the header If-None-Match is blocked by a rule":                                           false,
	} {
		err := minio.ErrorResponse{StatusCode: 400, Code: "InvalidRequest", Message: message}
		if got := errors.Is(meaning(err), ErrNoLock); got != lockless {
			t.Errorf("%s: no lock %t, want %t", message, got, lockless)
		}
		if refuses(err) == lockless {
			t.Errorf("%s: taken for a refusal of the condition: %t", message, !lockless)
		}
	}
	if errors.Is(ErrNoCredentials, fs.ErrPermission) {
		t.Error("to have no credentials is taken for what is denied of one object: a prune would go on to the next")
	}
}
