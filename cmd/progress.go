package cmd

import (
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
)

// progress returns what draws a bar on the terminal for each phase, and a
// function that takes the bar away. Without a terminal, and for one that
// cannot be painted on, both do nothing.
func (p *printer) progress() (tell ferry.Progress, stop func()) {
	if p.json || p.quiet || p.verbose || !p.sh.errTerminal || p.sh.dumb() || p.sh.width() < narrow {
		return nil, func() {}
	}
	var (
		bar   *progressbar.ProgressBar
		phase ferry.Phase
		drawn time.Time
	)
	stop = func() {
		if bar != nil {
			_ = bar.Clear() // a bar that cannot be drawn is no loss
			bar = nil
		}
	}
	tell = func(now ferry.Phase, done, total int64) {
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

func (p *printer) bar(phase ferry.Phase, total int64) *progressbar.ProgressBar {
	if total == 0 {
		total = -1 // not known
	}
	bytes := phase == ferry.Verifying || phase == ferry.Publishing
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p.sh.stderr),
		progressbar.OptionSetDescription(string(phase)),
		progressbar.OptionShowBytes(bytes),
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
	if !bytes {
		options = append(options, progressbar.OptionShowIts())
	}
	return progressbar.NewOptions64(total, options...)
}
