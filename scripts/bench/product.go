package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// backup runs the product once, and returns the path of the archive.
func (b *bench) backup(ctx context.Context, d *dataset, words ...string) (figures, string, error) {
	to := b.work("ours")
	if err := os.Mkdir(to, 0o700); err != nil {
		return nil, "", err
	}
	c := append(command{b.programs.kubeferry, "backup"}, words...)
	c = append(c, "--endpoints", d.endpoint, "--to", to, "-r", b.public, "--json")
	f, printed, err := job{{c}}.run(ctx)
	if err != nil {
		return nil, "", err
	}
	var done struct {
		Result struct{ Receipt struct{ Keys float64 } }
	}
	if err := lastLine(printed, &done); err != nil {
		return nil, "", err
	}
	f[keys] = done.Result.Receipt.Keys
	archives, err := filepath.Glob(filepath.Join(to, "*.zip.age"))
	if err != nil || len(archives) != 1 {
		return nil, "", fmt.Errorf("kubeferry backup left %d archives in its folder", len(archives))
	}
	return f, archives[0], nil
}

// archive makes an archive of a dataset, once in a run.
func (b *bench) archive(ctx context.Context, d *dataset) (string, error) {
	if path, ok := b.archives[d.Name]; ok {
		return path, nil
	}
	if err := b.clearWork(); err != nil {
		return "", err
	}
	_, made, err := b.backup(ctx, d)
	if err != nil {
		return "", err
	}
	kept := filepath.Join(b.dir, "archives", d.Name)
	if err := os.RemoveAll(kept); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Dir(made), kept); err != nil {
		return "", err
	}
	b.archives[d.Name] = filepath.Join(kept, filepath.Base(made))
	return b.archives[d.Name], nil
}

// archived opens a dataset on etcd 3.6 and makes an archive of it, once in a run.
func (b *bench) archived(ctx context.Context, name string) (*dataset, string, error) {
	d, err := b.open(ctx, name, "3.6")
	if err != nil {
		return nil, "", err
	}
	archive, err := b.archive(ctx, d)
	return d, archive, err
}

// takes tells whether a command of the product has a flag.
func (b *bench) takes(ctx context.Context, name, flag string) bool {
	help, err := exec.CommandContext(ctx, b.programs.kubeferry, name, "--help").Output()
	return err == nil && strings.Contains(string(help), flag)
}

// keeping are the flags of a restore that say where it keeps what it takes away.
func (b *bench) keeping(ctx context.Context) []string {
	if !b.takes(ctx, "restore", "--undo-dir") {
		return nil
	}
	return []string{"--undo-dir", b.work("undo")}
}

// A summary is what the product's --json says of a restore.
type summary struct {
	Result struct {
		Plan    struct{ Counts map[string]int64 }
		Applied struct{ Counts map[string]int64 }
		Steps   struct {
			Verify, Plan, Apply, Watch step
			Back                       step `json:"read_back"`
		}
	}
}

type step struct {
	Seconds      float64
	ArchiveBytes float64 `json:"archive_bytes"`
}

// addTo adds the steps that were told.
func (s summary) addTo(f figures) {
	told := s.Result.Steps
	for name, taken := range map[string]step{verify: told.Verify, plan: told.Plan, apply: told.Apply, back: told.Back, watched: told.Watch} {
		if taken.Seconds > 0 {
			f[name] = taken.Seconds
		}
	}
	if told.Plan.ArchiveBytes > 0 {
		f[planned] = told.Plan.ArchiveBytes
	}
}

// lastLine reads the last of the JSON lines that the product prints.
func lastLine(printed []byte, into any) error {
	printed = bytes.TrimSpace(printed)
	last := printed[bytes.LastIndexByte(printed, '\n')+1:]
	if err := json.Unmarshal(last, into); err != nil {
		return fmt.Errorf("read what it printed: %w", err)
	}
	return nil
}
