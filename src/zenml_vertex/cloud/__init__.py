"""Google Cloud: the only room that imports `google.*`.

Nothing here is imported before a job is submitted or asked about; this module
itself imports nothing.
"""
