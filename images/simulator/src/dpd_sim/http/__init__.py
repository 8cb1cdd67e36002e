"""The OpenAI-compatible surface: parsing and refusing, shaping answers, and the routes."""
