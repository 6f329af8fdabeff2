package main

import "context"

// Why groups are skipped that could have run.
const (
	notAsked  = "not asked for"
	onlySmall = "the quick run has only S"
)

// allGroups are all groups, in an order in which each dataset is opened once.
func allGroups() []group {
	return []group{
		programGroup(),
		oldGroup(),
		farGroup("3.6"),
		farGroup("3.7"),
		backupGroup("s", "3.6", true),
		lookGroup(),
		restoreGroup("s", 0, true),
		livingGroup("s", 0),
		boundGroup(),
		backupGroup("s", "3.7", true),
		backupGroup("h", "3.6", false),
		backupGroup("m", "3.6", false, "configmaps"),
		s3Group(),
		liveGroup("3.6"),
		namespaceGroup(),
		planGroup(),
		lookOneGroup(),
		restoreGroup("m", 3, false),
		livingGroup("m", 1),
		liveRestoreGroup(),
		growthGroup("3.6"),
		backupGroup("m", "3.7", false),
		liveGroup("3.7"),
		growthGroup("3.7"),
	}
}

// runAll runs the groups that were asked for.
func (b *bench) runAll(ctx context.Context) {
	defer b.close()
	for _, g := range allGroups() {
		switch {
		case ctx.Err() != nil:
			b.results.skip(g.name, "interrupted")
		case b.settings.only != nil && !b.settings.only.MatchString(g.name):
			b.results.skip(g.name, notAsked)
		case b.settings.only == nil && b.settings.quick && !g.quick:
			b.results.skip(g.name, onlySmall)
		default:
			say("%s: %s", g.name, g.about)
			b.runGroup(ctx, g)
		}
	}
}
