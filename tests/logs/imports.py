"""Print the implementations and client libraries that `import mendline.logs` brings along: none, if all is well."""

import sys

import mendline.logs  # noqa: F401 - the import is what is looked at

UNWANTED = ("sqlite3", "kafka", "confluent_kafka", "numpy", "pydantic")

print(
    *[
        n
        for n in sys.modules
        if n in UNWANTED
        or n.startswith(
            ("mendline.logs.memory", "mendline.logs.sqlite", "mendline.logs.kafka", "mendline.logs.librdkafka")
        )
    ]
)
