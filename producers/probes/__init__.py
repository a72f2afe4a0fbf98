"""Questions put to services again and again: HTTP, TCP, DNS, and the round-trip time to peers.

One try of a probe is a generator (`attempt.Attempt`): it yields what it waits for, and returns an answer or raises
why there is none. One thread (`prober.Prober`) drives all tries at once, so one that hangs delays nothing.
"""
