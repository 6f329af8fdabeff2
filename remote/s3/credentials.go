package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A source is one place where credentials may be.
type source struct {
	name     string
	provider credentials.Provider
	missing  string        // why it need not be asked; empty: it is asked
	limit    time.Duration // of the question
	direct   bool          // never through a proxy: it is on this machine or beside it
}

// A chain asks one source after the other. It is minio-go's chain but for its end:
// that one becomes anonymous when it has found nothing, this one is an error that
// tells why.
type chain struct {
	sources []source
	found   credentials.Provider
}

var _ credentials.Provider = (*chain)(nil)

// newChain lists the sources: what was given, else AWS's in AWS's order.
func newChain(c Config) *chain {
	if !c.Keys.none() {
		given := &credentials.Static{Value: credentials.Value{
			AccessKeyID: c.Keys.AccessKey, SecretAccessKey: tell(c.Keys.SecretKey), SessionToken: tell(c.Keys.SessionToken),
			SignerType: credentials.SignatureV4,
		}}
		return &chain{sources: []source{{name: "the keys that were given", provider: given}}}
	}
	files := source{
		name: "the AWS files", missing: c.unreadable(), limit: 10 * time.Second,
		provider: &credentials.FileAWSCredentials{Filename: c.CredentialsFile, Profile: c.Profile},
	}
	if profile := first(c.Profile, os.Getenv("AWS_PROFILE")); profile != "" {
		files.name = fmt.Sprintf("the profile %q of the AWS files", profile)
	}
	if c.Profile != "" || c.CredentialsFile != "" {
		return &chain{sources: []source{files}}
	}
	return &chain{sources: []source{
		{name: "the environment", provider: &credentials.EnvAWS{}, missing: unset("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")},
		{name: "MinIO's environment", provider: &credentials.EnvMinio{}, missing: unset("MINIO_ROOT_USER", "MINIO_ACCESS_KEY")},
		{name: "web identity", provider: &credentials.IAM{}, missing: unset("AWS_WEB_IDENTITY_TOKEN_FILE"), limit: 10 * time.Second},
		files,
		{
			name: "the container", provider: &credentials.IAM{}, limit: 10 * time.Second, direct: true, // it was named, so it is there
			missing: unset("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		},
		{
			name: "the instance's role", limit: time.Second, direct: true, missing: disabled("AWS_EC2_METADATA_DISABLED"),
			provider: &credentials.IAM{Endpoint: strings.TrimSuffix(os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "/")},
		},
	}}
}

// unset tells that none of the variables is set.
func unset(variables ...string) string {
	for _, v := range variables {
		if os.Getenv(v) != "" {
			return ""
		}
	}
	return strings.Join(variables, " or ") + " is not set"
}

func disabled(variable string) string {
	if strings.EqualFold(os.Getenv(variable), "true") {
		return variable + " is true"
	}
	return ""
}

// RetrieveWithCredContext asks the sources anew. It is also how credentials that
// have expired are renewed.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	var reasons []string
	for _, s := range c.sources {
		value, err := s.ask(ctx)
		if ctx.Err() != nil {
			return credentials.Value{}, fmt.Errorf("look for credentials: %w", ctx.Err())
		}
		if err == nil {
			c.found = s.provider
			return value, nil
		}
		reasons = append(reasons, s.name+": "+err.Error())
	}
	return credentials.Value{}, fmt.Errorf("%w; tried: %s", ErrNoCredentials, strings.Join(reasons, "; "))
}

func (s source) ask(ctx context.Context) (credentials.Value, error) {
	if s.missing != "" {
		return credentials.Value{}, errors.New(s.missing)
	}
	if s.limit > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, s.limit)
		defer done()
	}
	value, err := s.provider.RetrieveWithCredContext(&credentials.CredContext{Client: s.client(), Context: ctx})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return value, fmt.Errorf("no answer within %s", s.limit)
	case err != nil:
		return value, errors.New(reason(err))
	case value.AccessKeyID == "" || value.SecretAccessKey == "":
		return value, errors.New("it has no access key, or no secret key")
	}
	value.SignerType = credentials.SignatureV4
	return value, nil
}

func (s source) client() *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if s.direct {
		transport.Proxy = nil
	}
	return &http.Client{
		Transport:     trimming{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// trimming sends tokens as they were made: the file that they come from may end in a
// newline, which is in none.
type trimming struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t trimming) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if token := r.Header.Get("Authorization"); token != "" {
		r.Header.Set("Authorization", strings.TrimSpace(token))
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Body == nil {
		return t.next.RoundTrip(r)
	}
	form, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	if values, err := url.ParseQuery(string(form)); err == nil && values.Has("WebIdentityToken") {
		values.Set("WebIdentityToken", strings.TrimSpace(values.Get("WebIdentityToken")))
		form = []byte(values.Encode())
	}
	r.Body, r.ContentLength, r.GetBody = io.NopCloser(bytes.NewReader(form)), int64(len(form)), nil
	return t.next.RoundTrip(r)
}

// Retrieve is RetrieveWithCredContext without one.
func (c *chain) Retrieve() (credentials.Value, error) { return c.RetrieveWithCredContext(nil) }

// IsExpired asks the source that was found.
func (c *chain) IsExpired() bool { return c.found == nil || c.found.IsExpired() }
