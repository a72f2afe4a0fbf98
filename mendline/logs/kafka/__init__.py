"""The log on Apache Kafka, through kafka-python, or librdkafka where the options choose it.

`KafkaLog` makes topics, producers and consumers; `KafkaOptions` says how to reach the brokers. The client library is
imported when the first client is made, and each client has one I/O thread of its own: make clients after `fork`,
never before (a forked copy sends nothing and waits for ever).
"""

from mendline.logs.kafka.log import KafkaLog
from mendline.logs.kafka.options import KafkaOptions

__all__ = ["KafkaLog", "KafkaOptions"]
