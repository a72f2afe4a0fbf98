"""Hides what looks like a secret in text that leaves the host, and cuts it to size.

    password=…, "api_key": "…"     the value after a name that means a secret
    Authorization: Bearer …        what authenticates in HTTP
    https://ann:…@example.com/     the password in a URL
    -----BEGIN … PRIVATE KEY-----  whole
    AKIA…, ghp_…, xoxb-…, eyJ….…   keys and tokens that are known by their beginning

It is a net, not a wall: a secret that looks like any other word is not recognised. What must never leave the host does
not belong into output that is collected.
"""

from __future__ import annotations

import re

MASK = "*****"
_NAME = r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w-]*"
# A pattern that could begin at each letter of a long word, and read on to its end, would take a second for 4 kB.
_WORD_BEGINS = r"(?<![\w.+-])"
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*[:=]\s*)[^\r\n]+"), rf"\1\2{MASK}"),
    (re.compile(rf"({_WORD_BEGINS}[a-zA-Z][\w+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({_NAME}[\"']?\s*[:=]\s*)(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\s,;&\"']+)"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({_WORD_BEGINS}--?[\w.-]*?{_NAME}\s+)(?!-)\S+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/-]{8,}=*"), rf"\1\2{MASK}"),
    (
        re.compile(r"(?<![\w-])(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|eyJ[\w-]+\.[\w-]+\.[\w-]*)"),
        MASK,
    ),
)


def masked(text: str) -> str:
    r"""Return the text with what looks like secrets hidden.

    >>> masked("login ann password=hunter2 at postgres://ann:hunter2@db/shop")
    'login ann password=***** at postgres://ann:*****@db/shop'
    >>> masked('{"api_key": "k-1", "port": 80}')
    '{"api_key": *****, "port": 80}'
    """
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def cut_to(text: str, limit: int) -> str:
    """Return the end of the text, at most `limit` bytes of UTF-8.

    >>> cut_to("grün", 3)
    'ün'
    """
    return text.encode()[-limit:].decode(errors="ignore") if limit > 0 else ""
