// Package journal is the file that binds an apply to its plan.
//
// A plan writes a [Line] for each key that is selected, in the order in which the
// apply will come to it: what is to become of the key, the revision at which the plan
// saw it, and digests of what it saw and of what it wants. It holds no values. The apply
// reads the lines beside its source, and writes under their revisions.
//
// The file is text, so that it can be read without kubeferry. Its first line names
// the format, and after a tab has a header in JSON that means something to the caller; then
// each line has these columns, with tabs between:
//
//	FATE  REVISION  DIGEST-SEEN  DIGEST-WANTED  REASON  KEY
//
// A column that has nothing is "-". The revision is 0 where the key was absent. Digests are
// 16 bytes, as unpadded URL-safe base64 (RFC 4648, 5). A key is quoted as in Go, all but
// printable ASCII escaped. A reason that comes up first stands as NUMBER="text", and from
// then on as NUMBER; if there are very many of them, further ones stand as "text". The last
// line is "end", the number of the lines of keys, and a seal: HMAC-SHA-256, in base64 as well,
// of all that stands before it, under a key that only who may read the source can have.
package journal
