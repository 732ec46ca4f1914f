"""Which package owns the flavor name `vertex`.

ZenML keeps its built-in flavor under that name, in its code and in the record of
every server, and refuses a second one. The module `zenml_vertex_init_hook` makes an
installed zenml-vertex be the flavor in this environment; `record` makes a server's
record say so.
"""
