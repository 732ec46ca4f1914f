"""Facts about Vertex AI as data: machine types, accelerators and regions."""
