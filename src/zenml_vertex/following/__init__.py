"""How a job is followed, from its creation to its end.

Vertex AI and the ZenML server are reached through the protocols in
`zenml_vertex.following.protocols`; neither Google nor ZenML is imported here.
"""
