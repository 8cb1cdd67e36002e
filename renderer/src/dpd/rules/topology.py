"""topologySpec: what nodes must carry so that it can be met."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import Problem, shown, warning

_GROUP_ID = re.compile(r"pg-[0-9a-f]+\Z")


def placement_group_is_on_nodes(endpoint: Endpoint) -> Iterator[Problem]:
    """Nodes are labelled with a group's id at best; a name needs a label of the cluster's own."""
    group = endpoint.part("pdSpec", "topologySpec").get("placementGroup")
    if group and not _GROUP_ID.match(group):
        fact = f"{shown(group)} is no group's id, and nodes are labelled with ids: pods would wait for a node for ever"
        remedy = "write the id (pg-…), or set topology.placementGroupLabel in the values to a label that holds names"
        yield warning(("spec", "pdSpec", "topologySpec", "placementGroup"), fact, remedy)
