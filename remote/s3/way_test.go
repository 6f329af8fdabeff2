package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// TestBothAddressingsThroughAProxy is a process of its own, since the variables of
// proxies are read once in a process: S23, S24.
func TestBothAddressingsThroughAProxy(t *testing.T) {
	const host = "s3.test.invalid" // which only the proxy knows
	if addressing := os.Getenv("KUBEFERRY_TEST_ADDRESSING"); addressing != "" {
		s := open(t, Location{Bucket: bucket, Prefix: addressing}, Config{
			Endpoint: "http://" + host, AllowHTTP: true, Keys: root, SpoolDir: t.TempDir(), Addressing: addressing, RetryBudget: time.Second,
		})
		if err := publish(t.Context(), s, "a b", []byte("content")); err != nil {
			t.Fatal(err)
		}
		if got := remotetest.Read(t, s, "a b"); string(got) != "content" {
			t.Errorf("got %q", got)
		}
		return
	}
	server := s3proc.Start(t, s3proc.Options{Flags: []string{"--virtual-domain=" + host}})
	server.MakeBucket(bucket, false)
	child := func(addressing, proxy string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBothAddressingsThroughAProxy$")
		cmd.Env = append(os.Environ(), "KUBEFERRY_TEST_ADDRESSING="+addressing, "HTTP_PROXY="+proxy)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for addressing, first := range map[string]string{"path": "/" + bucket + "/path/a b", "host": "/host/a b"} {
		t.Run(addressing, func(t *testing.T) {
			proxy := s3proc.NewProxy(t, server)
			if out, err := child(addressing, proxy.Endpoint); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found := false
			for _, request := range proxy.Requests("") {
				found = found || request.Path == first
			}
			if !found {
				t.Errorf("no request for %s", first)
			}
		})
	}
	t.Run("that is not there", func(t *testing.T) {
		out, err := child("path", "http://127.0.0.1:1")
		if err == nil || !strings.Contains(out, "the store is unavailable: proxyconnect tcp: dial tcp 127.0.0.1:1") {
			t.Errorf("got %v, want an error that names the proxy:\n%s", err, out)
		}
	})
}

func TestATimeoutLeavesNothing(t *testing.T) { // S27
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On(way.body, 1, 0, s3proc.Stall(20*time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // time to come so far on a busy machine
			defer cancel()
			if err := publish(ctx, s, "a", way.data); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			assertOnly(t, r.direct(t, s))
		})
	}
}

func TestSecretsStayOutOfLogsAndErrors(t *testing.T) { // P9
	var log bytes.Buffer
	r := newRig(t)
	r.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.config.RetryBudget = 100 * time.Millisecond
	secrets := []string{s3proc.RootSecretKey, url.QueryEscape(s3proc.RootSecretKey)}
	echo := func(w http.ResponseWriter, q *http.Request, _ http.Handler) { // as proxies do that are of help
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprintf(w, "<html>\n%s\n%s\n", q.Method, q.URL.Path)
	}
	for _, k := range tasks {
		for what, act := range map[string]s3proc.Action{
			"echo": echo, "refusal": s3proc.Refuse(403, "SignatureDoesNotMatch"),
		} {
			_, _, err := k.do(t, r, 1, 0, act, nil)
			for _, secret := range secrets {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("%s, %s: %v", k.op, what, err)
				}
			}
		}
	}
	if log.Len() == 0 {
		t.Error("nothing was logged, so this has shown nothing")
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells: %s", log.String())
		}
	}
}

func TestWhatIsRefusedForAnotherReasonIsNotNoted(t *testing.T) { // S11, S19
	r := newRig(t)
	for _, way := range sendings {
		t.Run(way.name, func(t *testing.T) {
			s, proxy := way.store(r, t)
			proxy.On(way.final, 1, 0, s3proc.Refuse(400, "InvalidRequest"))
			if err := publish(t.Context(), s, "a", way.data); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "InvalidRequest: said the proxy") {
				t.Errorf("got %v, want the store's reason", err)
			}
			if s.Notes() != (Notes{}) {
				t.Errorf("got %+v", s.Notes())
			}
			assertOnly(t, r.direct(t, s))
		})
	}
}
