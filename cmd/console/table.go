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
func (p *Printer) Table(rows [][]string) {
	if p.JSON || p.Quiet {
		return
	}
	for _, line := range columns(rows) {
		p.keep(fmt.Fprintln(p.Stdout, line))
	}
}

// columns are the lines of a table, two spaces between its columns.
func columns(rows [][]string) []string {
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
			if i < len(rows[0]) && slices.Contains(numeric, rows[0][i]) {
				cell, pad = pad+cell, ""
			}
			b.WriteString(cell + pad + "  ")
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}
