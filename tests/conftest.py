"""Settings that must stand before the first test module is imported."""

import os

from hypothesis import settings

# Threads that wait by spinning slow whatever else runs on the same cores; OpenMP reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No test asserts a time, and a noisy machine must not fail a property.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
