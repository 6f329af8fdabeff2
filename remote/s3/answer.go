package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxXML is the size in bytes of the largest answer in XML that is taken. A page of a
// thousand of the longest names has some five million.
const maxXML = 16 << 20

// A strange answer says that all is well, and is not what S3 says to such a request: a
// proxy's web page, an error under the status of a success. It is asked for once more.
type strange struct {
	what string
	code string // of the error that it holds; empty: it holds none
}

func (s *strange) Error() string { return s.what }
func (s *strange) Unwrap() error { return ErrUnavailable }

// answers is the way to the store. It notes that the store answers, and what time it
// has, and lets only those answers in XML through that are what was asked for:
// minio-go takes any other document for an empty one.
type answers struct {
	next  http.RoundTripper
	store *Store
}

// RoundTrip implements [http.RoundTripper].
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	asked, root := question(r)
	page := pageOf(r.Context())
	if asked != "" && page != nil && page.answered {
		page.end()
		return nil, context.Canceled
	}
	resp, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a.store.reached.Store(true)
	a.store.clock.learn(resp.Header, time.Now())
	if resp.StatusCode/100 == 4 && !passing[resp.StatusCode] && r.Method != http.MethodHead {
		if err := refusedByS3(resp); err != nil {
			return nil, err
		}
	}
	if asked == "" || resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxXML+1))
	_ = resp.Body.Close() // it was read as far as it is wanted
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxXML:
		return nil, &strange{what: fmt.Sprintf("the answer to %s has more than %d bytes", asked, maxXML)}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if root == "" {
		return resp, nil
	}
	if err := hasRoot(body, root, asked); err != nil {
		return nil, err
	}
	if page != nil {
		if err := page.read(body); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// refusedByS3 is nil unless a refusal is a web page: a proxy's or a portal's 404 says
// nothing of an object, and its 403 nothing of rights.
func refusedByS3(resp *http.Response) error {
	var begin [1000]byte
	n, err := io.ReadFull(resp.Body, begin[:])
	if isWebPage(begin[:n]) {
		_ = resp.Body.Close() // it is not wanted
		return &strange{what: resp.Status + " was answered with a web page, which S3 never does"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // that is all
	}
	rest := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(begin[:n]), rest), rest}
	return err
}

// question is what a request asks for that is answered in XML, and the root of the right
// answer; no root: the answer is looked at where it is used.
func question(r *http.Request) (asked, root string) {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && query.Has("list-type"):
		return "a listing", "ListBucketResult"
	case r.Method == http.MethodGet && query.Has("uploads"):
		return "a listing of uploads", "ListMultipartUploadsResult"
	case r.Method == http.MethodPost && query.Has("uploads"):
		return "the beginning of an upload", "InitiateMultipartUploadResult"
	case r.Method == http.MethodGet && (query.Has("location") || query.Has("retention") || query.Has("object-lock")):
		return "a question about settings", ""
	}
	return "", ""
}

// hasRoot tells what a document is if it is not the one that was asked for.
func hasRoot(body []byte, root, asked string) error {
	got := &strange{}
	switch name, err := rootOf(body); {
	case name == root:
		return nil
	case name == "Error":
		var e struct{ Code, Message string }
		_ = xml.Unmarshal(body, &e) // what can be read of it
		got.code = e.Code
		got.what = fmt.Sprintf("an error (%s)", line(e.Code+": "+e.Message))
	case isWebPage(body):
		got.what = "a web page"
	case err != nil:
		got.what = fmt.Sprintf("%d bytes that are no XML", len(body))
	default:
		got.what = fmt.Sprintf("a document %.60q", name)
	}
	got.what = fmt.Sprintf("%s was answered, as if all were well, with %s, and not with a %s", asked, got.what, root)
	return got
}

// rootOf is the name of a document's first element.
func rootOf(body []byte) (string, error) {
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local, nil
		}
	}
}

func isWebPage(body []byte) bool {
	begin := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 1000)]))
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

type pageKey struct{}

// onePage is a context whose first listing that is answered is the last one that is sent:
// the next one ends it. It tells p whether there are more. minio-go goes from page to page
// by itself, without an end if the store has none.
func onePage(ctx context.Context, p *page) context.Context {
	ctx, p.end = context.WithCancel(ctx)
	return context.WithValue(ctx, pageKey{}, p)
}

func pageOf(ctx context.Context) *page {
	p, _ := ctx.Value(pageKey{}).(*page)
	return p
}

// read takes from an answer what minio-go does not pass on.
func (p *page) read(body []byte) error {
	var told struct {
		IsTruncated bool
	}
	if err := xml.Unmarshal(body, &told); err != nil {
		return fmt.Errorf("read a listing: %w", err)
	}
	p.answered, p.truncated = true, told.IsTruncated
	return nil
}
