"""Triggers of autoscaling that are complete: what KEDA would refuse to ask, and what it cannot ask by itself."""

from collections import Counter
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import Problem, shown, warning
from dpd.rules.scaling import Trigger, scalings

_DEFAULT_PERIOD = _DEFAULT_WINDOW = 300
_SHORT_PERIODS = (1, 5, 10, 30)
_MINUTE = 60


def names_differ(endpoint: Endpoint) -> Iterator[Problem]:
    """Triggers of one workload that have a name have one each."""
    for scaling in scalings(endpoint):
        names = Counter(each.held["name"] for each in scaling.complete if each.held.get("name"))
        for name, count in names.items():
            if count > 1:
                yield Problem(scaling.path, f"{count} triggers are named {shown(name)}", "name them apart")


def targets_divide(endpoint: Endpoint) -> Iterator[Problem]:
    """Replicas are counted by dividing by the target."""
    for trigger in _complete(endpoint):
        target = trigger.held["targetValue"]
        if target <= 0:
            fact = f"{target}, and replicas are counted by dividing by it"
            yield Problem((*trigger.path, "targetValue"), fact, "write a number above 0")


def metrics_can_be_found(endpoint: Endpoint) -> Iterator[Problem]:
    """A CloudWatch metric is found by namespace and dimensions, which KEDA joins with semicolons."""
    for trigger in _complete(endpoint, "cloudWatchTrigger"):
        if not endpoint.is_sound(trigger.path):
            continue
        if not trigger.held.get("namespace"):
            yield Problem((*trigger.path, "namespace"), "absent, and CloudWatch keeps metrics by namespace", "add it")
        dimensions = trigger.held.get("dimensions") or []
        if not dimensions:
            fact = "absent, and KEDA finds a CloudWatch metric by its dimensions"
            yield Problem((*trigger.path, "dimensions"), fact, "add at least one")
        for index, dimension in enumerate(dimensions):
            for key in ("name", "value"):
                if ";" in dimension[key]:
                    fact = f"{shown(dimension[key])} has a semicolon, with which KEDA parts dimensions"
                    yield Problem((*trigger.path, "dimensions", index, key), fact, "use another metric")


def periods_are_cloudwatchs(endpoint: Endpoint) -> Iterator[Problem]:
    """CloudWatch keeps statistics of certain periods; KEDA asks for a whole number of them."""
    for trigger in _complete(endpoint, "cloudWatchTrigger"):
        period = trigger.held.get("metricCollectionPeriod", _DEFAULT_PERIOD)
        window = trigger.held.get("metricCollectionStartTime", _DEFAULT_WINDOW)
        if period not in _SHORT_PERIODS and (period < _MINUTE or period % _MINUTE):
            fact = f"{period}, and CloudWatch takes 1, 5, 10, 30 or a multiple of 60 seconds"
            yield Problem((*trigger.path, "metricCollectionPeriod"), fact, "write one of these")
        elif window < 0 or window % period:
            fact = f"{window} is no multiple of metricCollectionPeriod, {period}"
            yield Problem((*trigger.path, "metricCollectionStartTime"), fact, "make it one")


def servers_are_known(endpoint: Endpoint) -> Iterator[Problem]:
    """What the manifest cannot say, or does not, stands in the values."""
    for trigger in _complete(endpoint, "prometheusTrigger"):
        if not trigger.held.get("serverAddress"):
            remedy = "set autoscaling.prometheus.serverAddress in the values"
            yield warning((*trigger.path, "serverAddress"), "empty, and helm will ask for a server", remedy)
    if endpoint.part("modelSourceConfig", "s3Storage").get("region"):
        return
    for trigger in _complete(endpoint, "cloudWatchTrigger"):
        remedy = "set autoscaling.aws.region in the values"
        yield warning(trigger.path, "no AWS region is known to ask CloudWatch in, and helm will ask for one", remedy)


def _complete(endpoint: Endpoint, kind: str = "") -> Iterator[Trigger]:
    for scaling in scalings(endpoint):
        yield from (each for each in scaling.complete if kind in ("", each.kind))
