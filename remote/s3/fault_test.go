package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// A rig is a server, and what goes wrong on the way to it.
type rig struct {
	server *s3proc.Server
	config Config
}

// newRig starts one. Its test runs beside others, since most of them wait.
func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	server := s3proc.Start(t, s3proc.Options{})
	server.MakeBucket(bucket, false)
	return &rig{server, Config{Keys: root, SpoolDir: t.TempDir()}}
}

// store is a store behind a proxy, with a prefix of its own.
func (r *rig) store(t *testing.T) (*Store, *s3proc.Proxy) {
	t.Helper()
	proxy := s3proc.NewProxy(t, r.server)
	c := r.config
	c.Endpoint = proxy.Endpoint
	return open(t, Location{Bucket: bucket, Prefix: fmt.Sprintf("p%x", rand.Uint64())}, c), proxy
}

// inParts is a store whose objects go up in parts of 5 MiB.
func (r *rig) inParts(t *testing.T) (*Store, *s3proc.Proxy) {
	t.Helper()
	s, proxy := r.store(t)
	s.config.Threshold, s.config.PartSize = 1, 5<<20
	return s, proxy
}

// direct is the same store without the proxy.
func (r *rig) direct(t *testing.T, s *Store) *Store {
	t.Helper()
	c := r.config
	c.Endpoint = r.server.Endpoint
	return open(t, s.at, c)
}

// big goes up in three parts of 5 MiB.
var big = noise(11 << 20)

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(p)
	return p
}

func publish(ctx context.Context, s *Store, name string, data []byte) error {
	u, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := u.Write(data); err != nil {
		return errors.Join(err, u.Abort())
	}
	return errors.Join(u.Commit(remote.DigestOf(data)), u.Abort())
}

func read(ctx context.Context, s *Store, name string) ([]byte, error) {
	o, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	return data, errors.Join(err, o.Close())
}

// drop begins an object in parts and aborts it.
func drop(ctx context.Context, s *Store, name string) error {
	u, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	_, err = u.Write(big)
	return errors.Join(err, waitForParts(u), u.Abort())
}

// waitForParts waits until the first part has gone up.
func waitForParts(u remote.Upload) error {
	p := u.(*upload).parts
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		sent, err := len(p.sent) > 0 && p.sent[0].etag != "", p.err
		p.mu.Unlock()
		switch {
		case sent, err != nil:
			return err
		case time.Now().After(deadline):
			return errors.New("no part went up in 10 s")
		}
	}
}

// A task uses an operation of S3, of which it needs the right.
type task struct {
	op, right string
	parts     bool
	run       func(context.Context, *Store) error
}

var tasks = []task{
	{"PutObject", "s3:PutObject", false, func(ctx context.Context, s *Store) error { return publish(ctx, s, "new", []byte("new")) }},
	{"CreateMultipartUpload", "s3:PutObject", true, func(ctx context.Context, s *Store) error { return publish(ctx, s, "new", big) }},
	{"UploadPart", "s3:PutObject", true, func(ctx context.Context, s *Store) error { return publish(ctx, s, "new", big) }},
	{"CompleteMultipartUpload", "s3:PutObject", true, func(ctx context.Context, s *Store) error { return publish(ctx, s, "new", big) }},
	{"AbortMultipartUpload", "s3:AbortMultipartUpload", true, func(ctx context.Context, s *Store) error { return drop(ctx, s, "new") }},
	{"HeadObject", "s3:GetObject", false, func(ctx context.Context, s *Store) error { _, err := read(ctx, s, "old"); return err }},
	{"GetObject", "s3:GetObject", false, func(ctx context.Context, s *Store) error { _, err := read(ctx, s, "old"); return err }},
	{"DeleteObject", "s3:DeleteObject", false, func(ctx context.Context, s *Store) error { return s.Remove(ctx, "old") }},
	{"ListObjectsV2", "s3:ListBucket", false, func(ctx context.Context, s *Store) error {
		for _, err := range s.List(ctx, "") {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"ListMultipartUploads", "s3:ListBucketMultipartUploads", false, func(ctx context.Context, s *Store) error {
		for _, err := range s.Incomplete(ctx) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
}

// do runs the task while the operation does what act does.
func (k task) do(t *testing.T, r *rig, first, last int, act s3proc.Action, change func(*Store)) (*Store, *s3proc.Proxy, error) {
	t.Helper()
	store := r.store
	if k.parts {
		store = r.inParts
	}
	s, proxy := store(t)
	remotetest.Publish(t, r.direct(t, s), "old", []byte("old"))
	if change != nil {
		change(s)
	}
	proxy.On(k.op, first, last, act)
	err := k.run(t.Context(), s)
	return s, proxy, err
}

func TestPassingErrorsAreTriedAgain(t *testing.T) { // S01
	r := newRig(t)
	statuses := map[int]string{500: "InternalError", 502: "", 503: "SlowDown", 504: "", 429: ""}
	for _, k := range tasks {
		for status, code := range statuses {
			if status != 503 && k.op != "PutObject" && k.op != "GetObject" {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", k.op, status), func(t *testing.T) {
				t.Parallel()
				_, proxy, err := k.do(t, r, 1, 2, s3proc.Refuse(status, code), nil)
				if err != nil {
					t.Error(err)
				}
				// Two are refused; an interrupted upload is aborted until no part can come late.
				if got := len(proxy.Requests(k.op)); got < 3 || got > 8 {
					t.Errorf("got %d requests", got)
				}
			})
		}
	}
}

func TestLastingErrorsEndWithinTheBudget(t *testing.T) { // S02
	r := newRig(t)
	for _, k := range tasks {
		t.Run(k.op, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			s, proxy, err := k.do(t, r, 1, 0, s3proc.Refuse(503, "SlowDown"), func(s *Store) { s.config.RetryBudget = 300 * time.Millisecond })
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), proxy.Endpoint) || !strings.Contains(err.Error(), bucket) {
				t.Errorf("got %v, want an ErrUnavailable that names %s", err, proxy.Endpoint)
			}
			if took := time.Since(begun); took > 20*time.Second { // without the budget it would be a minute
				t.Errorf("it took %s", took)
			}
			if strings.Contains(k.right, "Put") {
				assertOnly(t, r.direct(t, s), "old")
			}
		})
	}
}

