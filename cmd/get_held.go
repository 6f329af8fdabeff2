package cmd

// A held keeps the first of what comes until it is known whether there is another: one
// alone is shown otherwise than several.
type held[T any] struct {
	first T
	count int64
}

// add takes the next. From the second on it calls show with each, and says which is the
// first.
func (h *held[T]) add(next T, show func(next T, first bool) error) error {
	h.count++
	switch h.count {
	case 1:
		h.first = next
		return nil
	case 2:
		if err := show(h.first, true); err != nil {
			return err
		}
	}
	return show(next, false)
}
