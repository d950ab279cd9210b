"""Before torch is imported: threads that wait by spinning slow whatever else runs on the same cores."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
