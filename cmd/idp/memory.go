package main

import (
	"os"
	"runtime/debug"
)

// gcPercent lets garbage grow to several times what is live, some 10 MiB. At
// Go's default each password hash, which takes 19 MiB for as long as it runs,
// would bring about a collection: a tenth of a sign-in's CPU.
const gcPercent = 400

// memoryLimit is where the collector works harder rather than let the process
// grow, flood or not.
const memoryLimit = 256 << 20

// tuneMemory sets both, unless the environment does (GOGC, GOMEMLIMIT).
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
