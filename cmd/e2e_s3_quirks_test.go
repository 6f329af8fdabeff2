package cmd

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// A quirk is what a store does that AWS's does not. It answers a request and says so, or
// leaves it to the next.
type quirk struct {
	name  string
	act   func(op string, w http.ResponseWriter, r *http.Request, next http.Handler) bool
	loses bool     // something cannot be done; without it the quirk is worked around
	parts bool     // it shows in what goes up in parts only
	large bool     // a large backup is tried always, and not in the long run alone
	with  []string // what a backup says besides
}

// quirks are all of them; the archives of a place are the oldest, the middle and the
// newest, and then what the test itself backs up.
func quirks() []quirk {
	const unknown = "A header you provided implies functionality that is not implemented"
	unpacked := regexp.MustCompile(`(?s)<Contents>.*?</Contents>`)
	contents := func(change func(all []string) []string) func(string) string {
		return func(body string) string {
			all := unpacked.FindAllString(body, -1)
			if len(all) == 0 {
				return body
			}
			first, last := strings.Index(body, all[0]), strings.LastIndex(body, all[len(all)-1])+len(all[len(all)-1])
			return body[:first] + strings.Join(change(all), "") + body[last:]
		}
	}
	reversed := contents(func(all []string) []string { slices.Reverse(all); return all })
	return []quirk{
		{name: "none", act: func(string, http.ResponseWriter, *http.Request, http.Handler) bool { return true }},
		{name: "complete listings are unordered", act: listing(reversed)},
		{name: "HEAD takes no checksum mode", act: refusing("HeadObject", "X-Amz-Checksum-Mode", 400, "", "")},
		{name: "PUT takes no checksums", act: refusing("PutObject", "X-Amz-Checksum-", 400, "InvalidArgument", "unknown header")},
		{name: "uploads take no checksums", act: refusing("CreateMultipartUpload", "X-Amz-Checksum-", 501, "NotImplemented", unknown), parts: true, large: true},
		{name: "parts take no checksums", act: refusing("UploadPart", "X-Amz-Checksum-", 400, "InvalidRequest", "no checksum is allowed here"), parts: true},
		{name: "no end of an upload takes checksums", act: refusing("CompleteMultipartUpload", "X-Amz-Checksum-", 501, "NotImplemented", unknown), parts: true},
		{name: "PUT takes no If-None-Match", act: refusing("PutObject", "If-None-Match", 501, "NotImplemented", unknown)},
		{name: "GET takes no If-Match", act: refusing("GetObject", "If-Match", 501, "NotImplemented", unknown)},
		{name: "a class of storage that is cold", act: cold("", ".zip.age"), loses: true, with: []string{"--s3-storage-class=GLACIER"}},
		{name: "the oldest archive is cold", act: cold("oldest", ".zip.age"), loses: true},
		{name: "the oldest receipt is cold", act: cold("oldest", ".receipt.json"), loses: true},
		{name: "the newest archive is hidden", act: listing(contents(func(all []string) []string {
			return slices.DeleteFunc(all, func(entry string) bool { return strings.Contains(entry, "/made-") })
		})), loses: true},
		{name: "listings are a web page", act: listing(func(string) string { return "<!DOCTYPE html><html>Log in</html>" }), loses: true},
		{name: "listings are an error", act: listing(func(string) string { return "<Error><Code>Oops</Code><Message>no</Message></Error>" }), loses: true},
		{name: "listings are another document", act: listing(func(string) string { return "<ListAllMyBucketsResult/>" }), loses: true},
		{name: "listings are empty and go on", act: listing(func(body string) string { return truncated(contents(func([]string) []string { return nil })(body)) }), loses: true},
		{name: "listings repeat themselves", act: listing(truncated), loses: true},
		{name: "truncated listings are unordered", act: listing(func(body string) string { return truncated(reversed(body)) }), loses: true},
		{name: "listings are too large", act: listing(func(string) string { return "<ListBucketResult><Name>" + strings.Repeat("x", 17<<20) }), loses: true},
		{name: "a portal refuses listings", act: portal, loses: true},
		{name: "the account is suspended", act: always("ListObjectsV2", 403, "AccountProblem", "pay first"), loses: true},
		{name: "the clock is wrong", act: always("ListObjectsV2", 403, "RequestTimeTooSkewed", "by much"), loses: true},
		{name: "the KMS key is disabled", act: always("PutObject", 403, "KMS.DisabledException", "key/1 is disabled"), loses: true},
		{name: "the key lacks a right", act: always("PutObject", 403, "AccessDenied", "User: x is not authorized to perform: kms:GenerateDataKey on resource: y"), loses: true},
	}
}

