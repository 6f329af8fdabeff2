package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// status reads one of the sizes in /proc/PID/status, in bytes: VmHWM is the most
// that a process has had in memory, RssAnon what it has now that is no file's.
func status(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(field+":"))
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s of process %d: %w", field, pid, err)
		}
		return kb << 10, nil
	}
	return 0, fmt.Errorf("process %d has no %s any more", pid, field)
}

// watchPeak asks for a size every 10 ms and returns a function that ends that
// and tells the largest. The size of a process that is gone is not counted.
//
// Why not ru_maxrss: a child inherits that from the process that started it.
func watchPeak(pid int, field string) (stop func() int64) {
	var peak int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			if size, err := status(pid, field); err == nil {
				peak = max(peak, size)
			}
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		close(end)
		<-ended
		return peak
	}
}

// beside watches the server while something runs: how far its anonymous memory
// grows, and what it finds slow.
func beside(s *server, run func() (figures, error)) (figures, error) {
	before, err := status(s.pid(), "RssAnon")
	if err != nil {
		return nil, err
	}
	countSlow, err := s.countSlow()
	if err != nil {
		return nil, err
	}
	peak := watchPeak(s.pid(), "RssAnon")
	f, err := run()
	grown := peak() - before
	if err != nil {
		return nil, err
	}
	f[growth] = float64(max(0, grown))
	f[slow], err = countSlow()
	return f, err
}
