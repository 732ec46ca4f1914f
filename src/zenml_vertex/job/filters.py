"""Filters of `customJobs.list`.

Only comparisons joined by AND: what parentheses mean in this filter is not documented
(https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs/list).
"""

from zenml_vertex.job.identity import clean_label_value
from zenml_vertex.job.states import TERMINAL_STATES


def filter_label(label: str, value: str) -> str:
    """Jobs with a label, in whatever state."""
    return f'labels.{label}="{clean_label_value(value)}"'


def filter_live_jobs(label: str, value: str) -> str:
    """Jobs with a label that are not over; a state that is not known yet is not over."""
    is_live = (f'state!="{state}"' for state in TERMINAL_STATES)
    return " AND ".join([filter_label(label, value), *is_live])
