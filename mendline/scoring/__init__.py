"""Scores a file of time stamps and values with a detector, row by row, as the pipeline would score its windows.

A row is a window that holds one value. The answer for a row depends on that row and those before it only.
"""

from mendline.scoring.ahead import scored
from mendline.scoring.reader import Block, MalformedFileError, read
from mendline.scoring.scorer import Scored, Scorer
from mendline.scoring.summary import summary

__all__ = ["Block", "MalformedFileError", "Scored", "Scorer", "read", "scored", "summary"]
