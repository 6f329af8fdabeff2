package s3

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// refusing refuses requests that carry one of these headers.
func refusing(status int, code, message string, headers ...string) s3proc.Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for name := range r.Header {
			for _, refused := range headers {
				if strings.HasPrefix(name, refused) {
					refuse(w, r, status, code, message)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	}
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	_, _ = io.Copy(io.Discard, r.Body) // as a server does that keeps the connection
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}

// What a store refuses to take is found out, told, and worked around without a loss.
func TestStoresThatRefuseHeaders(t *testing.T) { // S26
	const condition, sums = "If-None-Match", "X-Amz-Checksum-"
	r := newRig(t)
	for name, c := range map[string]struct {
		way    int // 0: whole, 1: in parts
		op     string
		act    s3proc.Action
		want   Notes
		unsent string // the header that the second object does without
	}{
		"checksums":                 {0, "PutObject", refusing(400, "InvalidArgument", "unknown header", sums), Notes{Lacks: string(checksums)}, sums},
		"checksums, by name":        {0, "PutObject", refusing(400, "InvalidRequest", "x-amz-checksum-crc32c is not supported", sums), Notes{Lacks: string(checksums)}, sums},
		"checksums, 501":            {0, "PutObject", refusing(501, "NotImplemented", "A header you provided", sums), Notes{Lacks: string(checksums)}, sums},
		"both":                      {0, "PutObject", refusing(501, "NotImplemented", "A header you provided", sums, condition), Notes{Lacks: string(checksums), NotCreateOnly: true}, sums},
		"conditions":                {0, "PutObject", refusing(501, "NotImplemented", "A header you provided", condition), Notes{NotCreateOnly: true}, condition},
		"an upload with checksums":  {1, "CreateMultipartUpload", refusing(400, "InvalidRequest", "no", sums), Notes{Lacks: string(checksums)}, sums},
		"parts with checksums":      {1, "UploadPart", refusing(400, "InvalidRequest", "no", sums), Notes{Lacks: string(checksums)}, sums},
		"an end with checksums":     {1, "CompleteMultipartUpload", refusing(501, "NotImplemented", "no", sums), Notes{Lacks: string(checksums)}, sums},
		"an end with a condition":   {1, "CompleteMultipartUpload", refusing(501, "NotImplemented", "no", condition), Notes{NotCreateOnly: true}, condition},
		"a head with its checksum":  {0, "HeadObject", refusing(400, "", "", "X-Amz-Checksum-Mode"), Notes{Lacks: string(checksumMode)}, ""},
		"a head with it, 501":       {0, "HeadObject", refusing(501, "", "", "X-Amz-Checksum-Mode"), Notes{Lacks: string(checksumMode)}, ""},
		"a reader who says of what": {0, "GetObject", refusing(400, "InvalidArgument", "no", "If-Match"), Notes{Lacks: string(pinning)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			way := sendings[c.way]
			s, proxy := way.store(r, t)
			proxy.On(c.op, 1, 0, c.act)
			for _, object := range []string{"a", "b"} {
				if err := publish(t.Context(), s, object, way.data); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Notes(); got != c.want {
				t.Errorf("notes %+v, want %+v", got, c.want)
			}
			if got := remotetest.Read(t, r.direct(t, s), "b"); string(got) != string(way.data) {
				t.Errorf("got %d other bytes", len(got))
			}
			assertOnly(t, r.direct(t, s), "a", "b")
			if c.unsent != "" {
				last := proxy.Requests(c.op)
				for name := range last[len(last)-1].Header {
					if strings.HasPrefix(name, c.unsent) {
						t.Errorf("%s is still sent", name)
					}
				}
			}
			if strings.Contains(c.want.Lacks, string(checksums)) {
				sent := proxy.Requests(way.body)
				if got := sent[len(sent)-1].Header.Get("Content-Md5"); got == "" {
					t.Error("no Content-MD5 is sent instead")
				}
			}
		})
	}
}

// What no other way helps against is the refusal that it was.
func TestARefusalThatStays(t *testing.T) {
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On(beginning(way), 1, 0, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				refuse(w, r, 400, "InvalidRequest", "the header x-amz-server-side-encryption is missing")
			})
			err := publish(t.Context(), s, "a", way.data)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "InvalidRequest: the header x-amz-server-side-encryption is missing") {
				t.Errorf("got %v, want the store's own words", err)
			}
			if got := s.Notes(); got != (Notes{}) {
				t.Errorf("notes %+v, want none", got)
			}
			assertOnly(t, r.direct(t, s))
		})
	}
}

