package console

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// A Phase is a part of a run that takes time, in words for a person.
type Phase struct {
	Name  string
	Bytes bool // it counts bytes; else keys
}

// Progress returns what draws a bar on the terminal for each phase, and a
// function that takes the bar away. Without a terminal, and for one that
// cannot be painted on, the first is nil and the second does nothing.
func (p *Printer) Progress() (tell func(now Phase, done, total int64), stop func()) {
	if p.JSON || p.Quiet || p.Verbose || !p.ErrTerminal || p.dumb() || p.width() < narrow {
		return nil, func() {}
	}
	var (
		bar   *progressbar.ProgressBar
		phase Phase
		drawn time.Time
	)
	stop = func() {
		if bar != nil {
			_ = bar.Clear() // a bar that cannot be drawn is no loss
			bar = nil
		}
	}
	tell = func(now Phase, done, total int64) {
		if bar == nil || now != phase {
			stop()
			bar, phase = p.bar(now, total), now
		}
		// The bar takes a lock and the time for each call; keys come by the
		// hundred thousand.
		if done < total && done%64 != 0 && time.Since(drawn) < interval {
			return
		}
		drawn = time.Now()
		_ = bar.Set64(done)
	}
	return tell, stop
}

// narrow is the width, in columns, below which a bar would be garbled.
const narrow = 40

// interval is the time between two drawings.
const interval = 250 * time.Millisecond

func (p *Printer) bar(phase Phase, total int64) *progressbar.ProgressBar {
	if total == 0 {
		total = -1 // not known
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p.Stderr),
		progressbar.OptionSetDescription(phase.Name),
		progressbar.OptionShowBytes(phase.Bytes),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowCount(),
		progressbar.OptionSetItsString("keys"),
		progressbar.OptionFullWidth(),
		// No spinner of its own: its goroutine would paint on, over questions
		// and results, after the bar is gone.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionThrottle(interval),
		progressbar.OptionClearOnFinish(),
	}
	if !phase.Bytes {
		options = append(options, progressbar.OptionShowIts())
	}
	return progressbar.NewOptions64(total, options...)
}
