"""How a job is followed, from its creation to its end.

Talks to Vertex AI, the ZenML server and time through the protocols in
`zenml_vertex.following.protocols`; imports neither Google nor ZenML.
"""