func answer(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	_, _ = io.Copy(io.Discard, r.Body) // as a server does that keeps the connection
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}

// always refuses an operation.
func always(op string, status int, code, message string) func(string, http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(is string, w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if is == op {
			answer(w, r, status, code, message)
		}
		return is == op
	}
}

// portal refuses listings in a way that is not S3's.
func portal(op string, w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
	if op == "ListObjectsV2" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<html>Log in</html>")
	}
	return op == "ListObjectsV2"
}

// refusing refuses an operation with a header that begins like this.
func refusing(op, header string, status int, code, message string) func(string, http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(is string, w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		for name := range r.Header {
			if is == op && strings.HasPrefix(name, header) {
				answer(w, r, status, code, message)
				return true
			}
		}
		return false
	}
}

// cold refuses to read what is stored so.
func cold(part, ending string) func(string, http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(op string, w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		name := path.Base(r.URL.Path)
		if op != "GetObject" || !strings.HasPrefix(name, part) || !strings.HasSuffix(name, ending) {
			return false
		}
		answer(w, r, 403, "InvalidObjectState", "The operation is not valid for the object's storage class")
		return true
	}
}

// listing alters listings of objects.
func listing(alter func(body string) string) func(string, http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(op string, w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if op == "ListObjectsV2" {
			s3proc.AlterReply(func(_ http.Header, body []byte) []byte { return []byte(alter(string(body))) })(w, r, next)
		}
		return op == "ListObjectsV2"
	}
}

// truncated is a listing that says to have more.
func truncated(body string) string {
	return strings.Replace(body, "<IsTruncated>false<", "<NextContinuationToken>again</NextContinuationToken><IsTruncated>true<", 1)
}

