"""Why a local broker is not to be had.

LocalKafkaError
├── ToolMissingError   Java or Maven is not installed: install what the message names
├── JarsError          Maven could not fetch Kafka: mend the network or Maven's settings, then try again
├── PortTakenError     something else listens there: stop it or take another port
└── BrokerError        the broker ended, or is not ready in time: the message ends with its own last lines
"""

from __future__ import annotations


class LocalKafkaError(Exception):
    """A local broker is not to be had."""


class ToolMissingError(LocalKafkaError):
    """Java or Maven is missing on this machine."""


class JarsError(LocalKafkaError):
    """Kafka's jars could not be fetched."""


class PortTakenError(LocalKafkaError):
    """Something else listens on a port that was asked for."""


class BrokerError(LocalKafkaError):
    """A broker ended by itself, or is not ready in time."""
