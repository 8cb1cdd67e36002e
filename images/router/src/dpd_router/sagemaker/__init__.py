"""The SageMaker Runtime API for one endpoint name: the path's own requests and answers in SageMaker's words.

`api` is what is served, `forward` turns its requests into the path's, `answer` the path's answers into its own,
`eventstream` is the encoding of its streams, `faults` the shapes of its errors.
"""
