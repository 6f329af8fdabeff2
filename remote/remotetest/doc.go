// Package remotetest holds what tests of stores need: [Memory], a store in
// memory whose operations can be made to fail, and [Run], the suite that every
// driver of package remote must pass, Memory included.
//
// It is linked into tests only.
package remotetest