func TestRefusalsNameTheRight(t *testing.T) { // S03
	r := newRig(t)
	for _, k := range tasks {
		t.Run(k.op, func(t *testing.T) {
			t.Parallel()
			s, proxy, err := k.do(t, r, 1, 0, s3proc.Refuse(403, "AccessDenied"), nil)
			if k.op == "HeadObject" && err == nil { // it is asked for in another way
				return
			}
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), k.right) || strings.Contains(err.Error(), "\n\n") {
				t.Errorf("got %v, want an fs.ErrPermission that names %s", err, k.right)
			}
			if got := len(proxy.Requests(k.op)); k.op != "UploadPart" && got != 1 {
				t.Errorf("got %d requests, want one", got)
			}
			if strings.Contains(k.right, "Put") {
				assertOnly(t, r.direct(t, s), "old")
			}
		})
	}
}

// assertOnly wants these objects and no unfinished uploads.
func assertOnly(t *testing.T, s *Store, want ...string) {
	t.Helper()
	if got := strings.Join(remotetest.Names(t, s, ""), " "); got != strings.Join(want, " ") {
		t.Errorf("the store holds %q, want %q", got, want)
	}
	assertNoneUnfinished(t, s)
}

func assertNoneUnfinished(t *testing.T, s *Store) {
	t.Helper()
	for u, err := range s.Incomplete(t.Context()) {
		t.Errorf("an unfinished upload: %+v, %v", u, err)
	}
}

// A sending is a way to publish that has its own operations.
type sending struct {
	name, final, body string // the operations that publish, and that carry the bytes
	store             func(*rig, *testing.T) (*Store, *s3proc.Proxy)
	data              []byte
}

var sendings = []sending{
	{"whole", "PutObject", "PutObject", (*rig).store, []byte("content")},
	{"in parts", "CompleteMultipartUpload", "UploadPart", (*rig).inParts, big},
}

// eachSending tells what publishing comes to in spite of a fault, both ways: nil,
// or the error that it must be.
func eachSending(t *testing.T, fault func(sending, *s3proc.Proxy), change func(*Store), want error) {
	t.Helper()
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			if change != nil {
				change(s)
			}
			fault(way, proxy)
			err := publish(t.Context(), s, "a", way.data)
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			direct := r.direct(t, s)
			if want != nil {
				assertOnly(t, direct)
				return
			}
			if got := remotetest.Read(t, direct, "a"); string(got) != string(way.data) {
				t.Errorf("got %d other bytes", len(got))
			}
			assertOnly(t, direct, "a")
		})
	}
}

func TestAConnectionThatBreaksIsReplaced(t *testing.T) { // S08
	eachSending(t, func(way sending, p *s3proc.Proxy) { p.On(way.body, 1, 2, s3proc.Reset(3)) }, nil, nil)
}

func TestAConnectionThatStandsStillIsReplaced(t *testing.T) { // S08
	eachSending(t, func(way sending, p *s3proc.Proxy) { p.On(way.body, 1, 1, s3proc.Stall(20*time.Second)) }, func(s *Store) {
		// Long enough for a busy machine: an upload that is begun in vain stays.
		restall(t, s, 1500*time.Millisecond)
	}, nil)
}

