package cmd

import (
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/remote/catalog"
)

// An opening is the flags that say which archive is meant, and with what it is
// decrypted.
type opening struct {
	unlocking

	stock    bucket
	from     string // where archives are that are named by what a listing tells of them
	query    catalog.Query
	whole    bool   // the archive is read as a whole, and more than once
	resolved string // the path of the archive that was opened
}

func (f *opening) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.from, "store", "", "place that holds the archive, which is then named as latest, latest~1, the beginning of its id, or its name there")
	addQuery(flags, &f.query)
	f.stock.addFlags(flags)
	f.unlocking.addFlags(flags)
}

// addQuery adds the flags that say which series of archives is meant.
func addQuery(flags *pflag.FlagSet, q *catalog.Query) {
	flags.StringVar(&q.Cluster, "cluster", "", "only archives of this cluster count, for latest and checks: its label, or the UID or id that it is known by (default each)")
	flags.StringVar(&q.Selection, "selection", "", "only archives of this selection count, for latest and checks: its text in a list, or the beginning of its digest (default whole, or what was taken on three days)")
}

// asked refuses a query for an archive that was named in another way.
func (f *opening) asked(s *settings, word string) error {
	if !s.typed("cluster", "selection") || f.from != "" && catalog.IsReference(word) {
		return nil
	}
	return usagef("--cluster and --selection say which archives latest is taken from; %s names one in another way", word)
}
