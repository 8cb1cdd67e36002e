"""The stages of a request's path that decide and do not act: plain values in, plain values out."""
