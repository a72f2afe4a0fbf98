"""Errors that a consumer's client reports by itself: most it mends, the others end the next poll, or the consumer."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError

from mendline.logs.base import LogError, LogUnavailableError, MemberFencedError
from mendline.logs.librdkafka.errors import translate

_logger = logging.getLogger(__name__)


class Troubles:
    """What one consumer has to say at its next poll."""

    def __init__(self, name: str, group: str | None) -> None:
        """Begin with none. `over`: why the consumer can do nothing any more."""
        self._name = name
        self._group = group
        self._failure: LogError | None = None
        self.over: LogError | None = None

    def heed(self, error: KafkaError, topic: str | None = None) -> None:
        """Take an error that the client reports, of a topic if it tells. Called by the client while it is polled."""
        code = error.code()
        if code == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001 - public all the same
            return
        meaning = translate(error, self._name, "READ", topic or self._group or "")
        if isinstance(meaning, MemberFencedError) or code == KafkaError._FATAL:  # noqa: SLF001
            self.over = meaning
        elif isinstance(meaning, LogUnavailableError) or code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            _logger.debug("%s", meaning)
        elif self._group is not None or code != KafkaError.GROUP_AUTHORIZATION_FAILED:
            self._failure = meaning

    def complain(self) -> None:
        """Raise what ends this poll, once; what ends the consumer, always."""
        failure, self._failure = self.over or self._failure, None
        if failure:
            raise failure
