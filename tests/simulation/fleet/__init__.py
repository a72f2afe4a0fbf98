"""A whole fleet: agents, all stages, executors, people, for hours; and what an undisturbed pass over its log says.

A second kind of world beside that of incidents, of which it is made: what there is played is real here.
"""
