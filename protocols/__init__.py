"""What crosses a process boundary: messages, codec, request/reply core, thin shells, and the driver interface."""
