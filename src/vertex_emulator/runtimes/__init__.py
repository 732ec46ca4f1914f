"""What runs the containers of jobs."""
