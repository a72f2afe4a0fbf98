"""From the configuration file to `Settings`, with errors that say where and what to do.

Every mistake is told as `FILE:LINE: KEY: what is wrong; what to do`, all of them at once.
"""

from mendline.config.errors import ConfigError
from mendline.config.files import existing_log_of, load_settings, log_of, parse_settings, resolve, store_of

__all__ = ["ConfigError", "existing_log_of", "load_settings", "log_of", "parse_settings", "resolve", "store_of"]
