"""Back-test: what would have been different on what was recorded, had other settings counted.

`past` is what all sides share: the period, what people ordered, the outcomes of what was really done. `detection` runs
the stages under each setting and hears the faults; `windows` makes windows anew where their settings differ.
`deciding` lets the planner's own rules go on over each side's faults, with `executing` in the place of hosts.
`comparing` finds the differences. As in a replay nothing here could reach a host, and nothing is written to the log.
"""

from mendline.backtesting.running import Backtest, Candidate, Terms, backtest

__all__ = ["Backtest", "Candidate", "Terms", "backtest"]
