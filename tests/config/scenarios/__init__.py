"""The scenarios by theme (README.md); those that take longest come first, as they are played side by side."""
from . import apart, editing, hostile, killed, limits, operator, services

ALL = [s for theme in (apart, limits, killed, hostile, editing, services, operator) for s in theme.SCENARIOS]
