"""Records and settings: everything that stands on the log or in the configuration file.

Every record is a frozen pydantic model with units in its docstring. Modules that need numpy (`columnar`) are never
imported by the others, so that an agent can encode its rounds without it.
"""
