"""Pulls the images of jobs while their machines are provisioned."""

import logging
import threading
from collections.abc import Callable

from vertex_emulator.jobs.cluster import list_tasks
from vertex_emulator.jobs.container_environment import architecture_of, container_of
from vertex_emulator.jobs.events import Event, ImageAwaited, ImageReady, ImageUnavailable
from vertex_emulator.jobs.job import Job
from vertex_emulator.runtimes.contract import AnyRuntime, ImageError, ImageRuntime

logger = logging.getLogger(__name__)


class ImagePulls:
    """Pulls the images of each job; safe to use from several threads.

    Args:
        runtime: Pulls them, if it runs images.
        happened: Called, without a lock, with the events of a job's images.
    """

    def __init__(self, runtime: AnyRuntime, happened: Callable[[str, Event], None]) -> None:
        self._runtime = runtime
        self._happened = happened

    def begin(self, job: Job) -> None:
        """Pull the images of a job, if there are images; returns at once."""
        if not isinstance(self._runtime, ImageRuntime):
            return
        self._happened(job.job_id, ImageAwaited())
        # The engine cannot be interrupted, so this thread is not joined.
        threading.Thread(
            target=self._pull,
            args=(self._runtime, job),
            name=f"emulator-pull-{job.job_id}",
            daemon=True,
        ).start()

    def _pull(self, runtime: ImageRuntime, job: Job) -> None:
        # (image, architecture) -> the image by its digest.
        pulled: dict[tuple[str, str], str] = {}
        images: dict[str, str] = {}
        for task in list_tasks(job.request["jobSpec"]):
            image_uri = container_of(job, task)["imageUri"]
            wanted = image_uri, architecture_of(job, task)
            try:
                if wanted not in pulled:
                    pulled[wanted] = runtime.pull(*wanted)
                    logger.info("%s has pulled %s", job.name, image_uri)
            except ImageError as error:
                self._happened(job.job_id, ImageUnavailable(str(error)))
                return
            except Exception:
                logger.exception("Could not pull the image of %s", job.name)
                reason = f"The image {image_uri} cannot be pulled: the container engine failed."
                self._happened(job.job_id, ImageUnavailable(reason))
                return
            images[task.pool_name] = pulled[wanted]
        self._happened(job.job_id, ImageReady(images))
