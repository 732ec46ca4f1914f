"""Notes of steps in the artifact store that no client has taken away."""

import click


def remove_left_notes(run: str | None) -> None:
    """Remove the notes of pipeline runs that are over, and say how many there were.

    If the artifact store cannot be asked, the command goes on: notes do no harm.

    Args:
        run: Name or ID of a run; None for all whose notes are in the active stack's store.
    """
    from zenml_vertex.steps.leftover_notes import find_ended_runs, remove_notes
    from zenml_vertex.steps.open_steps import find_run

    removed = 0
    try:
        if run:
            found = find_run(run)
            run_ids = [str(found.id)] if found.status.is_finished else []
        else:
            run_ids = find_ended_runs()
        for run_id in run_ids:
            removed += remove_notes(run_id)
    except Exception as error:  # noqa: BLE001 - whatever an artifact store may raise
        click.echo(
            f"Notes in the artifact store could not be removed ({type(error).__name__}). They are "
            "small files under `zenml-vertex/finished` that do no harm.",
            err=True,
        )
    if removed:
        notes = "1 note was" if removed == 1 else f"{removed} notes were"
        click.echo(f"{notes} removed from the artifact store: nobody waits for their steps.")
