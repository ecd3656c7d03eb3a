// Package provider is Medximity ID as an HTTP server: it speaks OpenID Connect
// to apps, pages to people, and metrics to operators. It decides nothing about
// people itself; that is package flows.
//
// A host makes one with New and mounts it wherever its issuer says:
//
//	p, err := provider.New(ctx, provider.Config{Issuer: issuer, Store: st, …})
//	http.ListenAndServe(addr, p)
//
// Beside the standard scopes there are two of this field, for clients that are
// registered with them: practice brings the claims practice ({"id", "name"}),
// roles (a list of owner, admin, front_desk, billing), locations (a list of
// names) and, for 7 days after somebody else gave the account back to its person,
// recently_recovered (true); npi brings npi, the ten digits of a National Provider
// Identifier.
package provider
