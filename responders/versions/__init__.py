"""Versions of a service's configuration files: kept on its host in git's format, judged, and put back in place."""
