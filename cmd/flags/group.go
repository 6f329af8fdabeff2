package flags

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Titles of a help text, in their order. Flags without one come last.
const (
	titleWhat       = "What"
	titleFrom       = "Which archive"
	titleWhere      = "Where to"
	titleKeys       = "Keys"
	titleRules      = "How"
	titleUndo       = "Undo"
	titleConnection = "Connection"
	titleS3         = "S3"
	titleOther      = "Other"
)

var titles = []string{titleWhat, titleFrom, titleWhere, titleKeys, titleRules, titleUndo, titleConnection, titleS3, titleOther}

// Topics that explain flags which the help of a command only names.
const (
	topicSelection  = "selection"
	topicKeys       = "keys"
	topicConnection = "connection"
	topicS3         = "s3"
	topicOptions    = "options"
)

// How a flag remembers its title and its topic.
const (
	titleOf = "title"
	topicOf = "topic"
)

// group adds flags below a title. With a topic the help of a command only names them,
// and `kubeferry help TOPIC` explains them.
func group(set *pflag.FlagSet, title, topic string, add func(own *pflag.FlagSet)) {
	own := pflag.NewFlagSet(title, pflag.ContinueOnError)
	own.SortFlags = false
	add(own)
	own.VisitAll(func(f *pflag.Flag) {
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		if f.Annotations[titleOf] == nil {
			f.Annotations[titleOf], f.Annotations[topicOf] = []string{title}, []string{topic}
		}
	})
	set.AddFlagSet(own)
}

// helpWidth is how many columns a help text has.
const helpWidth = 80

// Usages are the flags of a command, for its help: by title, the common ones explained
// and the others named, with the topic that explains them.
func Usages(c *cobra.Command) string {
	var b strings.Builder
	if !c.HasParent() {
		return "\nEvery command:\n" + options(c)
	}
	for _, title := range titles {
		common := pflag.NewFlagSet(title, pflag.ContinueOnError)
		common.SortFlags = false
		var topic string
		var named []string
		for _, f := range ordered(c.LocalFlags()) {
			switch own, about := note(f, titleOf, titleOther), note(f, topicOf, ""); {
			case own != title || f.Hidden:
			case about == "":
				common.AddFlag(f)
			default:
				topic, named = about, append(named, "--"+f.Name)
			}
		}
		if !common.HasFlags() && len(named) == 0 {
			continue
		}
		b.WriteString("\n" + title + ":\n" + common.FlagUsagesWrapped(helpWidth))
		if len(named) > 0 {
			b.WriteString(tail(topic, named))
		}
	}
	b.WriteString("\nEvery command:\n" + options(c.Root()))
	return b.String()
}

// tail names the flags that a topic explains, as many as a line holds.
func tail(topic string, names []string) string {
	line := "      kubeferry help " + topic + ": "
	for i, name := range names {
		more := ", …"
		if i == len(names)-1 {
			more = ""
		}
		if len([]rune(line+name+more)) > helpWidth {
			return strings.TrimSuffix(line, ", ") + ", …\n"
		}
		line += name + ", "
	}
	return strings.TrimSuffix(line, ", ") + "\n"
}

// Topic are the usages of all flags of a topic that a command of the program has.
func Topic(root *cobra.Command, topic string) string {
	all := pflag.NewFlagSet(topic, pflag.ContinueOnError)
	all.SortFlags = false
	for _, c := range root.Commands() {
		for _, f := range ordered(c.LocalFlags()) {
			if note(f, topicOf, "") == topic && all.Lookup(f.Name) == nil {
				all.AddFlag(f)
			}
		}
	}
	if topic == topicOptions {
		all.AddFlagSet(root.PersistentFlags())
	}
	return all.FlagUsagesWrapped(helpWidth)
}

// options names the flags that every command has.
func options(root *cobra.Command) string {
	var names []string
	for _, f := range ordered(root.PersistentFlags()) {
		names = append(names, "--"+f.Name)
	}
	return tail(topicOptions, names)
}

// ordered are the flags of a set in the order in which they were added, as far as
// groups go; pflag keeps none when it merges sets.
func ordered(set *pflag.FlagSet) []*pflag.Flag {
	was := set.SortFlags
	set.SortFlags = false
	defer func() { set.SortFlags = was }()
	var all []*pflag.Flag
	set.VisitAll(func(f *pflag.Flag) { all = append(all, f) })
	return slices.Clip(all)
}

// note is what a flag remembers.
func note(f *pflag.Flag, of, or string) string {
	if kept := f.Annotations[of]; len(kept) > 0 {
		return kept[0]
	}
	return or
}
