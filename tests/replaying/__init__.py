"""Tests of the replay of recorded topics."""
