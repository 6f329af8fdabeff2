package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/flags"
)

// version is set by the linker: see the Makefile.
var version = "dev"

type versionResult struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func newVersion(s *flags.Settings) *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the version",
		Long:        "Prints the version, and what it was built from and for.",
		Annotations: ends(),
		Example:     `  kubeferry version`,
		Args:        noWords,
		RunE: func(*cobra.Command, []string) error {
			showVersion(s)
			return nil
		},
	}
}

func showVersion(s *flags.Settings) {
	r := versionResult{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				r.Commit = s.Value
			}
		}
	}
	s.Result = r
	s.Data("%s", strings.Join(strings.Fields(fmt.Sprintf("kubeferry %s %s %s %s", r.Version, r.Commit, r.Go, r.System)), " "))
}
