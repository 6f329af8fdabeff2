// Package console is what a command says and asks: text for people, JSON lines
// for scripts, questions, progress, secrets that do not print, and the words for
// sizes and ages.
//
// Data goes to stdout, talk to stderr. A run that succeeds without a terminal
// leaves stderr empty. With --json every line on stdout is an object, and the
// last one carries the exit code.
package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
)

// schemaVersion is the version of the JSON output. Readers must tolerate new fields.
const schemaVersion = 2

// A Printer is the one place that prints. Global flags are bound to it.
type Printer struct {
	*Shell

	JSON, Quiet, Verbose bool
	JSONLog              bool // what -v tells is JSON
	NoInput              bool // nobody may be asked

	Result any // what a command has to tell in the end, for --json

	err     error      // the first failure to print, which cobra does not hear of
	writing sync.Mutex // a warning may come from anywhere
}

// Data prints a line for scripts to stdout.
func (p *Printer) Data(format string, args ...any) {
	if !p.JSON && !p.Quiet {
		p.line(p.Stdout, fmt.Sprintf(format, args...))
	}
}

// Text prints a document to stdout as it is: help, a script for a shell.
func (p *Printer) Text(s string) {
	if !p.JSON {
		p.keep(io.WriteString(p.Stdout, s))
	}
}

// Bytes prints a part of a document to stdout as it is.
func (p *Printer) Bytes(b []byte) {
	if !p.JSON {
		p.keep(p.Stdout.Write(b))
	}
}

// Verbatim prints what a value holds to stdout: its bytes into a file or a pipe; on a
// terminal, what could steer it is escaped.
func (p *Printer) Verbatim(s string) {
	if p.OutTerminal {
		s = escaped(s, func(r rune) bool { return r != '\n' && r != '\t' && unprintable(r) })
	}
	p.Text(s)
}

// Out is stdout for cobra, which forgets the errors of its writes.
func (p *Printer) Out() io.Writer { return keeping{p} }

type keeping struct{ p *Printer }

// Write implements io.Writer.
func (k keeping) Write(b []byte) (int, error) {
	n, err := k.p.Stdout.Write(b)
	k.p.keep(n, err)
	return n, err
}

// Talk prints a line for the person at the terminal to stderr; without a
// terminal only with -v, so that cron sends no mail about a success.
func (p *Printer) Talk(format string, args ...any) {
	if !p.JSON && !p.Quiet && (p.ErrTerminal || p.Verbose && !p.JSONLog) {
		p.line(p.Stderr, fmt.Sprintf(format, args...))
	}
}

// Notice prints a line that a person must see even with --quiet, such as one before a question.
func (p *Printer) Notice(format string, args ...any) {
	if p.Quiet && !p.JSON {
		p.line(p.Stderr, fmt.Sprintf(format, args...))
		return
	}
	p.Data(format, args...)
}

// Warn prints what must be seen even if the run succeeds.
func (p *Printer) Warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if p.JSON {
		p.Object(warning{Message: NewMessage("warning"), Text: message})
		return
	}
	p.line(p.Stderr, "warning: "+message)
}

// WarnOnce warns of each endpoint once, whichever API finds it wanting.
func (p *Printer) WarnOnce() func(warning string) {
	var (
		mu   sync.Mutex
		told = map[string]bool{}
	)
	return func(warning string) {
		about, _, _ := strings.Cut(warning, ": ")
		mu.Lock()
		again := told[about]
		told[about] = true
		mu.Unlock()
		if !again {
			p.Warn("%s", warning)
		}
	}
}

// Log is where drivers tell what they do: on stderr with -v, else nowhere.
func (p *Printer) Log() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	switch {
	case !p.Verbose:
		return slog.New(slog.DiscardHandler)
	case p.JSONLog:
		return slog.New(slog.NewJSONHandler(p.Stderr, options))
	default:
		return slog.New(slog.NewTextHandler(p.Stderr, options))
	}
}

// A Message is the head of every JSON line.
type Message struct {
	Type   string `json:"message_type"`
	Schema int    `json:"schema"`
}

// NewMessage is the head of a line of that type.
func NewMessage(kind string) Message { return Message{kind, schemaVersion} }

type warning struct {
	Message
	Text string `json:"message"`
}

type summary struct {
	Message
	Command string `json:"command"`
	Code    int    `json:"code"`
	Result  any    `json:"result"`
}

type exitError struct {
	Message
	Command string `json:"command"`
	Code    int    `json:"code"`
	Text    string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Result  any    `json:"result,omitempty"`
}

// Succeed prints the end of a run that came to its end. A summary that could not
// be printed is no success.
func (p *Printer) Succeed(command string) error {
	if p.err == nil && p.JSON && p.Result != nil {
		p.Object(summary{NewMessage("summary"), command, 0, p.Result})
	}
	return p.err
}

// Fail prints the end of a run that failed: the error, its exit code, and the next
// step if there is one to tell. A reader that has left early is told nothing.
func (p *Printer) Fail(command string, err error, code int, hint string) {
	switch {
	case errors.Is(err, syscall.EPIPE):
	case p.JSON && p.err == nil: // else stdout is what failed
		p.Object(exitError{NewMessage("exit_error"), command, code, err.Error(), hint, p.Result})
	default:
		p.line(p.Stderr, "kubeferry: "+err.Error())
		if hint != "" {
			p.line(p.Stderr, "hint: "+hint)
		}
	}
}

// Err is the first failure to print.
func (p *Printer) Err() error { return p.err }

// line prints text that is not a document: what could steer a terminal is
// escaped.
func (p *Printer) line(w io.Writer, text string) {
	p.writing.Lock()
	defer p.writing.Unlock()
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	p.keep(fmt.Fprintln(w, strings.Join(lines, "\n")))
}

// Object prints a line of JSON to stdout.
func (p *Printer) Object(v any) {
	p.writing.Lock()
	defer p.writing.Unlock()
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.Stdout.Write(append(b, '\n'))
	}
	p.keep(0, err)
}

// keep remembers the first failure to print. A reader that has left early must
// not be told of success by our exit code.
func (p *Printer) keep(_ int, err error) {
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("printing: %w", err)
	}
}
