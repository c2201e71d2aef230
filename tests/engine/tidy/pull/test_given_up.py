"""A container's image is pulled before the container is made: giving up there leaves neither."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import Cancelled
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.spec import ContainerRequest
from tests.engine.registry.servers import stalls
from tests.engine.tidy.conftest import Place
from tests.engine.tidy.pull.conftest import Published

pytestmark = pytest.mark.root


@pytest.mark.parametrize("where", ["asking", "downloading", "unpacking"])
def test_a_sink_ends_the_pull_of_a_new_container(place: Place, published: Published, where: str) -> None:
    if where == "downloading":
        published.proxy.wrong("GET", published.own["1"], stalls(100_000))
    before = [image.names for image in place.engine.images()]

    def sink(step: Progress) -> None:
        if where in step.text:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        place.engine.create(ContainerRequest(f"{published.name}:1"), sink)
    assert place.engine.containers() == []
    assert [image.names for image in place.engine.images()] == before
    assert place.wrong() == []
