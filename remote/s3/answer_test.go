package s3

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// say answers with this, and says that all is well.
func say(text string) s3proc.Action {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, text) }
}

// aPage is a page of a listing that says to be truncated.
func aPage(keys ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>`)
	for _, key := range keys {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>1</Size></Contents>", key)
	}
	return b.String() + "</ListBucketResult>"
}

// An answer that is no listing is an error that says what came, and no empty place; it
// is asked for twice, and not for a minute.
func TestAnAnswerThatIsNoListing(t *testing.T) { // S14
	r := newRig(t)
	for name, c := range map[string]struct {
		answer, says string
		requests     int
	}{
		"a web page":            {"<!DOCTYPE html><html><body>Please log in</body></html>", "a web page", 2},
		"a web page, as XML":    {"<html><body>Please log in</body></html>", "a web page", 2},
		"an error":              {"<Error><Code>AccountProblem</Code><Message>pay first</Message></Error>", "AccountProblem: pay first", 2},
		"another document":      {"<ListAllMyBucketsResult></ListAllMyBucketsResult>", "ListAllMyBucketsResult", 2},
		"nothing":               {"", "0 bytes that are no XML", 2},
		"an empty page":         {aPage(), "does not go on", 1},
		"what the prefix lacks": {aPage("elsewhere/a"), "strays", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, proxy := r.store(t)
			proxy.On("ListObjectsV2", 1, 0, say(c.answer))
			err := firstError(t, s)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an ErrUnavailable that says %s", err, c.says)
			}
			if got := len(proxy.Requests("ListObjectsV2")); got != c.requests {
				t.Errorf("got %d requests, want %d", got, c.requests)
			}
		})
	}
}

// So it is with a listing of unfinished uploads.
func TestAnAnswerThatIsNoListingOfUploads(t *testing.T) {
	s, proxy := newRig(t).store(t)
	proxy.On("ListMultipartUploads", 1, 0, say("<html>Please log in</html>"))
	for _, err := range s.Incomplete(t.Context()) {
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "a web page") {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		return
	}
	t.Error("an empty listing was taken")
}

// A store that lists no unfinished uploads has none that could be told.
func TestAStoreThatListsNoUploads(t *testing.T) {
	s, proxy := newRig(t).store(t)
	proxy.On("ListMultipartUploads", 1, 0, s3proc.Refuse(501, "NotImplemented"))
	for u, err := range s.Incomplete(t.Context()) {
		t.Errorf("got %v, %v", u, err)
	}
	if len(proxy.Requests("ListMultipartUploads")) == 0 {
		t.Error("the store was not asked")
	}
}

// A web page under the status of a refusal tells neither that a right is missing nor that
// an object is.
func TestARefusalThatIsAWebPage(t *testing.T) { // S03
	r := newRig(t)
	page := func(status int) s3proc.Action {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>Blocked by the proxy</html>")
		}
	}
	for _, status := range []int{400, 403, 404} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s, proxy := r.store(t)
			proxy.On("ListObjectsV2", 1, 0, page(status))
			proxy.On("GetObject", 1, 0, page(status))
			_, read := read(t.Context(), s, "a")
			for _, err := range []error{firstError(t, s), read} {
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "web page") {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			}
		})
	}
}

// One that asks for patience is no such refusal: it passes.
func TestAWebPageThatAsksForPatience(t *testing.T) { // S01
	s, proxy := newRig(t).store(t)
	remotetest.Publish(t, s, "a", []byte("x"))
	proxy.On("ListObjectsV2", 1, 3, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "<html>429 Too Many Requests</html>")
	})
	if got := remotetest.Names(t, s, ""); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// An error under the status of a success passes if it is one that passes.
func TestAnErrorInsteadOfAListingPasses(t *testing.T) { // S01
	s, proxy := newRig(t).store(t)
	remotetest.Publish(t, s, "a", []byte("x"))
	proxy.On("ListObjectsV2", 1, 3, say("<Error><Code>SlowDown</Code></Error>"))
	if got := remotetest.Names(t, s, ""); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// What comes in place of page 2 does not end a listing.
func TestAnErrorInsteadOfPageTwo(t *testing.T) { // S14
	s, proxy := newRig(t).store(t)
	var keys []string
	for i := range pageSize {
		keys = append(keys, s.key(fmt.Sprintf("%04d", i)))
	}
	proxy.On("ListObjectsV2", 1, 1, say(aPage(keys...)))
	proxy.On("ListObjectsV2", 2, 0, say("<Error><Code>NoSuchUpload</Code><Message>what?</Message></Error>"))
	if err := firstError(t, s); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "NoSuchUpload") {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// A listing whose names never end is given up.
func TestAListingWithoutAnEnd(t *testing.T) { // S14
	s, proxy := newRig(t).store(t)
	s.maxNames = 5000
	n := 0
	proxy.On("ListObjectsV2", 1, 0, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		keys := make([]string, pageSize)
		for i := range keys {
			keys[i] = s.key(fmt.Sprintf("%012d", n))
			n++
		}
		_, _ = io.WriteString(w, aPage(keys...))
	})
	err := firstError(t, s)
	if got := len(proxy.Requests("ListObjectsV2")); got != 6 || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("got %v after %d requests, want ErrUnavailable after 6", err, got)
	}
}

// An answer of any size costs no more memory than the largest that is taken.
func TestAnAnswerThatIsTooLarge(t *testing.T) { // P10
	s, proxy := newRig(t).store(t)
	sent := int64(0)
	proxy.On("ListObjectsV2", 1, 0, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = io.WriteString(w, "<ListBucketResult><Contents><Key>")
		for junk := strings.Repeat("x", 1<<20); sent < 1<<30; sent += int64(len(junk)) {
			if _, err := io.WriteString(w, junk); err != nil {
				return
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := firstError(t, s)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 512<<20 || sent > 256<<20 {
		t.Errorf("%d bytes were allocated, %d sent", got, sent)
	}
}

// What is complete and not in order is sorted.
func TestAnUnorderedListingThatIsComplete(t *testing.T) { // S14
	r := newRig(t)
	s, proxy := r.store(t)
	unordered := strings.Replace(aPage(s.key("b"), s.key("c"), s.key("a")), "true", "false", 1)
	proxy.On("ListObjectsV2", 1, 0, say(unordered))
	if diff := cmp.Diff(remotetest.Names(t, s, ""), []string{"a", "b", "c"}); diff != "" {
		t.Errorf("names (-got +want):\n%s", diff)
	}
}

// Each listing asks within its bounds, for a look at the bucket too.
func TestNoListingRunsOnWithoutAnEnd(t *testing.T) { // P10
	s, proxy := newRig(t).store(t)
	proxy.On("ListObjectsV2", 1, 0, say(aPage()))
	begun := time.Now()
	if _, err := s.Folders(t.Context()); err != nil {
		t.Error(err)
	}
	u, err := s.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		t.Error(err)
	}
	if got := len(proxy.Requests("ListObjectsV2")); got > 2 || time.Since(begun) > 5*time.Second {
		t.Errorf("got %d requests in %s", got, time.Since(begun))
	}
}
