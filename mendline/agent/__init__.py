"""The agent role: observes this host, says so on the log, and obeys the commands for it."""

from mendline.agent.agent import Agent
from mendline.agent.memory import spare_memory
from mendline.agent.state import StateBusyError, StateError

__all__ = ["Agent", "StateBusyError", "StateError", "spare_memory"]
