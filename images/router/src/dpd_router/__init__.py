"""The router: decides per request whether a prompt is prefilled elsewhere, and relays what the engines answer."""
