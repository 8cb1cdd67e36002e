"""The controller: an InferenceEndpointConfig is rendered, installed, watched and reported on."""
