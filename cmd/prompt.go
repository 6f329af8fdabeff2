package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// errNoTerminal says that nobody is there to answer a question.
var errNoTerminal = errors.New("there is no terminal to ask on")

// ask puts a question to the person at the terminal, not to stdin, which may
// be a pipe. instead names the flag that answers it without a terminal.
func (s *settings) ask(ctx context.Context, question, instead string, read func(tty *os.File) (string, error)) (string, error) {
	if s.noInput {
		return "", usagef("--no-input forbids to ask %q; use %s", question, instead)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil || !term.IsTerminal(int(tty.Fd())) {
		return "", usagef("%w %q; use %s", errNoTerminal, question, instead)
	}
	defer tty.Close()
	// A read from a terminal does not end with the context: put the echo back
	// and leave the reader behind, the process is about to end.
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("asking on the terminal: %w", err)
	}
	if _, err := fmt.Fprint(tty, question+" "); err != nil {
		return "", fmt.Errorf("asking on the terminal: %w", err)
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
		return "", errors.Join(ctx.Err(), term.Restore(int(tty.Fd()), state))
	}
}

// confirm asks for the word yes.
func (s *settings) confirm(ctx context.Context, question string) (bool, error) {
	text, err := s.ask(ctx, question+` Type "yes" to go on:`, "--yes", func(tty *os.File) (string, error) {
		line, err := bufio.NewReader(tty).ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("reading the answer: %w", err)
		}
		return line, nil
	})
	return strings.TrimSpace(text) == "yes", err
}

// askSecret asks for a secret without echo.
func (s *settings) askSecret(ctx context.Context, question, instead string) (secret, error) {
	text, err := s.ask(ctx, question, instead, func(tty *os.File) (string, error) {
		b, err := term.ReadPassword(int(tty.Fd()))
		if err == nil {
			_, err = fmt.Fprintln(tty)
		}
		return string(b), err
	})
	if err != nil {
		return secret{}, err
	}
	return readSecret("answer", strings.NewReader(text))
}
