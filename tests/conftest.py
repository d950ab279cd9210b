"""Settings that must stand before the first test module is imported, and a cluster on one machine."""

import gc
import os

import pytest
from hypothesis import settings

# Threads that wait by spinning slow whatever else runs on the same cores; OpenMP reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core each

pytest_plugins = ["tests.helpers.jobs"]

# No test asserts a time, and a noisy machine must not fail a property.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_collection_finish() -> None:
    """Takes the objects that the imports made out of every later garbage collection; each row begins with one."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Gives them back; nanobind calls what is left at the end a leak."""
    gc.unfreeze()


@pytest.fixture
def head_node(monkeypatch):
    """A Ray cluster of one node with one CPU; `add_node` gives it more."""
    from ray.cluster_utils import Cluster  # seconds to import

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield nodes
    nodes.shutdown()
