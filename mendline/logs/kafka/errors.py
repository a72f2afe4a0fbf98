"""What each error of kafka-python means to a caller of the log: the one place where they are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors as kafka_errors

from mendline.logs.base import (
    LogCorruptError,
    LogError,
    LogRefusedError,
    LogUnavailableError,
    MemberFencedError,
    RecordTooLargeError,
)

# Every class by name, so that a new version of the library with an error more fails the test instead of being guessed.
_NAMES: dict[type[LogError], str] = {
    LogUnavailableError: """
        BrokerNotAvailableError Cancelled CommitFailedError ConcurrentTransactionsError CoordinatorLoadInProgressError
        CoordinatorNotAvailableError CorrelationIdError DuplicateBrokerRegistrationError
        DuplicateSequenceNumberError ElectionNotNeededError EligibleLeadersNotAvailableError FencedLeaderEpochError
        FetchSessionIdNotFoundError FetchSessionTopicIdError IllegalGenerationError InconsistentTopicIdError
        IneligibleReplicaError InvalidFetchSessionEpochError InvalidMetadataError InvalidProducerEpochError
        InvalidProducerIdMappingError InvalidReceiveError InvalidShareSessionEpochError KafkaConnectionError
        KafkaProtocolError KafkaStorageError KafkaTimeoutError LeaderNotAvailableError ListenerNotFoundError
        LogDirNotFoundError MemberIdRequiredError MetadataEmptyBrokerList NetworkExceptionError NewLeaderElectedError
        NodeNotReadyError NotControllerError NotCoordinatorError NotEnoughReplicasAfterAppendError
        NotEnoughReplicasError NotLeaderForPartitionError OffsetNotAvailableError OperationNotAttemptedError
        OutOfOrderSequenceNumberError PreferredLeaderNotAvailableError QuotaViolationError ReassignmentInProgressError
        RebalanceInProgressError ReplicaNotAvailableError RequestTimedOutError RetriableError
        ShareSessionNotFoundError StaleBrokerEpochError StaleControllerEpochError StaleMemberEpochError StaleMetadata
        ThrottlingQuotaExceededError TooManyInFlightRequests TransactionAbortableError TransactionAbortedError
        UnknownBrokerIdError UnknownControllerIdError UnknownError UnknownLeaderEpochError UnknownMemberIdError
        UnjoinedGroupException UnknownProducerIdError UnknownSubscriptionIdError UnknownTopicIdError
        UnstableOffsetCommitError BrokerIdNotRegisteredError OffsetMovedToTieredStorageError
        NoReassignmentInProgressError
        """,
    LogRefusedError: """
        AuthorizationError BrokerResponseError ClusterAuthorizationFailedError DelegationTokenAuthDisabledError
        DelegationTokenAuthorizationFailedError DelegationTokenExpiredError DelegationTokenNotFoundError
        DelegationTokenOwnerMismatchError DelegationTokenRequestNotAllowedError DuplicateResourceError
        DuplicateVoterError FeatureUpdateFailedError GroupAuthorizationFailedError GroupIdNotFoundError
        GroupMaxSizeReachedError GroupSubscribedToTopicError IllegalArgumentError IllegalSaslStateError
        IllegalStateError IncompatibleBrokerVersion InconsistentClusterIdError InconsistentGroupProtocolError
        InconsistentVoterSetError InvalidCommitOffsetSizeError InvalidConfigurationError InvalidFetchRequestError
        InvalidGroupIdError InvalidPartitionsError InvalidPrincipalTypeError InvalidRecordError
        InvalidRecordStateError InvalidRegistrationError InvalidReplicationAssignmentError
        InvalidReplicationFactorError InvalidRequestError InvalidRequiredAcksError InvalidSessionTimeoutError
        InvalidTimestampError InvalidTopicError InvalidTransactionTimeoutError InvalidTxnStateError
        InvalidUpdateVersionError InvalidVoterKeyError KafkaConfigurationError KafkaError MismatchedEndpointTypeError
        NoError NoOffsetForPartitionError NonEmptyGroupError OffsetMetadataTooLargeError OffsetOutOfRangeError
        PolicyViolationError PositionOutOfRangeError PrincipalDeserializationFailureError ResourceNotFoundError
        SaslAuthenticationFailedError SecurityDisabledError SnapshotNotFoundError TelemetryTooLargeError
        TopicAlreadyExistsError TopicAuthorizationFailedError TopicDeletionDisabledError
        TransactionalIdAuthorizationFailedError TransactionalIdNotFoundError UnacceptableCredentialError
        UnknownTopicOrPartitionError UnrecognizedBrokerVersion UnsupportedAssignorError UnsupportedCodecError
        UnsupportedCompressionTypeError UnsupportedEndpointTypeError UnsupportedForMessageFormatError
        UnsupportedSaslMechanismError UnsupportedVersionError VoterNotFoundError
        """,
    RecordTooLargeError: "MessageSizeTooLargeError RecordListTooLargeError RecordTooLargeError",
    MemberFencedError: """
        FencedInstanceIdError FencedMemberEpochError FencedStateEpochError ProducerFencedError
        TransactionCoordinatorFencedError UnreleasedInstanceIdError
        """,
    LogCorruptError: "CorruptRecordError LogTruncationError",
}

MEANINGS: dict[str, type[LogError]] = {name: ours for ours, names in _NAMES.items() for name in names.split()}


def translate(error: BaseException, doing: str, right: str = "use") -> LogError:
    """Return the log's error for an error of the client; `doing` says what was tried, `right` what it takes on a topic.

    >>> translate(kafka_errors.NotEnoughReplicasError(), "append")
    LogUnavailableError('append: NotEnoughReplicasError')
    """
    if isinstance(error, LogError):
        return error
    ours = next((MEANINGS[c.__name__] for c in type(error).__mro__ if c.__name__ in MEANINGS), LogUnavailableError)
    text = str(error).strip()
    name = type(error).__name__
    detail = name if not text or text.endswith(name) else text if name in text else f"{name}: {text}"
    hint = _HINTS.get(name, "").format(right=right)
    return ours(f"{doing}: {detail}{f' ({hint})' if hint else ''}")


_HINTS = {
    "TopicAuthorizationFailedError": "this Kafka user may not {right} this topic; "
    "`mendline topics acls` prints what must be allowed",
    "GroupAuthorizationFailedError": "this Kafka user may not READ this consumer group; "
    "`mendline topics acls` prints what must be allowed",
    "ClusterAuthorizationFailedError": "this Kafka user lacks a right on the cluster; see docs/kafka.md",
    "InvalidTimestampError": "the topic takes the sender's time and this clock is over an hour ahead; "
    "set message.timestamp.type=LogAppendTime on the topic and mend the clock",
    "InconsistentGroupProtocolError": "other members of this group read through another client; "
    "all must have the same kafka.client",
    "FencedInstanceIdError": "another process joined the group under the same name",
}


@contextmanager
def translated(doing: str, right: str = "use") -> Iterator[None]:
    """Turn errors of the client inside the block into the log's."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise translate(error, doing, right) from error
