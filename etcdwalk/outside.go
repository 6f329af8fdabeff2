package etcdwalk

// Outside is what a keyspace holds beside the prefixes that were taken.
type Outside struct {
	Keys int64 `json:"keys"`
	// Under are the first segments of these keys, ascending; not all, if there
	// are many.
	Under []OutsideKeys `json:"under,omitempty"`
}

// OutsideKeys counts the keys that begin with the same segment: up to the first
// slash behind the key's first byte; a key without one is its own.
type OutsideKeys struct {
	Segment string `json:"segment"`
	Keys    int64  `json:"keys"`
}
