package cmd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is a pseudo-terminal: the side of the person, and that of the
// program.
type terminal struct {
	person, program *os.File
	mu              sync.Mutex
	shown           bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	check(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(int(person.Fd()), unix.TIOCGPTN)
	check(t, err)
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	tty := &terminal{person: person, program: program}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			tty.mu.Lock()
			tty.shown.Write(b[:n])
			tty.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		program.Close()
		person.Close()
	})
	return tty
}

// says tells whether text has been shown.
func (tty *terminal) says(text string) bool {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return strings.Contains(tty.shown.String(), text)
}

// echoes tells whether what is typed is shown.
func (tty *terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.program.Fd()), unix.TCGETS)
	check(t, err)
	return state.Lflag&unix.ECHO != 0
}

// run starts the program at the terminal.
func (tty *terminal) run(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("kubeferry", args...)}
	p.Stdin, p.Stdout, p.Stderr = tty.program, &p.stdout, &p.stderr
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	check(t, p.Start())
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_, _ = p.Process.Kill(), p.Wait()
		}
	})
	return p
}

// K-7: a passphrase is not shown while it is typed, and whichever signal ends
// the question, what is typed later is shown again. K07 has the exit code.
func TestEchoComesBack(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "never.zip.age")
	args := []string{"backup", "--to", target, "--passphrase", "--endpoints", "http://127.0.0.1:1"}
	for _, signal := range stopSignals {
		t.Run(signal.String(), func(t *testing.T) {
			tty := newTerminal(t)
			if !tty.echoes(t) {
				t.Fatal("the terminal does not echo to begin with")
			}
			p := tty.run(t, args...)
			p.await(t, "a question without echo", func() bool { return tty.says("Passphrase:") && !tty.echoes(t) })
			check(t, p.Process.Signal(signal))
			r := p.end(t)
			if r.code != exitInterrupted || !strings.Contains(r.stderr, "interrupted") {
				t.Errorf("%+v", r)
			}
			if !tty.echoes(t) {
				t.Error("the terminal does not echo any more")
			}
			if _, err := os.Stat(target); !os.IsNotExist(err) {
				t.Errorf("there is a target: %v", err)
			}
		})
	}
	t.Run("an answer", func(t *testing.T) {
		tty := newTerminal(t)
		p := tty.run(t, args...)
		for _, question := range []string{"Passphrase:", "Confirm passphrase:"} {
			p.await(t, question, func() bool { return tty.says(question) && !tty.echoes(t) })
			time.Sleep(20 * time.Millisecond)
			_, err := tty.person.WriteString("correct horse\n")
			check(t, err)
		}
		if r := p.end(t); r.code != exitCluster {
			t.Errorf("%+v", r)
		}
		if !tty.echoes(t) || tty.says("correct horse") {
			t.Errorf("echo is back: %v; the terminal shows %q", tty.echoes(t), tty.shown.String())
		}
	})
}
