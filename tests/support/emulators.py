"""Types of the fixtures that start an emulator and call it."""

from vertex_emulator import Timings

NO_WAITING = Timings(queueing=0, provisioning=0, teardown=0)
PARENT = "projects/my-project/locations/us-central1"
# Seconds that a process may take to start on a busy machine.
PATIENCE = 120.0
