"""The keys that LMCache 0.4.3 knows, from its lmcache/v1/config.py: those this engine acts on are in `lmcache_config`.

Whatever is in neither list LMCache drops with a warning, the names it once had among them.
"""

_OTHERS = """
app_id audit_actual_remote_url blend_check_layers blend_min_tokens blend_recompute_ratios blend_special_str
blend_thresholds blocking_timeout_secs cache_policy chunk_statistics_auto_exit_target_unique_chunks
chunk_statistics_auto_exit_timeout_hours chunk_statistics_auto_start_statistics chunk_statistics_strategy
controller_pull_url controller_reply_url cufile_buffer_size enable_async_loading enable_blending
enable_chunk_statistics enable_controller enable_kv_events enable_lazy_memory_allocator
enable_scheduler_bypass_lookup external_lookup_client gds_path gds_path_sharding hit_miss_ratio
internal_api_server_enabled internal_api_server_host internal_api_server_include_index_list
internal_api_server_port_start internal_api_server_socket_path_prefix lazy_memory_expand_trigger_ratio
lazy_memory_initial_ratio lazy_memory_safe_size lazy_memory_step_ratio lmcache_instance_id
lmcache_worker_heartbeat_delay_time lmcache_worker_heartbeat_time lmcache_worker_ids lmcache_worker_ports
local_disk lookup_server_worker_ids maru_path maru_pool_size max_local_disk_size min_retrieve_tokens
nixl_buffer_device nixl_buffer_size numa_mode p2p_host p2p_init_ports p2p_lookup_ports pin_check_interval_sec
pin_timeout_sec priority_limit py_enable_gc remote_config_url remote_storage_plugins reserve_local_cpu_size
runtime_plugin_locations script_allowed_imports use_gpu_connector_v3 use_layerwise
"""
OTHERS = frozenset(_OTHERS.split())
"""Known to LMCache, and without meaning here."""

NOT_FROM_ENVIRONMENT = frozenset({"retrieve_locations", "store_location"})
"""LMCache does not say how to read these from a variable, and ends when there is one."""
