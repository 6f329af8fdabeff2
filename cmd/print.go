package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// schemaVersion is the version of the JSON output. Readers must tolerate new fields.
const schemaVersion = 1

// A printer is the one place that prints. Global flags are bound to it.
type printer struct {
	sh *shell

	json, quiet, verbose bool
	logFormat            string

	result any   // what a command has to tell in the end, for --json
	err    error // the first failure to print, which cobra does not hear of

	writing sync.Mutex // a warning may come from anywhere
}

// data prints a line for scripts to stdout.
func (p *printer) data(format string, args ...any) {
	if !p.json && !p.quiet {
		p.line(p.sh.stdout, fmt.Sprintf(format, args...))
	}
}

// text prints a document to stdout as it is: help, a script for a shell.
func (p *printer) text(s string) {
	if !p.json {
		p.keep(io.WriteString(p.sh.stdout, s))
	}
}

// out is stdout for cobra, which forgets the errors of its writes.
func (p *printer) out() io.Writer { return keeping{p} }

type keeping struct{ p *printer }

// Write implements io.Writer.
func (k keeping) Write(b []byte) (int, error) {
	n, err := k.p.sh.stdout.Write(b)
	k.p.keep(n, err)
	return n, err
}

// talk prints a line for the person at the terminal to stderr; without a
// terminal only with -v, so that cron sends no mail about a success.
func (p *printer) talk(format string, args ...any) {
	if !p.json && !p.quiet && (p.sh.errTerminal || p.verbose && p.logFormat != "json") {
		p.line(p.sh.stderr, fmt.Sprintf(format, args...))
	}
}

// warn prints what must be seen even if the run succeeds.
func (p *printer) warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if p.json {
		p.object(map[string]any{"message_type": "warning", "schema": schemaVersion, "message": message})
		return
	}
	p.line(p.sh.stderr, "warning: "+message)
}

// once warns of each endpoint once, whichever API finds it wanting.
func (p *printer) once() func(warning string) {
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
			p.warn("%s", warning)
		}
	}
}

// table prints rows in columns to stdout; the first row is the head.
func (p *printer) table(rows [][]string) {
	if p.json || p.quiet {
		return
	}
	w := tabwriter.NewWriter(p.sh.stdout, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		p.keep(fmt.Fprintln(w, strings.Join(row, "\t")))
	}
	p.keep(0, w.Flush())
}

// finish prints the end of a run and returns its exit code.
func (p *printer) finish(command string, err error) int {
	if err == nil {
		if p.json && p.result != nil {
			p.object(map[string]any{"message_type": "summary", "schema": schemaVersion, "command": command, "code": exitDone, "result": p.result})
		}
		err = p.err // a summary that could not be printed is no success
	}
	if err == nil {
		return int(exitDone)
	}
	if errors.Is(err, syscall.EPIPE) {
		return int(exitFailure) // the reader has left early, and knows it
	}
	code, hint := codeOf(err), hintFor(command, err)
	if p.json && p.err == nil { // else stdout is what failed
		end := map[string]any{"message_type": "exit_error", "schema": schemaVersion, "command": command, "code": code, "message": err.Error()}
		if hint != "" {
			end["hint"] = hint
		}
		if p.result != nil {
			end["result"] = p.result
		}
		p.object(end)
		return int(code)
	}
	p.line(p.sh.stderr, "kubeferry: "+err.Error())
	if hint != "" {
		p.line(p.sh.stderr, "hint: "+hint)
	}
	return int(code)
}

// line prints text that is not a document: what could steer a terminal is
// escaped.
func (p *printer) line(w io.Writer, text string) {
	p.writing.Lock()
	defer p.writing.Unlock()
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	p.keep(fmt.Fprintln(w, strings.Join(lines, "\n")))
}

func (p *printer) object(v any) {
	p.writing.Lock()
	defer p.writing.Unlock()
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.sh.stdout.Write(append(b, '\n'))
	}
	p.keep(0, err)
}

// keep remembers the first failure to print. A reader that has left early must
// not be told of success by our exit code.
func (p *printer) keep(_ int, err error) {
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("printing: %w", err)
	}
}

// printable escapes what could steer a terminal: names in an archive may come
// from anybody.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

// bytesText is n in IEC units.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// age is how long ago t was, as kubectl shows it.
func age(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < 0:
		return "<future>"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
