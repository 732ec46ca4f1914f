"""Facts about Vertex AI as data: machine types, accelerators, regions, and a job's messages.

`vertex_emulator` reads a copy of its own of the first: the two packages share what Google
documents and no line of code. `make generate` makes the copy.
"""
