"""Helpers for tests, of Mendline's own and of plug-ins."""
