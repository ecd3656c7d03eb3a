package main

import (
	"runtime"
	"sync"
)

// hashSlots is how many passwords are hashed at a time: one for each core that
// we may use (the cores, a container's share of them, or what GOMAXPROCS says).
//
// Go gets twice as many threads, so that it is the kernel, within a millisecond
// or so, that shares the cores between hashes and all other work. With as many
// threads as slots, a flood of sign-ins held all of them for the 10 ms that Go
// lets a goroutine run, at each step of each other request: pages with a session
// took three times as long (T19: p99 0.36 s, and 0.12 s so).
var hashSlots = sync.OnceValue(func() int {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * n)
	return n
})
