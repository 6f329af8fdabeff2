package cmd

import (
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// progress returns what draws a story's phases on the terminal, and a function that
// takes the bar away.
func progress(s *flags.Settings) (ferry.Progress, func()) {
	tell, stop := s.Progress()
	if tell == nil {
		return nil, stop
	}
	return func(now ferry.Phase, done, total int64) {
		tell(console.Phase{Name: string(now), Bytes: now == ferry.Verifying || now == ferry.Publishing}, done, total)
	}, stop
}
