package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
)

var (
	// ErrUnavailable: the store cannot be reached, fails, or does not speak S3 as
	// it should; the message tells the endpoint.
	// It is a remote.ErrUnavailable.
	ErrUnavailable = fmt.Errorf("the store is unavailable%.0w", remote.ErrUnavailable)
	// ErrNoBucket: there is no such bucket. It is a remote.ErrUnavailable.
	ErrNoBucket = fmt.Errorf("no such bucket%.0w", remote.ErrUnavailable)
	// ErrNoCredentials: no source of credentials has any. It is a remote.ErrDenied.
	ErrNoCredentials = fmt.Errorf("no credentials%.0w", remote.ErrDenied)
	// ErrLocked: the object is under retention or a legal hold, so it stays. It is
	// an fs.ErrPermission.
	ErrLocked = fmt.Errorf("the object is locked%.0w", fs.ErrPermission)
	// ErrSkew: this machine's clock differs from the store's too much for its
	// signatures to be taken. It is a remote.ErrUnavailable.
	ErrSkew = fmt.Errorf("the clock is wrong%.0w", remote.ErrUnavailable)
	// ErrNoLock: the bucket keeps no object locked. It is a remote.ErrConfig.
	ErrNoLock = fmt.Errorf("the bucket has no object lock%.0w", remote.ErrConfig)
)

// meanings sorts S3's error codes.
var meanings = map[string]error{
	"NoSuchKey":                            fs.ErrNotExist,
	"NoSuchVersion":                        fs.ErrNotExist,
	"NoSuchBucket":                         ErrNoBucket,
	"PreconditionFailed":                   fs.ErrExist,
	"ObjectLockConfigurationNotFoundError": ErrNoLock,
	"AccessDenied":                         fs.ErrPermission,
	"AllAccessDisabled":                    fs.ErrPermission,
	"ExpiredToken":                         fs.ErrPermission,
	"ExpiredTokenException":                fs.ErrPermission,
	"InvalidAccessKeyId":                   fs.ErrPermission,
	"InvalidToken":                         fs.ErrPermission,
	"SignatureDoesNotMatch":                fs.ErrPermission,
	"XAdminUserNotFound":                   fs.ErrPermission, // versitygw's, with the status 404
	"AccountProblem":                       ErrUnavailable,   // these three are of who pays, and no right helps
	"NotSignedUp":                          ErrUnavailable,
	"UserSuspended":                        ErrUnavailable,
	"RequestTimeTooSkewed":                 ErrSkew,
	"RequestExpired":                       ErrSkew,
	"InvalidObjectState":                   remote.ErrCold,
	"InsufficientStorage":                  remote.ErrNoSpace,
	"QuotaExceeded":                        remote.ErrNoSpace,
	"XMinioStorageFull":                    remote.ErrNoSpace,
	"XMinioAdminBucketQuotaExceeded":       remote.ErrNoSpace,
	"BadDigest":                            remote.ErrDigest,
	"InvalidDigest":                        remote.ErrDigest,
	"XAmzContentChecksumMismatch":          remote.ErrDigest,
	"XAmzContentSHA256Mismatch":            remote.ErrDigest,
	"KeyTooLongError":                      fs.ErrInvalid,
	"InvalidBucketName":                    fs.ErrInvalid,
	"XMinioInvalidObjectName":              fs.ErrInvalid,
}

// statuses sorts the answers whose code is none of S3's.
var statuses = map[int]error{
	http.StatusUnauthorized:        fs.ErrPermission,
	http.StatusForbidden:           fs.ErrPermission,
	http.StatusPreconditionFailed:  fs.ErrExist,
	http.StatusInsufficientStorage: remote.ErrNoSpace,
}

// passing are the statuses of errors that may pass, whoever on the way has them.
var passing = map[int]bool{
	http.StatusInternalServerError: true, http.StatusBadGateway: true, http.StatusServiceUnavailable: true,
	http.StatusGatewayTimeout: true, http.StatusTooManyRequests: true, http.StatusRequestTimeout: true,
}

// transients are the codes of errors that may pass, whatever their status is.
var transients = map[string]bool{
	"ConditionalRequestConflict": true, "OperationAborted": true,
	"SlowDown": true, "SlowDownRead": true, "SlowDownWrite": true, "Throttling": true, "ThrottlingException": true,
	"RequestLimitExceeded": true, "RequestThrottled": true, "RequestTimeout": true, "InternalError": true,
	// What came was not what was sent.
	"BadDigest": true, "IncompleteBody": true, "XAmzContentChecksumMismatch": true, "XAmzContentSHA256Mismatch": true,
}

// A damage is an answer that is not the one that was asked for. It is asked for
// once more.
type damage struct{ what string }

func (d *damage) Error() string { return d.what }
func (d *damage) Unwrap() error { return remote.ErrDigest }

// response is the store's own error, or the zero one.
func response(err error) minio.ErrorResponse {
	var e minio.ErrorResponse
	errors.As(err, &e)
	return e
}

// transient tells whether trying again may help.
func transient(err error) bool {
	var e minio.ErrorResponse
	if errors.As(err, &e) {
		return passing[e.StatusCode] || transients[e.Code]
	}
	var odd *strange
	if errors.As(err, &odd) {
		return transients[odd.code]
	}
	var d *net.DNSError
	return !untrusted(err) && !(errors.As(err, &d) && d.IsNotFound) && !errors.As(err, new(*damage)) && overNetwork(err)
}

