"""Unit tests for configurations: `mendline test`. Input series and events, and what must come of them.

`files` is a file of tests; `notation` how values are written; `input` makes rounds of them; `detecting` and `planning`
run the very stages of the product on the log in memory, without an executor; `comparing` finds the differences.
"""

from mendline.cases.comparing import Difference
from mendline.cases.running import Cases, Result, load_cases, run_cases

__all__ = ["Cases", "Difference", "Result", "load_cases", "run_cases"]
