"""What every service needs: errors, clock, names, messages, documents."""