// overNetwork tells whether the error is one of the network's.
func overNetwork(err error) bool {
	return errors.As(err, new(*url.Error)) || errors.As(err, new(net.Error)) || errors.As(err, new(*xml.SyntaxError)) || cutOff(err)
}

func untrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError)) ||
		errors.As(err, new(tls.RecordHeaderError))
}

// explain tells what was being done to which object, why it failed, and which
// right is missing if one is. The empty name is the whole store.
func (s *Store) explain(op, action, name string, err error) error {
	if err == nil {
		return nil
	}
	object := s.at.String()
	if name != "" {
		object = s.url(name)
	}
	kind := meaning(err)
	switch {
	case kind == nil:
		return fmt.Errorf("%s %s: %w", op, object, err)
	case errors.Is(kind, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w: %s", op, object, kind, refusal(err, action))
	case errors.Is(kind, remote.ErrCold):
		return fmt.Errorf("%s %s: %w; this fetches it: %s", op, object, kind, s.thawing(name))
	case errors.Is(kind, ErrSkew):
		return fmt.Errorf("%s %s at %s: %w%s: %s", op, object, s.endpoint, kind, s.measuredSkew(), reason(err))
	case errors.Is(kind, ErrUnavailable):
		return fmt.Errorf("%s %s at %s: %w: %s", op, object, s.endpoint, kind, reason(err))
	case errors.Is(kind, fs.ErrExist), errors.Is(kind, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w", op, object, kind)
	}
	return fmt.Errorf("%s %s: %w: %s", op, object, kind, reason(err))
}

// meaning is the sentinel of an error of the store or the network; nil: it speaks
// for itself.
func meaning(err error) error {
	if e := response(err); e.Code != "" || e.StatusCode != 0 {
		switch kind, ok := meanings[e.Code]; {
		case ok && errors.Is(kind, fs.ErrPermission) && strings.Contains(strings.ToLower(e.Message), "request has expired"):
			return ErrSkew
		case ok:
			return kind
		case strings.HasPrefix(e.Code, "KMS."): // the key is disabled, gone, of another region
			return ErrUnavailable
		}
		if e.Code == "InvalidRequest" && saysNoLock(e.Message) {
			return ErrNoLock
		}
		if kind, ok := statuses[e.StatusCode]; ok {
			return kind
		}
		return ErrUnavailable
	}
	if errors.As(err, new(*url.Error)) { // first, since its timeouts pass for the context's
		return ErrUnavailable
	}
	for _, own := range []error{
		context.Canceled, context.DeadlineExceeded, remote.ErrDigest, remote.ErrNoSpace, ErrNoCredentials,
		fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, fs.ErrPermission,
	} {
		if errors.Is(err, own) {
			return nil
		}
	}
	return ErrUnavailable
}

// refusal tells a missing right from credentials that are none, and from what is no
// matter of rights, in the store's own words too.
func refusal(err error, action string) string {
	e := response(err)
	what := ""
	switch e.Code {
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		what = "the store does not know this access key"
	case "SignatureDoesNotMatch":
		what = "the secret key does not belong to the access key"
	case "ExpiredToken", "ExpiredTokenException":
		what = "the credentials have expired"
	case "InvalidToken":
		what = "the session token is not valid"
	case "AccessDenied", "":
		what = "this needs the right " + first(lacking(e.Message), action)
	default:
		return reason(err)
	}
	if e.Code == "" {
		return what
	}
	return what + " (" + reason(err) + ")"
}

// lacking is the right that a store's own message says is missing; empty: none. A key
// that encrypts has rights of its own.
func lacking(message string) string {
	_, after, found := strings.Cut(message, "not authorized to perform: ")
	if !found {
		return ""
	}
	right, _, _ := strings.Cut(after, " ")
	return line(right)
}

func (s *Store) measuredSkew() string {
	skew, known := s.Skew()
	switch {
	case !known:
		return ""
	case skew < 0:
		return fmt.Sprintf(" by %s: this machine is behind the store", -skew)
	}
	return fmt.Sprintf(" by %s: this machine is ahead of the store", skew)
}

// reason is an error's text in one line, without addresses, which the caller
// tells.
func reason(err error) string {
	if e := response(err); e.Code != "" || e.StatusCode != 0 {
		text := e.Code
		if e.Message != "" {
			text += ": " + e.Message
		}
		if e.Region != "" {
			text += ": the bucket is in the region " + e.Region
		}
		if e.StatusCode >= 300 && e.StatusCode < 400 {
			text += ": redirects are not followed"
		}
		return line(text)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if cutOff(err) {
		return "the connection was closed before the answer was there"
	}
	if errors.As(err, new(net.Error)) && isTimeout(err) {
		return line("nothing came in time: " + err.Error())
	}
	return line(err.Error())
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// cutOff knows minio-go's own words too: it drops the error that it had.
func cutOff(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) ||
		strings.Contains(err.Error(), "closed by foreign host")
}

// line makes one line of a text from outside, and not a long one.
func line(text string) string {
	const most = 300
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// clock learns the store's time from its answers.
type clock struct {
	ahead atomic.Int64 // nanoseconds
	known atomic.Bool
}

func (c *clock) learn(header http.Header, now time.Time) {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		c.ahead.Store(int64(now.Sub(date).Truncate(time.Second)))
		c.known.Store(true)
	}
}

func (c *clock) skew() (time.Duration, bool) { return time.Duration(c.ahead.Load()), c.known.Load() }
