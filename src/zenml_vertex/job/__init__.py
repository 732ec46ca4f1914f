"""What a job is: settings in, CustomJob as API JSON out. Pure.

No network, no clock, no Google, no ZenML. The API's own JSON spelling is the
inner language; `zenml_vertex.cloud` converts it to the proto.
"""
