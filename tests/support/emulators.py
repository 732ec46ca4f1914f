"""What tests of an emulator start it with and ask it for."""

from vertex_emulator import Timings

NO_WAITING = Timings(queueing=0, provisioning=0, teardown=0)
PARENT = "projects/my-project/locations/us-central1"
