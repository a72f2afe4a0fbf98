"""The web page: what is wrong, since when, why Mendline thinks so, what it did or asks, and whether that helped.

    journal.py   the journal's fold as it stands, kept up to date on a thread
    fleet.py     the hosts and services that are heard of
    answers/     what the API answers, as models
    telling.py   how faults, incidents and playbooks in those models follow from the fold
    overview.py  the overview and the fleet
    blind.py     what is not seen now
    policies.py  the policies in force, with their record
    history.py   entries of the journal: those about an incident, and all, searched
    blocks.py    rounds and windows, read from the log
    charts.py    what a series did around a fault, or in any time
    bands.py     what detectors expected of it
    shifts.py    what changed around a moment
    edits.py     configurations that were edited before an incident
    outstanding.py  which series to look at first
    people.py    who uses it, and what they may do
    access.py    how they get in: tokens and sessions
    proxy.py     by the word of a trusted proxy
    hub.py       tells open pages of what comes
    ordering.py  what people order
    page.py      holds the above together
    api.py       the calls
    shield.py    what every request has to pass
    app.py       calls, files and shield
    connections.py  their number and patience
    server.py    serves them
    apart.py     keeps what is wrong with it from the rest
    checking.py  what `mendline check` says of it
    static/      the page itself: HTML, CSS and JavaScript modules, no build step

The page is one more reader of the log. What people order on it goes into the journal like what they order on the
command line, signed by this host's key and in their name.
"""
