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
		full  bool // the bar has room for figures
		drawn time.Time
	)
	stop = func() {
		if bar != nil {
			_ = bar.Clear() // a bar that cannot be drawn is no loss
			bar = nil
		}
	}
	tell = func(now Phase, done, total int64) {
		// The bar takes a lock and the time for each call; keys come by the
		// hundred thousand.
		if bar != nil && now == phase && done < total && time.Since(drawn) < interval {
			return
		}
		drawn = time.Now()
		if room := p.width() >= wide; bar == nil || now != phase || room != full {
			stop()
			bar, phase, full = p.bar(now, total, room), now, room
		}
		_ = bar.Set64(done)
	}
	return tell, stop
}

// narrow is the width, in columns, below which a bar would be garbled, and wide the
// one from which on it has room for counts, rate and time: a line that does not fit
// cannot be taken back.
const (
	narrow = 40
	wide   = 80
)

// interval is the time between two drawings.
const interval = 250 * time.Millisecond

func (p *Printer) bar(phase Phase, total int64, figures bool) *progressbar.ProgressBar {
	if total == 0 {
		total = -1 // not known
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p.Stderr),
		progressbar.OptionSetDescription(phase.Name),
		progressbar.OptionShowBytes(phase.Bytes),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetItsString("keys"),
		progressbar.OptionFullWidth(),
		// No spinner of its own: its goroutine would paint on, over questions
		// and results, after the bar is gone.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionThrottle(interval),
		progressbar.OptionClearOnFinish(),
	}
	switch {
	case !figures:
		options = append(options, progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false))
	case phase.Bytes:
		options = append(options, progressbar.OptionShowCount())
	default:
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts())
	}
	return progressbar.NewOptions64(total, options...)
}
