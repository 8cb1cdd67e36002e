"""The wire: HTTP/1.1 on plain asyncio protocols. Heads are parsed, bodies are relayed as the bytes they are."""
