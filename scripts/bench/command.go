package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A command is a program and its arguments.
type command []string

// A pipeline is commands of which each reads what the one before it writes.
type pipeline []command

// A job is pipelines that run one after the other, as a shell runs them with &&.
type job []pipeline

// run runs the job and measures it: wall, the CPU of all processes together, the
// peak RSS of the largest one. What the last process printed is returned.
func (j job) run(ctx context.Context) (figures, []byte, error) {
	f := figures{wall: 0, cpu: 0, rss: 0}
	var out []byte
	for _, p := range j {
		g, printed, err := p.run(ctx)
		if err != nil {
			return nil, nil, err
		}
		f[wall] += g[wall]
		f[cpu] += g[cpu]
		f[rss] = max(f[rss], g[rss])
		out = printed
	}
	return f, out, nil
}

func (p pipeline) run(ctx context.Context) (figures, []byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a process whose reader has died ends, too
	var stdout bytes.Buffer
	processes, err := p.connect(ctx, &stdout)
	if err != nil {
		return nil, nil, err
	}
	begun := time.Now()
	var peaks []func() int64
	for i, c := range processes {
		err = c.Start()
		closeEnds(c)
		if err != nil {
			cancel()
			for j, started := range processes[:i] {
				err = errors.Join(err, started.Wait())
				peaks[j]()
			}
			return nil, nil, fmt.Errorf("start %s: %w", c.Path, err)
		}
		peaks = append(peaks, watchPeak(c.Process.Pid, "VmHWM"))
	}
	f := figures{cpu: 0, rss: 0}
	for i, c := range processes {
		waited := c.Wait()
		if waited != nil {
			cancel()
			err = errors.Join(err, explain(c, waited))
		}
		f[rss] = max(f[rss], float64(peaks[i]()))
		f[cpu] += (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
	}
	f[wall] = time.Since(begun).Seconds()
	if err != nil {
		printed := stdout.String()
		return nil, nil, fmt.Errorf("%w; it printed: %s", err, printed[max(0, len(printed)-1000):])
	}
	return f, stdout.Bytes(), nil
}

// connect prepares the processes, each with its input from the one before.
func (p pipeline) connect(ctx context.Context, stdout io.Writer) ([]*exec.Cmd, error) {
	var processes []*exec.Cmd
	for _, words := range p {
		processes = append(processes, process(ctx, words))
	}
	for i, c := range processes[:len(processes)-1] {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("connect %s: %w", c.Path, err)
		}
		c.Stdout, processes[i+1].Stdin = w, r
	}
	processes[len(processes)-1].Stdout = stdout
	return processes, nil
}

// closeEnds closes our copies of the pipes that the process has now.
func closeEnds(c *exec.Cmd) {
	if w, ok := c.Stdout.(*os.File); ok {
		w.Close()
	}
	if r, ok := c.Stdin.(*os.File); ok {
		r.Close()
	}
}

// process is a child that gets no ETCD_* and ETCDCTL_* of the caller, nor the
// terminal's Ctrl-C: it is we who end it.
func process(ctx context.Context, words command) *exec.Cmd {
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Env = []string{"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
		"KUBEFERRY_STATE_DIR=" + filepath.Join(os.TempDir(), "kubeferry-bench-state")}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Stderr = &bytes.Buffer{}
	return c
}

// explain tells what a process said before it failed.
func explain(c *exec.Cmd, err error) error {
	said := ""
	if b, ok := c.Stderr.(*bytes.Buffer); ok {
		said = strings.TrimSpace(b.String())
	}
	return fmt.Errorf("%s %s: %w: %s", filepath.Base(c.Path), strings.Join(c.Args[1:], " "), err, said[max(0, len(said)-1000):])
}

// sizeOf adds up the sizes of files.
func sizeOf(paths ...string) (float64, error) {
	total := 0.0
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		total += float64(info.Size())
	}
	return total, nil
}
