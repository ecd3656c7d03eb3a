package main

import (
	"runtime"
	"sync"
)

// hashSlots is how many passwords are hashed at a time: one for each core that
// we may use (the cores, a container's share of them, or what GOMAXPROCS says).
//
// Go gets one thread more than that, so that a flood of sign-ins never holds all
// of them: Go lets a hash run for 10 ms before something else gets its turn, at
// each step of each other request, where the kernel takes a millisecond (T19:
// pages with a session p99 0.17 s, and 0.36 s without). On a single core it
// would only be overhead: a fifth less of everything, and a bystander's hash
// would get half of the core during a flood of refusals, not most of it.
var hashSlots = sync.OnceValue(func() int {
	n := runtime.GOMAXPROCS(0)
	if n > 1 {
		runtime.GOMAXPROCS(n + 1)
	}
	return n
})
