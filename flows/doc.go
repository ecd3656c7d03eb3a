// Package flows walks a person through signing in, one step at a time, and
// through getting back in when that fails. It decides; it never speaks HTTP or
// SQL, and it reaches the store, the directory and the clock only through the
// ports of this package and flows/directory.
//
//	            ┌──────────────┐   Passed: facts    ┌──────────┐
//	request ──► │    Engine    │ ◄───────────────── │   Step   │
//	            │ (dispatcher) │ ─────────────────► │ Show     │
//	            └──────┬───────┘  the next one that │ Submit   │
//	                   │          the policy needs  └──────────┘
//	     nothing more  ▼
//	        session, or new password
//
// Steps never lead to one another. Every answer returns to the Engine, which
// works the next step out of the facts proven so far, so Back, refresh, a
// second tab and another replica do no harm.
package flows
