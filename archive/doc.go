// Package archive is the file format of kubeferry's archives.
//
// The nouns:
//
//   - An archive is one ZIP: a header, segments, leases, a manifest. FORMAT.md
//     specifies it.
//   - A segment is up to about 1 MiB of records in key order, all of one kind's
//     range, compressed with zstd.
//   - A [Writer] is an etcdwalk.Sink that makes an archive in one pass.
//   - A [Reader] is an etcdwalk.View of a finished one.
//
// Caveats and lifetimes:
//
//   - The package never interprets a key or a value. Kinds and namespaces come
//     from a function that the caller passes in.
//   - It sees plaintext only. Encryption wraps the io.Writer and the io.ReaderAt
//     that it is given, and so does storage.
//   - Without [Writer.Close] there is no manifest, and so no archive.
//   - [Open] checks the structure; a walk checks each segment before it yields
//     the first entry of it. Only [Reader.Verify] has read every byte. Call it
//     before anything that cannot be undone.
//   - Segments are packed and loaded on up to four cores, a bounded number of
//     them at a time, and all else is done by the caller's goroutine: what the
//     caller passes in is called there, in order, and written to there. An
//     io.ReaderAt is read in others, but forwards, and once at a time by each
//     walk. No goroutine outlives a walk, a Close, or an error.
//   - The format by itself finds damage by accident, not by intent: who can
//     write a plain archive can forge one.
package archive
