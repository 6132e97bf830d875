"""Speed and endurance of the services: wire, journal, spool, keys, observation, idle time of the instrument."""
