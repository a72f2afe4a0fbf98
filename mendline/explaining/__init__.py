"""Why something happened, or nothing: `mendline explain`. From records alone, and stages run once more on them.

`subjects` finds what an id means; `evidence` the rounds and windows behind a fault; `scoring` runs the stage again that
said so, up to the record it rests on; `deciding` folds the journal up to each decision, and asks policies and guards
once more; `chain` puts it together, link by link; `moments` explains a moment instead, in which nothing was done.
"""

from mendline.explaining.chain import explain
from mendline.explaining.links import Link
from mendline.explaining.moments import NothingRecordedError, explain_moment
from mendline.explaining.subjects import Subject, subjects_of

__all__ = ["Link", "NothingRecordedError", "Subject", "explain", "explain_moment", "subjects_of"]
