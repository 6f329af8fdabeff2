// Package flags is the groups of flags that commands share, each with what it
// resolves to: settings and profiles, the connection to a cluster, keys, places,
// the selection, the archive that is meant.
//
// A group adds its flags to a set, and resolves when the command runs. It keeps
// what was typed and nothing else.
package flags

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Settings gives each flag that was not typed its value from elsewhere, and
// knows where every value came from. In order: the flag, KUBEFERRY_<FLAG>,
// ETCDCTL_<FLAG> for etcdctl's flags, the profile, the default.
type Settings struct {
	*console.Printer

	config, profile string
	timeout         time.Duration
	origins         map[string]string // flag name -> where its value came from
	typed           []*pflag.Flag
}

// AddFlags adds the flags that every command has.
func (s *Settings) AddFlags(set *pflag.FlagSet) {
	set.BoolVar(&s.JSON, "json", false, "print JSON lines; the last one carries the exit code")
	set.BoolVarP(&s.Quiet, "quiet", "q", false, "print only warnings and errors")
	set.BoolVarP(&s.Verbose, "verbose", "v", false, "log progress to stderr")
	Enum(set, &s.JSONLog, "log-format", "format of the --verbose log", Choice[bool]{Word: "text"}, Choice[bool]{Word: "json", Value: true})
	set.BoolVar(&s.NoInput, "no-input", false, "fail instead of prompting; the error names the flag to use")
	set.StringVar(&s.config, "config", "", "configuration `FILE` (default /etc/kubeferry/config.yaml, then the user's)")
	set.StringVar(&s.profile, "profile", "", "profile `NAME` in the configuration file (default its default_profile)")
	set.DurationVar(&s.timeout, "timeout", 0, "give up after this time (default: no limit)")
}

// etcdctlFlag marks a flag that etcdctl has too, so that ETCDCTL_<FLAG> counts.
const etcdctlFlag = "etcdctl"

// variables that mean something to kubeferry without standing for a flag, or
// belong to its tests and build.
var otherVariables = []string{"KUBEFERRY_PASSPHRASE", "KUBEFERRY_PASSWORD", "KUBEFERRY_LONG", "KUBEFERRY_CACHE"}

// Variable is the environment variable of a flag.
func Variable(flag string) string {
	if flag == "identity" {
		flag = "identity-file"
	}
	return "KUBEFERRY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Origin tells where the value of a flag came from, in words for a person.
func (s *Settings) Origin(flag string) string {
	if o, ok := s.origins[flag]; ok {
		return o
	}
	return "default"
}

// Typed tells whether one of the flags was typed.
func (s *Settings) Typed(flags ...string) bool {
	return slices.ContainsFunc(flags, func(flag string) bool { return s.Origin(flag) == "--"+flag })
}

// Again repeats what was typed of how a store and a configuration are reached, for a
// command line that a user can type next. None of these is a secret.
func (s *Settings) Again() string {
	var b strings.Builder
	for _, f := range s.typed {
		if f.Name != "config" && f.Name != "profile" && f.Name != "spool-dir" && (note(f, topicOf, "") != topicS3 || !strings.HasPrefix(f.Name, "s3-")) {
			continue
		}
		if f.Name == "s3-tag" || f.Name == "s3-encryption" || f.Name == "s3-kms-key" || f.Name == "s3-storage-class" {
			continue // of what is written
		}
		b.WriteString(" --" + f.Name + "=" + console.Quote(f.Value.String()))
	}
	return b.String()
}

// Apply fills in the flags of cmd, and starts its --timeout.
func (s *Settings) Apply(cmd *cobra.Command) error {
	cmd.Flags().Visit(func(f *pflag.Flag) { s.typed = append(s.typed, f) })
	if err := s.fill(cmd); err != nil {
		return err
	}
	if s.timeout < 0 {
		return console.Usagef("--timeout=%s: it takes a time above 0", s.timeout)
	}
	if s.timeout > 0 {
		// The process ends with the command; the timer needs no release.
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), s.timeout, fmt.Errorf("%w of %s", console.ErrTimeout, s.timeout))
		context.AfterFunc(cmd.Context(), cancel)
		cmd.SetContext(ctx)
	}
	return nil
}