// What each quirk of a store comes to, one by one and those together that cost nothing, as
// it stands in testdata/quirks.golden: the codes of all steps.
func TestQuirksOfStores(t *testing.T) {
	server, _ := startS3(t, s3proc.Options{})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 1000) })
	keys, large := newPair(t), heavy(t)
	for _, name := range []string{"oldest", "middle", "newest"} {
		must(t, exitDone, "backup", "--endpoints", etcd.Endpoint, "--to", "s3://backups/base/"+name+".zip.age", "-r", keys.recipient, "--cluster=small")
	}
	rows := quirks()
	harmless := quirk{name: "all that lose nothing", large: true}
	all := quirk{name: "all", with: []string{"--s3-storage-class=GLACIER"}}
	table := [][]string{{"quirk", "small", "large", "list", "check", "latest", "verify", "restore", "locked", "prune"}}
	try := func(t *testing.T, row quirk, on []quirk) {
		proxy := s3proc.NewProxy(t, server)
		fired := make([]atomic.Int64, len(on))
		proxy.Through(func(op string, w http.ResponseWriter, r *http.Request, next http.Handler) {
			chained(on, fired, op, w, r, next)
		})
		place := "s3://backups/" + url.PathEscape(strings.ReplaceAll(row.name, " ", "-"))
		copyAll(t, server, "base/", strings.TrimPrefix(place, "s3://backups/")+"/")
		t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
		cells := []string{row.name}
		do := func(args ...string) {
			r := runHere(t, args...)
			cells = append(cells, fmt.Sprint(int(r.code)))
			if r.code != exitDone {
				t.Logf("%s: %d: %s", args[0], r.code, strings.SplitN(r.stderr, "\n", 2)[0])
			}
		}
		backup := func(endpoint, name string, more ...string) {
			do(slices.Concat([]string{"backup", "--endpoints", endpoint, "--to", place + "/" + name, "-r", keys.recipient}, row.with, more)...)
		}
		tries := row.large || os.Getenv("KUBEFERRY_LONG") != ""
		backup(etcd.Endpoint, "made-small.zip.age", "--cluster=small")
		if tries {
			backup(large, "made-large.zip.age", "--cluster=large")
		} else {
			cells = append(cells, "-")
		}
		do("list", place)
		do("check", place, "--verify")
		do("describe", "latest", "--store", place, "--cluster=small", "-i", keys.identity)
		do("verify", place+"/oldest.zip.age", "-i", keys.identity)
		do("restore", "--from", place+"/oldest.zip.age", "-i", keys.identity, "--endpoints", etcd.Endpoint, "--on-conflict=skip", "--dry-run")
		backup(etcd.Endpoint, "made-locked.zip.age", "--retain-for=1d")
		do("prune", place, "--keep-last=1", "--max-delete-percent=100")
		table = append(table, cells)
		for i, q := range on {
			// Where no upload can begin with checksums, none comes to its parts.
			if hidden := len(on) > 1 && q.parts && !q.large; fired[i].Load() == 0 && !hidden && (tries || !q.parts) && row.name != all.name {
				t.Errorf("the quirk %q never showed", q.name)
			}
		}
		if names := keysBelow(t, server, strings.TrimPrefix(place, "s3://backups/")+"/made-locked"); len(names) > 0 {
			t.Errorf("what was to be locked, and could not be, is left: %s", names)
		}
	}
	var together []quirk
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { try(t, row, []quirk{row}) })
		if !row.loses && row.name != "none" {
			together = append(together, row)
		}
	}
	t.Run(harmless.name, func(t *testing.T) { try(t, harmless, together) })
	t.Run(all.name, func(t *testing.T) { try(t, all, rows[1:]) })
	if n := uploads(t, server); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if os.Getenv("KUBEFERRY_LONG") == "" { // what was not tried stands as it is
		table = withLarge(t, table)
	}
	wantGolden(t, "testdata/quirks.golden", aligned(table))
}

// chained lets the quirks act one after the other, until one has answered.
func chained(on []quirk, fired []atomic.Int64, op string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if len(on) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	rest := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { chained(on[1:], fired[1:], op, w, r, next) })
	switch {
	case on[0].name == "none":
		fired[0].Add(1)
		next.ServeHTTP(w, r)
	case on[0].act(op, w, r, rest):
		fired[0].Add(1)
	default:
		rest.ServeHTTP(w, r)
	}
}

// keysBelow are the objects whose keys begin like this.
func keysBelow(t *testing.T, server *s3proc.Server, prefix string) (names []string) {
	t.Helper()
	for object := range server.Client().ListObjectsIter(t.Context(), "backups", minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		check(t, object.Err)
		names = append(names, object.Key)
	}
	return names
}

// copyAll copies the objects of one place to another.
func copyAll(t *testing.T, server *s3proc.Server, from, to string) {
	t.Helper()
	for _, key := range keysBelow(t, server, from) {
		_, err := server.Client().Client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: "backups", Object: to + strings.TrimPrefix(key, from)}, minio.CopySrcOptions{Bucket: "backups", Object: key})
		check(t, err)
	}
}

// withLarge takes the column of large backups from the golden table where none was made.
func withLarge(t *testing.T, table [][]string) [][]string {
	t.Helper()
	var golden []string
	if data, err := os.ReadFile("testdata/quirks.golden"); err == nil {
		golden = strings.Split(string(data), "\n")
	}
	for i, row := range table {
		if row[2] == "-" && i < len(golden) && strings.HasPrefix(golden[i], row[0]) {
			row[2] = strings.Fields(strings.TrimPrefix(golden[i], row[0]))[1]
		}
	}
	return table
}

// aligned is a table in plain text.
func aligned(table [][]string) string {
	var b strings.Builder
	for _, row := range table {
		fmt.Fprintf(&b, "%-38s", row[0])
		for _, cell := range row[1:] {
			fmt.Fprintf(&b, " %7s", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}
