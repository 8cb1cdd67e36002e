"""KV transfer: the sender's and the receiver's halves, and the connector that ties them to the engine."""
