"""The services that are broken: each a program of its own, started by Mendline and imported by nobody."""
