"""Run the pods of a rendered chart as processes on loopback: what `make demo` and the end-to-end tests stand on.

`manifests` reads what Helm rendered, `podspec` turns one pod template into a command, an environment and files,
`plan` moves every port of an endpoint to a free one, `processes` starts and ends them, `demo` asks the two questions.
"""
