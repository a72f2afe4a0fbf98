"""The logs Mendline runs on: `memory:`, `sqlite://FOLDER` and `kafka://HOST:PORT,…`, behind one interface (`base`).

`open_log` makes one from its URL and imports that implementation only then.
"""

from mendline.logs.open import open_log

__all__ = ["open_log"]
