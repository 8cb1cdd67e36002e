"""The controller: an InferenceEndpointConfig that is stored in a cluster becomes a running endpoint and gets a status.

The path of an endpoint: `intake` hears of it from kopf, `workqueue` gives it to `reconcile`, which asks `core` what to
do (the renderer's package says what is wrong and renders), lets `helm` do it and writes down what `core.status` makes
of what `watching` sees. Everything in `core` is pure.
"""
