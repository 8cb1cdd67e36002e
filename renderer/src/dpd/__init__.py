"""The renderer: an InferenceEndpointConfig in, values for the dpd chart out.

The path of a manifest: `cli` reads bytes, `reader` makes documents of them, `contract` and `rules` say what is wrong,
`render` decides the values and `yamlout` writes them. Only `cli`, `package` and `output` do any I/O.
"""

__version__ = "0.1.0"
