// Package need says why an object must not be written into a living cluster: what it needs
// is not there, or the controllers that answer to it would do harm.
//
// A [Checks] is asked about what a restore would write, as [kube.Rules] are about all that
// is selected; but it looks at the values, at what else is to be written, and at what the
// target holds. What an object needs may be in the target, or be written with it. A [Removal]
// says the same of what is to be deleted.
package need
