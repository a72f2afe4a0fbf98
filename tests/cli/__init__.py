"""The command line and the configuration: what people type, and what they are told."""
