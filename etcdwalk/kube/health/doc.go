// Package health says what is wrong with the objects that a view holds, and changes nothing.
//
// A [Look] walks a view once: a cluster at one revision, or an archive. What it is asked about
// are the rules of package kube and its siblings, so that what it finds is what a restore would
// object to. The nouns:
//
//   - A [Finding] is what is wrong, with all objects that it is wrong with: the first of them
//     by name. It tells how bad it is, and which command helps.
//   - An [Unseen] is what was not looked at, and why. Nothing is passed over in silence.
//   - A [Census] counts the values that are encrypted at rest.
//
// Caveats: of each object it remembers a few bytes, and of each Service its addresses. What
// needs what is not in a view of a part, such as an owner, is not looked at there. Nothing that
// is returned holds any of a value but names in its metadata.
package health
