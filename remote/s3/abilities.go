package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// An ability is something that AWS's store can and another may not. What a store cannot
// do it refuses: then it is asked in another way that loses nothing, which is noted and
// told once.
type ability string

const (
	// checksumMode: it tells an object's checksum to who looks at it. Without that,
	// what is unclear is settled by the size and by reading back.
	checksumMode ability = "tell checksums"
	// checksums: it takes CRC32C with what is sent. Without that it gets Content-MD5.
	checksums ability = "take checksum headers"
	// pinning: it answers for an object of this ETag alone. Without that the ETag of
	// its answer is compared.
	pinning ability = "take If-Match"
)

// has tells whether the store can do that, for all that is known.
func (s *Store) has(a ability) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lacks[a]
}

// noteLack notes what the store has refused to do.
func (s *Store) noteLack(a ability, refusal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lacks[a] {
		return
	}
	s.lacks[a] = true
	s.notes.Lacks = strings.TrimPrefix(s.notes.Lacks+", "+string(a), ", ")
	s.config.Log.Warn("the store does not "+string(a)+"; nothing is lost, it is asked in another way", "store", s.at.String(), "why", reason(refusal))
}

// refuses tells whether an error may be one of a store that does not know a header. A
// request for an object's head is answered without a code.
func refuses(err error) bool {
	switch e := response(err); e.StatusCode {
	case http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		switch e.Code {
		case "NotImplemented", "InvalidArgument", "InvalidRequest", "InvalidHeader", "BadRequest", "400 Bad Request":
			return !errors.Is(meaning(err), ErrNoLock)
		}
	}
	return false
}

// either makes a request with checksums if wanted, or without them if the store refuses
// those.
func (s *Store) either(ctx context.Context, what string, wanted bool, request func(ctx context.Context, checksums bool) error) error {
	return s.try(ctx, what, func(ctx context.Context) error {
		with := wanted && s.has(checksums)
		refusal := request(ctx, with)
		if !with || !refuses(refusal) {
			return refusal
		}
		err := request(ctx, false)
		switch {
		case err == nil:
			s.noteLack(checksums, refusal)
		case refuses(err):
			return refusal // it is of something else
		}
		return err
	})
}

// A way is how an object is published: create-only, with checksums, or without.
type way struct{ conditional, checksums bool }

// ways are those to try, the best one first. Then comes the one that costs least to try:
// parts that have gone up with checksums must go up again without. The last one is for a
// store that takes neither.
func (s *Store) ways() []way {
	conditional, sums := s.condition() != ignored, s.has(checksums)
	var all []way
	for _, w := range []way{{true, true}, {false, true}, {true, false}, {false, false}} {
		if (conditional || !w.conditional) && (sums || !w.checksums) {
			all = append(all, w)
		}
	}
	return all
}

// learn notes what the store lacks, by the way that it took instead of the best one.
func (s *Store) learn(best, taken way, refusal error) {
	if best.checksums && !taken.checksums {
		s.noteLack(checksums, refusal)
	}
	if best.conditional && !taken.conditional {
		s.noteIgnored("it refuses If-None-Match: " + reason(refusal))
	}
}

// spares tells whether a way leaves something out that the store says it refuses; if it
// does not say what, any way may help.
func (w way) spares(refusal error) bool {
	message := strings.ToLower(response(refusal).Message)
	switch {
	case strings.Contains(message, "if-none-match"):
		return !w.conditional
	case strings.Contains(message, "checksum"):
		return !w.checksums
	}
	return true
}

// conditions is what is known of how the store takes If-None-Match.
type conditions int

const (
	unknown conditions = iota
	kept
	ignored
)

// condition is what is known of If-None-Match.
func (s *Store) condition() conditions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conditions
}

func (s *Store) noteKept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conditions = kept
}

func (s *Store) noteIgnored(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conditions, s.notes.NotCreateOnly = ignored, true
	s.config.Log.Warn("the store does not keep two writers from one name", "store", s.at.String(), "why", why)
}
