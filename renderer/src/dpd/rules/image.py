"""worker.image: one word. Kubernetes stores nearly anything; a kubelet then says InvalidImageName for ever."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown

_IMAGE: FieldPath = ("spec", "worker", "image")


def image_is_one_word(endpoint: Endpoint) -> Iterator[Problem]:
    """There is an image, and no white space in or around its name."""
    image = endpoint.part("worker").get("image")
    if image is None:
        return
    if not image.strip():
        yield Problem(_IMAGE, "empty, and a worker has an image", "write the image with your engine")
    elif image.split() != [image]:
        yield Problem(
            _IMAGE, f"{shown(image)} has white space in it, and no node can pull it", "take the white space out"
        )
