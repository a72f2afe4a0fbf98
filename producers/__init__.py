"""What is observed: collectors of the host, watched processes, probes, configuration files.

A collector is one file with one small class: `collect(now_ms)` returns the series it measures and a value for each
(`base.Collected`). It may be as slow as it likes: `rounds.Collection` runs it beside the others, leaves it out while
it is late, and says so. What happens between two rounds (a death, a failed probe) is an event, which a producer hands
to the function it was made with. Nothing in here knows a log.
"""
