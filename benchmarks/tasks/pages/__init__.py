"""What is shown of a task that was measured: its page, its pictures, what is said of them, and the index of all."""
