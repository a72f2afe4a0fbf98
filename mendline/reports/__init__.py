"""What Mendline was worth in a span of time: availability, incidents, repairs, detection. A fold of the journal.

    history = History(why_not, span)     # `history`: the journal's own fold, and what it would forget
    history.apply(stored)                # each record, in order
    report = make_report(history, ...)   # `report`: numbers, one module for each part of them
    page(report)                         # `text`, `markdown` or `page`, from the same `sections`

Nothing is worked out anew that the journal's fold or `incidents` says: what counts, and which faults are one incident,
is theirs. Moments are append times of the journal (ms), one clock for all hosts, unless a method says otherwise.
"""
