"""The engine's decisions: tokens, blocks, pages, schedule and seconds. Nothing here does I/O or reads a clock."""