// restall connects the store anew, with another limit.
func restall(t *testing.T, s *Store, limit time.Duration) {
	t.Helper()
	s.config.StallTimeout = limit
	s.config.Endpoint = s.endpoint
	target, err := s.config.resolve(s.at)
	if err == nil {
		s.core, err = s.connect(target)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestALostAnswerIsSettledByLooking(t *testing.T) { // S09
	eachSending(t, func(way sending, p *s3proc.Proxy) { p.On(way.final, 1, 1, s3proc.DropReply) }, nil, nil)
}

func TestAnswersThatAreAllLostAreSettledByLooking(t *testing.T) { // S09
	eachSending(t, func(way sending, p *s3proc.Proxy) { p.On(way.final, 1, 0, s3proc.DropReply) }, func(s *Store) {
		s.config.RetryBudget = 300 * time.Millisecond
	}, nil)
}

func TestALostAnswerThatCannotBeSettledIsAFailure(t *testing.T) { // S09, SP6
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On(way.final, 1, 1, s3proc.DropReply)
			proxy.On(way.final, 2, 0, s3proc.Refuse(412, "PreconditionFailed"))
			proxy.On("HeadObject", 1, 0, s3proc.Refuse(403, "AccessDenied"))
			err := publish(t.Context(), s, "a", way.data)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "unknown") {
				t.Errorf("got %v, want an outcome that is unknown", err)
			}
		})
	}
}

func TestCompleteThatFailsInItsAnswer(t *testing.T) { // S10
	answer := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>InternalError</Code><Message>after all</Message></Error>`)
	}
	r := newRig(t)
	for last, want := range map[int]error{2: nil, 0: ErrUnavailable} {
		s, proxy := r.inParts(t)
		s.config.RetryBudget = time.Second
		proxy.On("CompleteMultipartUpload", 1, last, answer)
		if err := publish(t.Context(), s, "a", big); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		if want != nil {
			assertOnly(t, r.direct(t, s))
		} else {
			assertOnly(t, r.direct(t, s), "a")
		}
	}
}

func TestAWrongChecksumInTheAnswerIsNoSuccess(t *testing.T) { // S10
	eachSending(t, func(way sending, p *s3proc.Proxy) {
		p.On(way.final, 1, 1, s3proc.AlterReply(func(header http.Header, body []byte) []byte {
			if header.Get("X-Amz-Checksum-Crc32c") != "" {
				header.Set("X-Amz-Checksum-Crc32c", "AAAAAA==")
			}
			return []byte(strings.ReplaceAll(string(body), crc32cOf(big), "AAAAAA=="))
		}))
	}, nil, nil) // it looked, and all was well
}

func crc32cOf(data []byte) string {
	return minio.ChecksumCRC32C.EncodeToString(data)
}

func TestBytesThatChangeOnTheWayAreSentAgain(t *testing.T) { // S12
	eachSending(t, func(way sending, p *s3proc.Proxy) {
		p.On(way.body, 1, 1, s3proc.AlterRequest(func(body []byte) { body[len(body)/2] ^= 1 }))
	}, nil, nil)
}

func TestBytesThatKeepChangingAreAnError(t *testing.T) { // S12
	eachSending(t, func(way sending, p *s3proc.Proxy) {
		p.On(way.body, 1, 0, s3proc.AlterRequest(func(body []byte) { body[len(body)/2] ^= 1 }))
	}, func(s *Store) { s.config.RetryBudget = 300 * time.Millisecond }, remote.ErrDigest)
}

func TestReadingBackFindsALie(t *testing.T) { // S12
	flip := s3proc.AlterReply(func(_ http.Header, body []byte) []byte {
		body[len(body)/2] ^= 1
		return body
	})
	t.Run("of the store", func(t *testing.T) {
		eachSending(t, func(_ sending, p *s3proc.Proxy) { p.On("GetObject", 1, 0, flip) }, nil, remote.ErrDigest)
	})
	t.Run("of one answer", func(t *testing.T) {
		eachSending(t, func(_ sending, p *s3proc.Proxy) { p.On("GetObject", 1, 1, flip) }, nil, nil)
	})
}

func TestAnObjectThatIsSlowToAppear(t *testing.T) { // S15
	eachSending(t, func(_ sending, p *s3proc.Proxy) { p.On("GetObject", 1, 3, s3proc.Refuse(404, "NoSuchKey")) }, nil, nil)
}

func TestAFullStore(t *testing.T) { // S25
	eachSending(t, func(way sending, p *s3proc.Proxy) { p.On(way.body, 1, 0, s3proc.Refuse(507, "InsufficientStorage")) }, nil, remote.ErrNoSpace)
}
