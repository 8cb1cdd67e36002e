"""What can go wrong with a transfer, and the test that lets it: engines are simulated, sockets and router are real.

After each of them nothing is held: no page, no lease, no room, no task; and the next long prompt is served.

| what happens | where it is tested |
|---|---|
| a decoder's buffer is full | test_room: more_prompts_than_a_buffer_holds, who_waits_too_long |
| nobody knows how large it is | test_room: pages_of_a_buffer_are_learned |
| a prompt can never fit | test_room: can_never_fit |
| the client leaves before its prefill | test_leaving: while_it_waits_for_room |
| … during prefill | test_leaving: during_prefill |
| … during the transfer | test_leaving: while_pages_are_written, while_blocks_are_fetched |
| … before the first token | test_leaving: before_the_first_token |
| … mid-stream | test_leaving: mid_stream |
| … at any time, thousands of times | test_soak; tests/soak/transfer |
| a decoder is restarted at its address | test_failing: restarted_at_its_address |
| a decoder is killed mid-stream | test_failing: killed_mid_stream |
| a prefiller is killed mid-prefill | test_failing: killed_mid_prefill |
| an engine answers 4xx or 5xx, at either leg | test_failing: whatever_a_prefiller_answers, a_decoder_refuses |
| a drain is turned away | test_failing: a_drain_that_is_turned_away |
| a prompt is decoded twice | `once` in test_failing; the_same_prompt_many_times |
| a prefill is tried again | test_failing: another_try_under_a_tag_of_its_own |
| KV cannot be loaded | test_failing: could_not_be_loaded |
| the notice does not come | test_failing: notices_that_go_elsewhere, told_of_no_notices |
| the router is stopped with transfers in flight | test_failing: stopped_with_transfers_in_flight |
| … is killed: its pages stay until their decoder restarts | test_room: took_into_its_grave |
| several routers reserve in one buffer | test_several_routers |
| prefiller and decoder are of two revisions | tests/router/test_path_nixl.py: another_revision |
| a mistake of the router's own in a leg | tests/router/test_path.py: a_mistake_in_the_prefill_leg |
"""
