package console

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// numeric are the heads of the columns that stand to the right.
var numeric = []string{"AGE", "BYTES", "SIZE", "KEYS", "REVISION", "GOOD", "BROKEN"}

// Table prints rows in columns to stdout; the first row is the head.
func (p *Printer) Table(rows [][]string) { p.table(columns(rows, "  ", numeric)) }

// KubectlTable prints rows as kubectl does, all columns to the left.
func (p *Printer) KubectlTable(rows [][]string) {
	for _, row := range rows {
		for i, cell := range row {
			if at := strings.IndexAny(cell, "\f\n\r"); at >= 0 { // as kubectl cuts it
				row[i] = cell[:at] + "..."
			}
		}
	}
	for _, line := range columns(rows, "   ", nil) {
		p.Text(line + "\n")
	}
}

func (p *Printer) table(lines []string) {
	if p.JSON || p.Quiet {
		return
	}
	for _, line := range lines {
		p.keep(fmt.Fprintln(p.Stdout, line))
	}
}

// columns are the lines of a table, with a gap between its columns; those whose heads are
// in right stand to the right.
func columns(rows [][]string, gap string, right []string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = Printable(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < len(rows[0]) && slices.Contains(right, rows[0][i]) {
				cell, pad = pad+cell, ""
			}
			b.WriteString(cell + pad + gap)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}
