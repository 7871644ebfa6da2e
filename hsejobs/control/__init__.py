"""What every window calls: making jobs, schedules, acts, public forms."""
