"""Which units of a network can still learn: evidence, verdicts, data files, reports. It knows no framework."""

from rectified.health.evidence import Evidence as Evidence
from rectified.health.history import History as History
from rectified.health.record import Layer as Layer
from rectified.health.record import Run as Run
