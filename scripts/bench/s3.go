package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	oursToS3   = "kubeferry backup to S3"
	oursListed = "kubeferry list of 2,500"
	listed     = 2500
)

// A bucket is a folder that a versitygw of this machine serves as one.
type bucket struct {
	endpoint, dir string
	process       *exec.Cmd
}

// startBucket runs an S3 server with an empty bucket named bench.
func (b *bench) startBucket(ctx context.Context) (*bucket, error) {
	dir := filepath.Join(b.dir, "s3")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "bench"), 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &bucket{endpoint: "http://" + address, dir: filepath.Join(dir, "bench")}
	s.process = exec.CommandContext(context.WithoutCancel(ctx), b.programs.versitygw,
		"--port="+address, "--access=bench", "--secret=bench-secret", "--health=/healthy", "--keep-alive", "--quiet", "posix", dir)
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("start versitygw: %w", err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(s.endpoint + "/healthy")
		if err == nil {
			resp.Body.Close()
			return s, nil
		}
		if time.Now().After(deadline) {
			s.stop()
			return nil, errors.New("versitygw does not answer")
		}
	}
}

func (s *bucket) stop() {
	s.process.Process.Kill()
	s.process.Wait()
}

// command is one of the product's that finds the bucket.
func (s *bucket) command(words ...string) command {
	return append(command{
		"env", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench-secret",
		"AWS_ENDPOINT_URL_S3=" + s.endpoint, "AWS_REGION=us-east-1",
	}, words...)
}

// s3Group measures the backup of M into a bucket beside that into a folder, and
// the listing of many archives.
func s3Group() group {
	const name = "s3-m-3.6"
	return group{
		name:  name,
		about: "backups of M on etcd 3.6 to S3 on loopback",
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, err := b.open(ctx, "m", "3.6")
			if err != nil {
				return nil, err
			}
			return []contender{
				b.oursOf(d, ours),
				{name: oursToS3, run: func(ctx context.Context) (figures, error) { return b.backupToS3(ctx, d) }},
				{name: oursListed, run: b.listS3},
			}, nil
		},
	}
}

func (b *bench) backupToS3(ctx context.Context, d *dataset) (figures, error) {
	s, err := b.startBucket(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	return beside(d.server, func() (figures, error) {
		f, printed, err := job{{s.command(b.programs.kubeferry, "backup", "--endpoints", d.endpoint, "--to", "s3://bench/m", "-r", b.public, "--spool-dir", b.dir, "--json")}}.run(ctx)
		if err != nil {
			return nil, err
		}
		var done struct {
			Result struct{ Receipt struct{ Keys, Size float64 } }
		}
		if err := lastLine(printed, &done); err != nil {
			return nil, err
		}
		f[keys], f[out] = done.Result.Receipt.Keys, done.Result.Receipt.Size
		if f[keys] != float64(d.Keys) {
			return nil, fmt.Errorf("kubeferry backup took %.0f of %d keys", f[keys], d.Keys)
		}
		return f, nil
	})
}

// listS3 lists archives of which there is no more than a byte and the receipt.
func (b *bench) listS3(ctx context.Context) (figures, error) {
	s, err := b.startBucket(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	for i := range listed {
		name := fmt.Sprintf("a%05d.zip.age", i)
		receipt, err := json.Marshal(map[string]any{
			"format": map[string]int{"major": 1}, "archive_id": fmt.Sprintf("%032x", i), "name": name, "size": 1,
			"sha256": fmt.Sprintf("%x", sha256.Sum256([]byte("x"))), "created": time.Unix(int64(1_700_000_000+i*3600), 0).UTC(),
			"cluster_id": "c1", "kube_system_uid": "uid", "cluster": "bench", "revision": i, "keys": 1, "kinds": 1, "whole": true, "tool_version": "bench",
		})
		if err == nil {
			err = errors.Join(os.WriteFile(filepath.Join(s.dir, name), []byte("x"), 0o600),
				os.WriteFile(filepath.Join(s.dir, name+".receipt.json"), receipt, 0o600))
		}
		if err != nil {
			return nil, err
		}
	}
	f, printed, err := job{{s.command(b.programs.kubeferry, "list", "s3://bench", "--json")}}.run(ctx)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(printed), `"receipt":{`); n != listed {
		return nil, fmt.Errorf("kubeferry list told of %d archives of %d", n, listed)
	}
	f[keys] = listed
	return f, nil
}
