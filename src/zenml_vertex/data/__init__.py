"""Facts about Vertex AI as data: machine types, accelerators and regions.

Read by `zenml_vertex.job.machines` and, independently, by the emulator: the two
share what Google documents and no line of code.
"""
