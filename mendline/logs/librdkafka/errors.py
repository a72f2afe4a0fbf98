"""What each error of librdkafka means to a caller of the log; the brokers' errors mean what they mean elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException
from kafka import errors as kafka_errors

from mendline.logs.base import LogError, LogRefusedError, LogUnavailableError
from mendline.logs.kafka import errors as shared

_REFUSED = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's own codes begin with an underscore, and are public
    KafkaError._INVALID_ARG,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
}


def translate(error: KafkaError, doing: str, right: str = "use", what: str = "") -> LogError:
    """Return the log's error for an error of librdkafka.

    `doing` says what was tried, `right` what that takes, `what` the topic or group that it was tried on.
    """
    code = error.code()
    if code == KafkaError._FATAL and "fenced" in error.str():  # noqa: SLF001
        return shared.translate(kafka_errors.FencedInstanceIdError(), doing)
    if code == KafkaError._FATAL:  # noqa: SLF001
        return LogError(f"{doing}: {error.str()}")
    if code > 0:
        return shared.translate(kafka_errors.for_code(code)(*filter(None, [what])), doing, right)
    ours = LogRefusedError if code in _REFUSED else LogUnavailableError
    return ours(f"{doing}: {error.name()}: {error.str()}")


def cause(raised: KafkaException) -> KafkaError:
    """Return the error inside the library's exception."""
    error: KafkaError = raised.args[0]
    return error


@contextmanager
def translated(doing: str, right: str = "use") -> Iterator[None]:
    """Turn errors of the client inside the block into the log's."""
    try:
        yield
    except KafkaException as raised:
        raise translate(cause(raised), doing, right) from raised