func (s *Settings) fill(cmd *cobra.Command) error {
	if err := s.checkVariables(cmd.Root()); err != nil {
		return err
	}
	if err := checkTyped(cmd.Flags()); err != nil {
		return err
	}
	for _, flag := range []string{"config", "profile"} {
		if value, ok := s.Getenv(Variable(flag)); ok && !cmd.Flags().Changed(flag) {
			if err := cmd.Flags().Set(flag, value); err != nil {
				return console.Configf("%s: %w", Variable(flag), err)
			}
		}
	}
	c, path, err := loadConfig(s.config, s.Shell)
	if err != nil {
		return err
	}
	chosen, err := c.pick(s.profile, path)
	if errors.Is(err, errNoDefault) && cmd.Flags().Lookup("endpoints") == nil {
		err = nil // a command without a cluster can do without a profile
	}
	if err != nil {
		return err
	}
	s.origins = map[string]string{}
	values := chosen.flags()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, origin := s.lookup(f, values[f.Name], chosen.Name, path)
		if origin != "" {
			s.origins[f.Name] = origin
		}
		wanted := values[f.Name]
		if cmd.Flags().Changed("profile") && strings.HasPrefix(origin, "ETCDCTL_") && wanted != "" && wanted != value {
			// Half a profile and half another cluster's environment is nobody's
			// wish, and the archive would bear the profile's label.
			err = console.Configf("profile %s and %s say different things of --%s; unset the variable, or type the flag", chosen.Name, origin, f.Name)
		}
		if err == nil && value != "" {
			if e := f.Value.Set(value); e != nil {
				err = console.Configf("%s, for --%s: %w", origin, f.Name, plain(f, e))
			}
		}
	})
	return err
}

// lookup finds the value and the origin of one flag. The value is empty if the
// flag has it already.
func (s *Settings) lookup(f *pflag.Flag, fromProfile, profile, path string) (value, origin string) {
	if f.Changed {
		return "", "--" + f.Name
	}
	if f.Name == "passphrase" || f.Name == "help" || f.Name == "version" {
		return "", "" // KUBEFERRY_PASSPHRASE is the passphrase itself
	}
	names := []string{Variable(f.Name)}
	if _, ok := f.Annotations[etcdctlFlag]; ok {
		names = append(names, "ETCDCTL_"+strings.TrimPrefix(Variable(f.Name), "KUBEFERRY_"))
	}
	for _, name := range names {
		if value, ok := s.Getenv(name); ok {
			return value, name
		}
	}
	if fromProfile != "" {
		return fromProfile, fmt.Sprintf("profile %s of %s", profile, path)
	}
	return "", ""
}

// UnsetVariable is the likely cause of a word that is empty.
const UnsetVariable = "; has a variable of the shell no value?"

// checkTyped refuses a flag that was typed with nothing: -n "$NS" without a
// value in NS must not mean all namespaces.
func checkTyped(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if value := f.Value.String(); value == "" || value == "[]" {
			err = console.Usagef("--%s is empty%s", f.Name, UnsetVariable)
		}
	})
	return err
}

// checkVariables refuses a KUBEFERRY_ variable that nothing reads: a misspelt
// one would be a setting that silently does not hold.
func (s *Settings) checkVariables(root *cobra.Command) error {
	known := slices.Clone(otherVariables)
	for _, c := range append(root.Commands(), root) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" && f.Name != "version" {
					known = append(known, Variable(f.Name))
				}
			})
		}
	}
	for _, pair := range s.Environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "KUBEFERRY_") || strings.HasPrefix(name, "KUBEFERRY_TEST_") || slices.Contains(known, name) {
			continue
		}
		return console.Configf("unknown environment variable %s%s", name, DidYouMean(name, known))
	}
	return nil
}

// DidYouMean suggests the nearest of the words that could have been meant.
func DidYouMean(typed string, words []string) string {
	if near := kube.Nearest(typed, words); len(near) > 0 {
		return " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return ""
}
