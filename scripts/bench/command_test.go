package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sh(script string) command { return command{"/bin/sh", "-c", script} }

func TestJobMeasuresAllOfIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	f, printed, err := job{
		{sh("sleep 0.1; echo one > " + file)},
		{sh("cat " + file), sh("tr o u; sleep 0.1")},
	}.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(printed), "une\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if f[wall] < 0.2 || f[rss] < 100_000 {
		t.Errorf("measured %v", f)
	}
	if size, err := sizeOf(file, file); err != nil || size != 8 {
		t.Errorf("sizes: %v, %v", size, err)
	}
}

func TestJobStopsAtTheFirstFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	_, _, err := job{{sh("echo why >&2; exit 3")}, {sh("echo > " + file)}}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "why") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("what came after the failure was run")
	}
}

func TestPipelineFailsWithAnyOfIt(t *testing.T) {
	for name, p := range map[string]pipeline{
		"the first fails":            {sh("exit 1"), sh("cat")},
		"the last fails":             {sh("yes"), sh("exit 1")},
		"the last cannot be started": {sh("yes"), command{"/does/not/exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := p.run(t.Context()); err == nil {
				t.Error("it was a success")
			}
		})
	}
}

func TestPeakIsTheLargestSeen(t *testing.T) {
	stop := watchPeak(os.Getpid(), "VmHWM")
	now, err := status(os.Getpid(), "VmHWM")
	if err != nil {
		t.Fatal(err)
	}
	if peak := stop(); peak < now/2 {
		t.Errorf("peak %d, seen %d", peak, now)
	}
	if _, err := status(os.Getpid(), "NoSuchField"); err == nil {
		t.Error("a field that is not there had a size")
	}
}

func TestLastLineIsTheSummary(t *testing.T) {
	var s summary
	err := lastLine([]byte("{\"result\":{}}\n"+`{"result":{"plan":{"counts":{"created":7}},"steps":{"plan":{"seconds":0.5,"archive_bytes":42},"apply":{"seconds":2}}}}`+"\n"), &s)
	if err != nil {
		t.Fatal(err)
	}
	f := figures{}
	s.addTo(f)
	if s.Result.Plan.Counts["created"] != 7 || f[plan] != 0.5 || f[planned] != 42 || f[apply] != 2 {
		t.Errorf("read %+v, %v", s, f)
	}
	if _, ok := f[verify]; ok {
		t.Error("a step that was not told has a figure")
	}
	if err := lastLine(nil, &s); err == nil {
		t.Error("nothing was a summary")
	}
}
