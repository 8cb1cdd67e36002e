"""Second stop of a manifest, continued: what a schema cannot say. One concern per module, each rule a pure function.

A rule looks at the sound parts of an endpoint and yields problems. Adding a rule is adding a function and a row here.
An error is a contradiction between fields, or something no cluster can run; what is legal but unwise is a warning.
"""

from collections.abc import Callable, Iterable

from dpd.endpoint import Endpoint
from dpd.problems import Problem
from dpd.rules import (
    caching,
    command,
    edge,
    engine_flags,
    environment,
    fabric,
    gpus,
    hashing_and_buffers,
    model,
    names,
    placement,
    ports,
    probes,
    resources,
    routing,
    scaling,
    source,
    topology,
    triggers,
    unused,
    volumes,
)

Rule = Callable[[Endpoint], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    names.names,
    names.names_end_on_their_line,
    placement.one_way_of_placing,
    placement.types_agree,
    placement.types_are_known,
    placement.some_type_is_named,
    fabric.annotation_is_spelt_right,
    fabric.annotation_is_known,
    fabric.connector_keeps_the_cache,
    fabric.types_have_gpu_direct,
    fabric.efa_stays_in_one_zone,
    gpus.roles_have_gpus,
    gpus.nodes_have_that_many,
    gpus.ranks_fit,
    gpus.node_memory_suffices,
    resources.limits_cover_requests,
    resources.amounts_are_possible,
    environment.names_are_set_once,
    environment.values_have_one_source,
    environment.names_are_free,
    hashing_and_buffers.hashes_agree,
    hashing_and_buffers.decoders_cache_nothing,
    hashing_and_buffers.buffer_sizes_are_numbers,
    hashing_and_buffers.buffers_fit,
    hashing_and_buffers.buffers_hold_the_longest_prompt,
    engine_flags.transfer_config_is_ours,
    engine_flags.counts_are_numbers,
    engine_flags.utilization_is_a_share,
    engine_flags.roles_agree,
    engine_flags.model_has_no_at_sign,
    engine_flags.decoders_have_no_prefix_cache,
    engine_flags.pipelines_are_untested,
    command.arguments_reach_the_engine,
    command.flags_stand_in_args,
    volumes.names_are_free,
    volumes.model_volume_exists,
    volumes.init_containers_are_the_users,
    source.section_matches_type,
    source.token_has_a_secret,
    source.commit_is_pinned,
    source.location_is_read,
    source.lustre_mount_has_a_name,
    ports.engine_port_is_free,
    ports.flag_agrees,
    ports.metrics_port_agrees,
    probes.probes_generate_nothing,
    caching.second_level_has_a_backend,
    edge.dns_has_a_certificate,
    edge.limits_have_metrics,
    edge.limits_limit_something,
    routing.threshold_spares_short_prompts,
    routing.strategy_fits_prefillers,
    routing.router_cannot_be_off,
    model.model_gains_from_pd,
    scaling.bounds_leave_room,
    scaling.windows_fit,
    scaling.somebody_scales,
    scaling.something_triggers,
    triggers.names_differ,
    triggers.targets_divide,
    triggers.metrics_can_be_found,
    triggers.periods_are_cloudwatchs,
    triggers.servers_are_known,
    topology.placement_group_is_on_nodes,
    unused.replicas_are_the_roles,
    unused.pd_spec_is_not_empty,
    unused.every_field_is_drawn,
)


def check(endpoint: Endpoint) -> list[Problem]:
    """Return what every rule has to say about the endpoint."""
    return [problem for rule in RULES for problem in rule(endpoint)]
