"""The live overview in a terminal (`mendline top`): what is wrong, what is being mended, and what waits for an answer.

    keys.py     single keys of a terminal, without waiting for a line
    scene.py    what there is to show, from the journal's fold: sections of rows
    desk.py     what a person has selected, and what a key means there
    sparks.py   what was measured around a fault, as lines of blocks
    drawing.py  sections of rows as lines that fit the terminal
    running.py  the loop around these: show, wait for a key or for news, answer

What it shows is what the page shows: both are made of `mendline.web.overview`. An answer is an order signed by this
host's key, as that of `mendline approve`.
"""