// Of 403, what is no matter of rights is told as what it is; the store's own code and
// message are told always.
func TestRefusalsAreToldAsWhatTheyAre(t *testing.T) { // S03, S05
	for name, c := range map[string]struct {
		code, message string
		want          error
		says, not     string
	}{
		"a right":             {"AccessDenied", "Access Denied", fs.ErrPermission, "this needs the right s3:ListBucket (AccessDenied: Access Denied)", ""},
		"another right":       {"AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on resource: y", fs.ErrPermission, "the right kms:Decrypt (", "s3:ListBucket"},
		"the clock":           {"RequestTimeTooSkewed", "too large", ErrSkew, "RequestTimeTooSkewed", "right"},
		"a request too old":   {"AccessDenied", "Request has expired", ErrSkew, "Request has expired", "right"},
		"the account":         {"AccountProblem", "suspended for want of money", ErrUnavailable, "AccountProblem: suspended for want of money", "right"},
		"the user":            {"UserSuspended", "", ErrUnavailable, "UserSuspended", "right"},
		"the key of a KMS":    {"KMS.DisabledException", "key/1 is disabled", ErrUnavailable, "KMS.DisabledException: key/1 is disabled", "right"},
		"what nobody expects": {"MfaRequired", "do come with your phone", fs.ErrPermission, "MfaRequired: do come with your phone", "right"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { refuse(w, r, 403, c.code, c.message) }))
			defer server.Close()
			err := firstError(t, open(t, Location{Bucket: bucket}, Config{Endpoint: server.URL, Keys: root}))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("got %v, want %v that says %q and not %q", err, c.want, c.says, c.not)
			}
		})
	}
}

// What is stored cold counts as published, and says of itself how it is read.
func TestColdObjects(t *testing.T) {
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			s.config.StorageClass = "GLACIER"
			proxy.On("GetObject", 1, 0, s3proc.Refuse(403, "InvalidObjectState"))
			if err := publish(t.Context(), s, "a", way.data); err != nil {
				t.Fatal(err)
			}
			if got := s.Notes(); got != (Notes{Cold: 1}) {
				t.Errorf("notes %+v, want one that is cold", got)
			}
			_, err := read(t.Context(), s, "a")
			if !errors.Is(err, remote.ErrCold) || !strings.Contains(err.Error(), "aws s3api restore-object --bucket "+bucket+" --key "+s.key("a")+" --restore-request Days=7 --endpoint-url "+proxy.Endpoint) {
				t.Errorf("got %v, want an ErrCold with the command", err)
			}
			if err := publish(t.Context(), s, "b", nil); err != nil {
				t.Error(err)
			}
			small, err := s.AtHand().Create(t.Context(), "receipt")
			if err != nil {
				t.Fatal(err)
			}
			if err := small.Commit(remote.DigestOf(nil)); err != nil {
				t.Error(err)
			}
			for _, request := range append(proxy.Requests("PutObject"), proxy.Requests("CreateMultipartUpload")...) {
				want := "GLACIER"
				if strings.HasSuffix(request.Path, "receipt") {
					want = ""
				}
				if got := request.Header.Get("X-Amz-Storage-Class"); got != want {
					t.Errorf("%s has the class %q, want %q", request.Path, got, want)
				}
			}
			if err := s.Remove(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}
	if got, want := quoted("it's"), `'it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An agent that takes its time is waited for, and a token is sent without the newline of
// its file.
func TestPodIdentity(t *testing.T) {
	server := s3proc.Start(t, s3proc.Options{})
	server.MakeBucket(bucket, false)
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		time.Sleep(1500 * time.Millisecond)
		_, _ = fmt.Fprintf(w, `{"AccessKeyId": %q, "SecretAccessKey": %q, "Expiration": %q}`,
			root.AccessKey, s3proc.RootSecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer agent.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", writeFile(t, "token\n"))
	if got := remotetest.Names(t, open(t, Location{Bucket: bucket}, Config{Endpoint: server.Endpoint}), ""); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// A web identity's token goes without the newline, too.
func TestTokensOfAWebIdentity(t *testing.T) {
	var got string
	sts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.PostFormValue("WebIdentityToken") }))
	defer sts.Close()
	body := strings.NewReader("Action=AssumeRoleWithWebIdentity&WebIdentityToken=a.b.c%0A")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sts.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := source{}.client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || got != "a.b.c" {
		t.Errorf("got %q, %v", got, err)
	}
}
