"""The Kafka log's producers and consumers on librdkafka, through confluent-kafka (the extra `mendline[librdkafka]`).

Only records go this way, and the look at their topics: topics are made, listed and cut, and groups asked and left,
through kafka-python whichever client is chosen. It is imported when the first client is made. Make clients after
`fork`, never before.

librdkafka lets nobody write an assignor. Of its own, `range` is the one that serves: who reads what follows from the
members' names and the number of partitions alone, not from what was before. So members of one process, which have
the same place in the order of names in each of their groups, hold the same partition numbers, of all topics with as
many partitions; `cooperative-sticky` depends on the past, so two groups, and two topics in one, drift apart. With
`range` everybody lets go of everything while a rebalance runs. Nobody is told of that: what a member gets back, it
reads on where it was, and only what really went elsewhere is told as revoked.
"""
