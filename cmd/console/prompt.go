package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// A Question is what is asked for, how, and which flag answers it where nobody
// can be asked.
type Question struct{ Subject, Text, Instead string }

// ask puts a question to the person at the terminal, not to stdin, which may
// be a pipe.
func (p *Printer) ask(ctx context.Context, q Question, read func(tty *os.File) (string, error)) (string, error) {
	if p.NoInput {
		return "", Usagef("--no-input forbids to ask for the %s; use %s", q.Subject, q.Instead)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil || !term.IsTerminal(int(tty.Fd())) {
		return "", Usagef("there is no terminal to ask for the %s; use %s", q.Subject, q.Instead)
	}
	defer func() { _ = tty.Close() }() // it has nothing to tell
	// A read from a terminal does not end with the context: put the echo back
	// and leave the reader behind, the process is about to end.
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	if _, err := fmt.Fprint(tty, Printable(q.Text)+" "); err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := read(tty)
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		return a.text, a.err
	case <-ctx.Done():
		_, _ = fmt.Fprintln(tty) // what comes next gets a line of its own
		if err := term.Restore(int(tty.Fd()), state); err != nil {
			return "", fmt.Errorf("put the terminal back: %w", errors.Join(err, ctx.Err()))
		}
		return "", ctx.Err()
	}
}

// Confirm asks for the word yes, which a flag gives where nobody can be asked.
func (p *Printer) Confirm(ctx context.Context, text, instead string) (bool, error) {
	q := Question{"word yes", text + ` Type "yes" to go on:`, instead}
	answer, err := p.ask(ctx, q, func(tty *os.File) (string, error) {
		line, err := bufio.NewReader(tty).ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("read the answer: %w", err)
		}
		return line, nil
	})
	return strings.TrimSpace(answer) == "yes", err
}

// AskSecret asks for a secret without echo.
func (p *Printer) AskSecret(ctx context.Context, q Question) (Secret, error) {
	text, err := p.ask(ctx, q, func(tty *os.File) (string, error) {
		b, err := term.ReadPassword(int(tty.Fd()))
		if err == nil {
			_, err = fmt.Fprintln(tty)
		}
		return string(b), err
	})
	if err != nil {
		return Secret{}, err
	}
	return readSecret(q.Subject, strings.NewReader(text))
}
