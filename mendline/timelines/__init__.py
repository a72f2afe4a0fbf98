"""Timelines: all that happened about a fault or an incident, from its first sign to the proof, and a report's draft.

The journal has what was found, decided and done; the evidence leads to the first sign on metrics or windows, and the
intents to their commands. Beside them stand what was changed before, who was told, and what people wrote, in the
log's own order.
"""
