package account

import "context"

// Hold takes a slot, says so, and keeps it until free is closed.
func (h *Hasher) Hold(held chan<- struct{}, free <-chan struct{}) {
	release, err := h.enter(context.Background())
	if err != nil {
		panic(err)
	}
	close(held)
	<-free
	release("test")
}
