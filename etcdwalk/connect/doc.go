// Package connect knows what it takes to reach an etcd, whichever API is spoken
// with it: endpoints, TLS and credentials, named and meant as etcdctl does, and
// why an endpoint cannot be used.
//
// A [Config] is what the user gave, an [Endpoint] one address out of it. Drivers
// make their own connections from these. When none of them serves,
// [Config.Diagnose] looks for the reason that clients hide.
package connect
