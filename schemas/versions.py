"""How versions of configuration files are called on the log: by hashes alone, which are the same on every host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

DIGEST_BYTES = 16


def content_hash(data: bytes) -> str:
    """Return the BLAKE2b hash of a file's content, 32 hexadecimal digits.

    >>> content_hash(b"port = 80")
    '6f453b3e2fc899354628f7dc5d49d04e'
    """
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def version_hash(hashes: Mapping[str, str]) -> str:
    """Return the name of a version: the hash of its files' paths and `content_hash`es, whatever their order.

    >>> version_hash({"/etc/b": "1", "/etc/a": ""}) == version_hash({"/etc/a": "", "/etc/b": "1"})
    True
    """
    return content_hash(json.dumps(sorted(hashes.items())).encode())
