"""What the tests on real engines stand on: the engines' environment, the model, the running endpoint, a client.

`build` makes the environment (`cuda_stubs`, `model` and the plugin beside this folder are its parts), `endpoint`
renders and starts, `client` asks, `evidence` reads metrics and logs.
"""
